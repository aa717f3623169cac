//! `periodic`: blocks in front train every fourth epoch, those behind them every second, the rest always
//! (SpFDE, [arXiv 2209.11204](https://arxiv.org/abs/2209.11204), appendix B).
//!
//! Periods are powers of two, so that whenever a block is frozen all in front of it are, too. How many blocks
//! are in front and how many behind them is solved: at least one each, and never the last block. The pair
//! saves the least share at or above `freeze.flops_reduction`; of pairs that save the same, the one with more
//! in front counts. All blocks follow the learning rate of one that never freezes.
//!
//! A block that has just begun to train again has no gradient, so its mask does not change then. With an even
//! `mask.interval` the masks of blocks that rest never change.
//!
//! ```
//! use std::sync::Arc;
//! use spfde_policy::freeze::{self, FreezeContext, Periodic};
//! use spfde_policy::mask::{self, Dense, MaskContext};
//! use spfde_policy::{Costs, Spans, example};
//! let architecture = example::perceptron(&[10, 10, 10, 10, 10]);
//! let context = MaskContext { seed: 1, epochs: 8, architecture: Arc::clone(&architecture) };
//! let masks = mask::policy(Dense {}, &context)?;
//! let costs = Costs { architecture: &architecture, mask: &*masks, active_samples: &[100; 8] };
//! let context = FreezeContext::new(8, architecture.clone());
//! let plan = freeze::policy(Periodic { flops_reduction: 0.2 }, &context)?.plan(&costs)?;
//! let trains = |block: usize| {
//!     (0..8).filter(|epoch| !plan.frozen[block].is_frozen(*epoch)).collect::<Vec<u32>>()
//! };
//! assert_eq!((trains(0), trains(1)), (vec![0, 4], vec![0, 2, 4, 6]));
//! assert_eq!(plan.frozen[2], Spans::never());
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::ParameterError;

use super::planned::keeps_to_plan;
use super::{Change, FreezeContext, FreezePlan, FreezeRule, Judged, Pace, periods};
use crate::{Costs, Spans};

spfde_data::parameters! {
    /// Blocks in front train every fourth epoch, those behind them every second.
    pub struct Periodic in "freeze" {
        /// share of the run's FLOPs that freezing saves at least
        pub flops_reduction: f64 = 0.15, 0.0..1.0;
    }
}

impl FreezeRule for Periodic {
    const NAME: &'static str = "periodic";
    const SUMMARY: &'static str = "blocks in front train every fourth epoch, those behind them every second";
    type State = ();

    fn plan(&self, run: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        periods::plan(run, costs, self.flops_reduction, 0, "train longer, or use a network of more blocks")
    }

    fn pace(&self, _: &FreezeContext, _: &Spans, _: u32) -> Pace {
        Pace::PLAIN
    }

    keeps_to_plan!();
}
