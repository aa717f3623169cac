//! `freezeout`: the block in front freezes first, those behind it later along a power of their place
//! (FreezeOut, [arXiv 1706.04983](https://arxiv.org/abs/1706.04983)).
//!
//! Of L blocks, block i freezes when the share `(t0 + (1 − t0) · i / L)^power` of the run is over. That is
//! rounded down to an epoch, at least 1. The classifier, which comes after them, never freezes. The power is
//! 1 (linear), 2 (square) or 3 (cubic). The paper fixes t0, 0.8 for the power 3; here t0 is the latest that
//! still saves `freeze.flops_reduction`, to 2⁻³⁰. The learning rate of a block falls to 0 when it freezes.
//! Scaled, as in the paper, it begins higher by the whole run over the share in which the block trains.
//!
//! ```
//! use std::sync::Arc;
//! use spfde_policy::freeze::{self, FreezeContext, FreezeOut};
//! use spfde_policy::mask::{self, Dense, MaskContext};
//! use spfde_policy::{Costs, Spans, example};
//! let architecture = example::perceptron(&[10, 10, 10, 10]);
//! let context = MaskContext { seed: 1, epochs: 10, architecture: Arc::clone(&architecture) };
//! let masks = mask::policy(Dense {}, &context)?;
//! let costs = Costs { architecture: &architecture, mask: &*masks, active_samples: &[100; 10] };
//! let context = FreezeContext::new(10, architecture.clone());
//! // The layers save 5 · 2 + 3 · 2 of 80 units: t0 lies just below 0.6, and the second block below 0.8.
//! let rule = FreezeOut { flops_reduction: 0.2, power: 1, ..FreezeOut::default() };
//! let policy = freeze::policy(rule, &context)?;
//! let plan = policy.plan(&costs)?;
//! assert_eq!(plan.frozen, [Spans::from(5), Spans::from(7)]);
//! assert_eq!(policy.pace(&plan.frozen[0], 0).factor, 2.0);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::ParameterError;

use super::planned::{Search, keeps_to_plan, latest};
use super::{Change, FreezeContext, FreezePlan, FreezeRule, Judged, Pace};
use crate::{Costs, Spans};

spfde_data::parameters! {
    /// Blocks freeze front to back, along a power of their place.
    pub struct FreezeOut in "freeze" {
        /// share of the run's FLOPs that freezing saves at least
        pub flops_reduction: f64 = 0.15, 0.0..1.0;
        /// power along which blocks freeze: 1 linear, 2 square, 3 cubic
        pub power: u32 = 3, 1..=3;
        /// whether a block's learning rate is multiplied by the run over the share in which it trains
        pub scale_learning_rate: bool = true, ..;
    }
}

/// In how many steps t0 is solved.
const STEPS: u32 = 1 << 30;

impl FreezeRule for FreezeOut {
    const NAME: &'static str = "freezeout";
    const SUMMARY: &'static str = "freezes the front first, blocks behind it along a power of their place";
    type State = ();

    fn plan(&self, run: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let search = Search::new(costs, self.flops_reduction);
        let (blocks, epochs) = (search.blocks() as f64, f64::from(search.epochs()));
        let at = |step: u32| {
            let first = f64::from(step) / f64::from(STEPS);
            let start = |block: usize| {
                let share = first + (1.0 - first) * block as f64 / blocks;
                // No `powi`: its bits are the platform's.
                let power = (1..self.power).fold(share, |power, _| power * share);
                ((power * epochs) as u32).max(1)
            };
            search.from((0..search.blocks()).map(start))
        };
        let earliest = at(0);
        let latest = || at(latest(0, STEPS, |step| search.is_enough(&at(step))));
        let found = search.is_enough(&earliest).then(latest);
        search.answer(run, found, &earliest, "train longer or raise `freeze.power`")
    }

    fn pace(&self, run: &FreezeContext, spans: &Spans, _: u32) -> Pace {
        let pace = Pace::of(spans);
        let share = pace.ends_at.filter(|_| self.scale_learning_rate);
        Pace { factor: share.map_or(1.0, |end| f64::from(run.epochs) / f64::from(end)), ..pace }
    }

    keeps_to_plan!();
}
