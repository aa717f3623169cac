//! `progressive-resume`: as [`progressive`](super::Progressive), and all blocks train again in the last
//! epochs (SpFDE, [arXiv 2209.11204](https://arxiv.org/abs/2209.11204), appendix B, single shot and resume).
//!
//! Blocks freeze earlier than under `progressive` by as much as the last phase gives back, so that the run
//! saves what was asked for. A block follows the learning rate of its own until it freezes, and in the last
//! phase that of a block that never did.
//!
//! ```
//! use std::sync::Arc;
//! use spfde_policy::freeze::{self, FreezeContext, ProgressiveResume};
//! use spfde_policy::mask::{self, Dense, MaskContext};
//! use spfde_policy::{Costs, example};
//! let architecture = example::perceptron(&[10, 10, 10, 10]);
//! let context = MaskContext { seed: 1, epochs: 10, architecture: Arc::clone(&architecture) };
//! let masks = mask::policy(Dense {}, &context)?;
//! let costs = Costs { architecture: &architecture, mask: &*masks, active_samples: &[100; 10] };
//! let context = FreezeContext::new(10, architecture.clone());
//! // Frozen from epoch 3 and 4 until epoch 8, the layers save 5 · 2 + 4 · 2 of 80 units.
//! let rule = ProgressiveResume { flops_reduction: 0.2, fraction: 1.0, resume: 2, interval: 1 };
//! let plan = freeze::policy(rule, &context)?.plan(&costs)?;
//! assert_eq!(plan.frozen[0].iter().collect::<Vec<_>>(), [(3, Some(8))]);
//! assert_eq!(plan.frozen[1].iter().collect::<Vec<_>>(), [(4, Some(8))]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::ParameterError;

use super::planned::{Search, keeps_to_plan, latest};
use super::progressive::starts;
use super::{Change, FreezeContext, FreezePlan, FreezeRule, Judged, Pace};
use crate::{Costs, Spans, share_of};

spfde_data::parameters! {
    /// A share of the blocks freezes on a schedule, and trains again in the last epochs.
    pub struct ProgressiveResume in "freeze" {
        /// share of the run's FLOPs that freezing saves at least
        pub flops_reduction: f64 = 0.15, 0.0..1.0;
        /// share of the blocks that freeze
        pub fraction: f64 = 2.0 / 3.0, 0.0..=1.0;
        /// epochs between the freezing of one block and the next
        pub interval: u32 = 1, 1..;
        /// last epochs, in which all blocks train again; 0: an eighth of the run, at least 1
        pub resume: u32 = 0, 0..;
    }
}

impl FreezeRule for ProgressiveResume {
    const NAME: &'static str = "progressive-resume";
    const SUMMARY: &'static str = "as progressive, and all blocks train again in the last epochs";
    type State = ();

    fn plan(&self, run: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let search = Search::new(costs, self.flops_reduction);
        let epochs = search.epochs();
        let resume = if self.resume == 0 { share_of(0.125, epochs).max(1) } else { self.resume };
        let end = epochs.saturating_sub(resume);
        let until_end = |start| {
            let mut spans = Spans::from_start(Some(start).filter(|start| *start < end));
            if spans.is_frozen(start) {
                spans.thaw(end);
            }
            spans
        };
        let at = |turn: u32| {
            let first = turn.saturating_mul(self.interval);
            let starts = starts(self.fraction, search.blocks(), self.interval, first);
            let mut frozen: Vec<Spans> = starts.map(until_end).collect();
            frozen.resize(search.blocks(), Spans::never());
            frozen
        };
        let (earliest, last_turn) = (at(1), end.saturating_sub(1) / self.interval);
        let latest = || at(latest(1, last_turn + 1, |turn| search.is_enough(&at(turn))));
        let found = search.is_enough(&earliest).then(latest);
        search.answer(run, found, &earliest, "train longer, raise `freeze.fraction` or lower `freeze.resume`")
    }

    fn pace(&self, _: &FreezeContext, spans: &Spans, epoch: u32) -> Pace {
        let own = spans.next_freeze(0).filter(|start| epoch < *start);
        Pace { ends_at: own, factor: 1.0 }
    }

    keeps_to_plan!();
}
