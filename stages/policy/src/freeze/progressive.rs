//! `progressive`: a fixed share of the blocks freezes front to back, as late as still saves the FLOPs asked
//! for (SpFDE, [arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3, the single-shot scheme).
//!
//! The share `freeze.fraction` of the blocks freezes in consecutive intervals. The start is the latest
//! multiple of the interval, after at least one, at which the plan still saves `freeze.flops_reduction`: the
//! longer all blocks train, the better they become. A block whose turn would come at or after the end does
//! not freeze, so that a small reduction may freeze fewer. With `freeze.start` the user says when; a
//! reduction that was asked for has to be reached.
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
//! let context = FreezeContext::new(10, architecture.clone());
//! // An epoch costs 8 units; the first frozen layer saves 2 of them, the second 2 more: 5 · 2 + 4 · 2 of 80.
//! let rule = Progressive { flops_reduction: 0.2, fraction: 1.0, ..Progressive::default() };
//! let plan = freeze::policy(rule, &context)?.plan(&costs)?;
//! assert_eq!(plan.frozen, [Spans::from(5), Spans::from(6)]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::ParameterError;

use super::planned::{Search, due, latest};
use super::{Change, FreezeContext, FreezePlan, FreezeRule, Judged};
use crate::{Costs, Spans, share_of};

spfde_data::parameters! {
    /// A share of the blocks freezes on a schedule made before the first step.
    pub struct Progressive in "freeze" {
        /// share of the run's FLOPs that freezing saves at least
        pub flops_reduction: f64 = 0.15, 0.0..1.0;
        /// share of the blocks that freeze
        pub fraction: f64 = 2.0 / 3.0, 0.0..=1.0;
        /// epochs between the freezing of one block and the next
        pub interval: u32 = 1, 1..;
        /// epoch at which the first block freezes; 0: the latest that saves `freeze.flops_reduction`
        pub start: u32 = 0, 0..;
    }
}

/// The epochs at which a share of the blocks freezes: from `first` on, one each `interval`.
pub(super) fn starts(fraction: f64, blocks: usize, interval: u32, first: u32) -> impl Iterator<Item = u32> {
    (0..share_of(fraction, blocks as u32))
        .map(move |turn| first.saturating_add(turn.saturating_mul(interval)))
}

impl FreezeRule for Progressive {
    const NAME: &'static str = "progressive";
    const SUMMARY: &'static str =
        "freezes a share of the blocks front to back, as late as saves the FLOPs asked for";
    type State = ();

    fn plan(&self, run: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let search = Search::new(costs, self.flops_reduction);
        let at = |first| search.from(starts(self.fraction, search.blocks(), self.interval, first));
        if self.start > 0 {
            return self.started(run, &search, at(self.start));
        }
        let (earliest, last_turn) = (at(self.interval), search.epochs().saturating_sub(1) / self.interval);
        let at_turn = |turn: u32| at(turn.saturating_mul(self.interval));
        let latest = || at_turn(latest(1, last_turn + 1, |turn| search.is_enough(&at_turn(turn))));
        let found = search.is_enough(&earliest).then(latest);
        search.answer(run, found, &earliest, "train longer or raise `freeze.fraction`")
    }

    fn may_freeze(&self, _: &FreezeContext, _: u32) -> bool {
        false
    }

    fn decide(&self, _: &FreezeContext, judged: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
        let why = match self.start {
            0 => format!("to save {} of the FLOPs", self.flops_reduction),
            start => format!("from epoch {} on", u64::from(start) + 1),
        };
        due(&judged, epoch, &why)
    }
}

impl Progressive {
    /// The plan that begins when the user says, if it does what else was asked for.
    fn started(
        &self,
        run: &FreezeContext,
        search: &Search<'_>,
        frozen: Vec<Spans>,
    ) -> Result<FreezePlan, ParameterError> {
        let saved = search.saved(&frozen);
        let (key, reason) = if self.start >= search.epochs() {
            ("freeze.start", format!("{} lies behind the last of {} epochs", self.start, search.epochs()))
        } else if saved < self.flops_reduction {
            let (start, asked) = (self.start, self.flops_reduction);
            let reason = format!("{asked} is not reached, `freeze.start` = {start} saves {saved:.4}");
            ("freeze.flops_reduction", reason)
        } else {
            return Ok(FreezePlan { frozen, note: None });
        };
        match run.reduction_required || key == "freeze.start" {
            true => Err(ParameterError::contradiction(key, reason)),
            false => Ok(FreezePlan { frozen, note: Some(format!("`{key}`: {reason}")) }),
        }
    }
}
