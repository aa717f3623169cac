//! `progressive-fewest`: as few blocks as possible freeze front to back, as late as still saves the FLOPs
//! asked for.
//!
//! It was `progressive` in earlier versions, and is what their runs are replayed under. The plan freezes the
//! fewest blocks that reach `freeze.flops_reduction`, one per interval, starting at the latest multiple of
//! the interval at which the target is still reached; the last of them is then put off on its own for as long
//! as the target is still reached. So few blocks freeze early: SpFDE's own rule
//! ([`Progressive`](super::Progressive)) freezes more of them, later.
//!
//! ```
//! use std::sync::Arc;
//! use spfde_policy::freeze::{self, FreezeContext, ProgressiveFewest};
//! use spfde_policy::mask::{self, Dense, MaskContext};
//! use spfde_policy::{Costs, Spans, example};
//! let architecture = example::perceptron(&[10, 10, 10, 10]);
//! let context = MaskContext { seed: 1, epochs: 10, architecture: Arc::clone(&architecture) };
//! let masks = mask::policy(Dense {}, &context)?;
//! let costs = Costs { architecture: &architecture, mask: &*masks, active_samples: &[100; 10] };
//! let context = FreezeContext::new(10, architecture.clone());
//! // An epoch costs 3 + 5 = 8 units; with the first layer frozen 3 + 3: from epoch 2 on this saves 16 of 80.
//! let rule = ProgressiveFewest { flops_reduction: 0.2, ..ProgressiveFewest::default() };
//! let plan = freeze::policy(rule, &context)?.plan(&costs)?;
//! assert_eq!(plan.frozen, [Spans::from(2), Spans::never()]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::ParameterError;

use super::planned::{Search, keeps_to_plan, latest};
use super::{Change, FreezeContext, FreezePlan, FreezeRule, Judged};
use crate::{Costs, Spans, share_of};

spfde_data::parameters! {
    /// As few blocks as possible freeze on a schedule made before the first step.
    pub struct ProgressiveFewest in "freeze" {
        /// share of the run's FLOPs that freezing saves at least
        pub flops_reduction: f64 = 0.15, 0.0..1.0;
        /// share of the blocks that may freeze
        pub fraction: f64 = 2.0 / 3.0, 0.0..=1.0;
        /// epochs between the freezing of one block and the next
        pub interval: u32 = 1, 1..;
    }
}

impl FreezeRule for ProgressiveFewest {
    const NAME: &'static str = "progressive-fewest";
    const SUMMARY: &'static str = "freezes the fewest blocks that save the FLOPs asked for, front to back";
    type State = ();

    fn plan(&self, run: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let search = Search::new(costs, self.flops_reduction);
        // Times are counted in intervals. A block whose turn comes at or after the end does not freeze.
        let last_turn = search.epochs().saturating_sub(1) / self.interval;
        let most = share_of(self.fraction, search.blocks() as u32).min(last_turn);
        let at = |turns: &mut dyn Iterator<Item = u32>| search.from(turns.map(|turn| turn * self.interval));
        let consecutive = |count: u32, first: u32| at(&mut (first..first + count));

        // The earliest start saves most, so the fewest blocks that can reach the target reach it from there.
        let count = (0..=most).find(|count| search.is_enough(&consecutive(*count, 1)));
        let with_last = |count: u32| -> Vec<Spans> {
            if count == 0 {
                return consecutive(0, 1);
            }
            let first =
                latest(1, last_turn + 1 - count, |first| search.is_enough(&consecutive(count, first)));
            let with = |last: u32| at(&mut (first..first + count - 1).chain([last]));
            with(latest(first + count - 1, last_turn, |last| search.is_enough(&with(last))))
        };
        let advice = "train longer or raise `freeze.fraction`";
        search.answer(run, count.map(with_last), &consecutive(most, 1), advice)
    }

    keeps_to_plan!();
}
