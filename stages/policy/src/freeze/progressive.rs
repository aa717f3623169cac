//! `progressive`: blocks freeze front to back on a schedule that saves the FLOPs asked for, as late as
//! possible (SpFDE, [arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3, the single-shot scheme).
//!
//! The plan freezes the fewest blocks that reach `freeze.flops_reduction`, one per interval, starting at the
//! latest multiple of the interval at which the target is still reached; the last of them is then put off on
//! its own for as long as the target is still reached. The longer all blocks train, the better they become.
//!
//! The cost is counted epoch by epoch, with the weights that exist and the samples that are active in each;
//! the paper solves for the start with one constant cost per block.
//!
//! ```
//! use std::sync::Arc;
//! use spfde_policy::freeze::{self, FreezeContext, Progressive};
//! use spfde_policy::mask::{self, Dense, MaskContext};
//! use spfde_policy::{Costs, Spans, example};
//! let architecture = example::perceptron(&[10, 10, 10, 10]);
//! let context = MaskContext { seed: 1, epochs: 10, architecture: Arc::clone(&architecture) };
//! let masks = mask::policy(Dense {}, &context)?;
//! let costs = Costs { architecture: &architecture, mask: &*masks, active_samples: &[100; 10] };
//! let context = FreezeContext { epochs: 10, architecture: Arc::clone(&architecture),
//!     mask_interval: 2, reduction_required: true };
//! // An epoch costs 3 + 5 = 8 units; with the first layer frozen 3 + 3: from epoch 2 on this saves 16 of 80.
//! let rule = Progressive { flops_reduction: 0.2, ..Progressive::default() };
//! let plan = freeze::policy(rule, &context)?.plan(&costs)?;
//! assert_eq!(plan.frozen, [Spans::from(2), Spans::never()]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{ParameterError, counted};

use super::{Change, FreezeContext, FreezePlan, FreezeRule, Judged};
use crate::{Costs, Spans, share_of};

const REDUCTION: &str = "freeze.flops_reduction";

spfde_data::parameters! {
    /// Blocks freeze on a schedule made before the first step.
    pub struct Progressive in "freeze" {
        /// share of the run's FLOPs that freezing saves at least
        pub flops_reduction: f64 = 0.15, 0.0..1.0;
        /// share of the blocks that may freeze
        pub fraction: f64 = 2.0 / 3.0, 0.0..=1.0;
        /// epochs between the freezing of one block and the next
        pub interval: u32 = 1, 1..;
    }
}

impl Progressive {
    /// The freezing times when blocks freeze at the given multiples of the interval, front to back.
    fn frozen(&self, blocks: usize, turns: impl IntoIterator<Item = u32>) -> Vec<Spans> {
        let mut frozen: Vec<_> = turns.into_iter().map(|turn| Spans::from(turn * self.interval)).collect();
        frozen.resize(blocks, Spans::never());
        frozen
    }

    /// The answer to a reduction that cannot be reached; `greatest` is what the earliest plan saves.
    fn unreachable(&self, greatest: f64, most: u32, costs: &Costs<'_>) -> String {
        let (blocks, epochs) = (costs.architecture.blocks.len(), costs.active_samples.len());
        // Rounded down, so that asking for what is named here succeeds.
        let greatest = (greatest * 1e4).floor() / 1e4;
        format!(
            "{} cannot be reached, the greatest that can is {greatest}: in {} at most {most} of {} freeze, \
             one every {} from epoch {} on; ask for less, train longer or raise `freeze.fraction`",
            self.flops_reduction,
            counted(epochs, "epoch"),
            counted(blocks, "block"),
            if self.interval == 1 { "epoch".to_owned() } else { format!("{} epochs", self.interval) },
            u64::from(self.interval) + 1,
        )
    }
}

impl FreezeRule for Progressive {
    const NAME: &'static str = "progressive";
    const SUMMARY: &'static str = "freezes blocks front to back, as late as still saves the FLOPs asked for";
    type State = ();

    fn plan(&self, run: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let blocks = costs.architecture.blocks.len();
        let epochs = costs.active_samples.len() as u32;
        let unfrozen = costs.total(&vec![Spans::never(); blocks]);
        let reduction = |frozen: &[Spans]| costs.total(frozen).reduction_from(&unfrozen);
        let reached = |frozen: &[Spans]| reduction(frozen) >= self.flops_reduction;
        // Times are counted in intervals. A block whose turn comes at or after the end does not freeze.
        let last_turn = epochs.saturating_sub(1) / self.interval;
        let most = share_of(self.fraction, blocks as u32).min(last_turn);
        let consecutive = |count: u32, first: u32| self.frozen(blocks, first..first + count);

        // The earliest start saves most, so the fewest blocks that can reach the target reach it from there.
        let Some(count) = (0..=most).find(|count| reached(&consecutive(*count, 1))) else {
            let reason = self.unreachable(reduction(&consecutive(most, 1)), most, costs);
            if run.reduction_required {
                return Err(ParameterError::contradiction(REDUCTION, reason));
            }
            let note = Some(format!("nothing freezes: `{REDUCTION}` = {reason}"));
            return Ok(FreezePlan { note, ..FreezePlan::empty(blocks) });
        };
        if count == 0 {
            return Ok(FreezePlan::empty(blocks));
        }
        let first = latest(1, last_turn + 1 - count, |first| reached(&consecutive(count, first)));
        let with_last = |last: u32| self.frozen(blocks, (first..first + count - 1).chain([last]));
        let last = latest(first + count - 1, last_turn, |last| reached(&with_last(last)));
        Ok(FreezePlan { frozen: with_last(last), note: None })
    }

    fn may_freeze(&self, _: &FreezeContext, _: u32) -> bool {
        false
    }

    fn decide(&self, _: &FreezeContext, judged: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
        let planned = judged.plan.frozen.iter().enumerate();
        let due = planned.filter(|(_, spans)| spans.freezes_at(epoch));
        let reason = format!("scheduled, to save {} of the FLOPs", self.flops_reduction);
        due.map(|(block, _)| Change { block, frozen: true, reason: reason.clone() }).collect()
    }
}

/// The greatest number from `low` to `high` for which `holds`, which holds for `low` and, once it does not,
/// never again.
fn latest(low: u32, high: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = high - (high - low) / 2;
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
