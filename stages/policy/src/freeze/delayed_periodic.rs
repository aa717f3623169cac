//! `delayed-periodic`: all blocks train at first, then as under [`periodic`](super::Periodic) (SpFDE, [arXiv
//! 2209.11204](https://arxiv.org/abs/2209.11204), appendix B).
//!
//! Periods are counted from epoch `freeze.delay`. It takes more blocks that rest than `periodic` to save the
//! same.
//!
//! ```
//! use std::sync::Arc;
//! use spfde_policy::freeze::{self, DelayedPeriodic, FreezeContext};
//! use spfde_policy::mask::{self, Dense, MaskContext};
//! use spfde_policy::{Costs, example};
//! let architecture = example::perceptron(&[10, 10, 10, 10, 10]);
//! let context = MaskContext { seed: 1, epochs: 9, architecture: Arc::clone(&architecture) };
//! let masks = mask::policy(Dense {}, &context)?;
//! let costs = Costs { architecture: &architecture, mask: &*masks, active_samples: &[100; 9] };
//! let context = FreezeContext::new(9, architecture.clone());
//! let rule = DelayedPeriodic { flops_reduction: 0.1, ..DelayedPeriodic::default() };
//! let plan = freeze::policy(rule, &context)?.plan(&costs)?;
//! let trains = |block: usize| {
//!     (0..9).filter(|epoch| !plan.frozen[block].is_frozen(*epoch)).collect::<Vec<u32>>()
//! };
//! assert_eq!((trains(0), trains(1)), (vec![0, 1, 2, 3, 7], vec![0, 1, 2, 3, 5, 7]));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::ParameterError;

use super::planned::keeps_to_plan;
use super::{Change, FreezeContext, FreezePlan, FreezeRule, Judged, Pace, periods};
use crate::{Costs, Spans, share_of};

spfde_data::parameters! {
    /// All blocks train at first; then those in front every fourth epoch, those behind them every second.
    pub struct DelayedPeriodic in "freeze" {
        /// share of the run's FLOPs that freezing saves at least
        pub flops_reduction: f64 = 0.15, 0.0..1.0;
        /// first epochs, in which all blocks train; 0: a third of the run
        pub delay: u32 = 0, 0..;
    }
}

impl FreezeRule for DelayedPeriodic {
    const NAME: &'static str = "delayed-periodic";
    const SUMMARY: &'static str = "all blocks train at first, then as under periodic";
    type State = ();

    fn plan(&self, run: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let epochs = costs.active_samples.len() as u32;
        let delay = if self.delay == 0 { share_of(1.0 / 3.0, epochs) } else { self.delay };
        periods::plan(run, costs, self.flops_reduction, delay, "train longer, or lower `freeze.delay`")
    }

    fn pace(&self, _: &FreezeContext, _: &Spans, _: u32) -> Pace {
        Pace::PLAIN
    }

    keeps_to_plan!();
}
