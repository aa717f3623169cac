//! `egeria`: a block freezes once its plasticity has stopped falling (Egeria, [arXiv
//! 2201.06227](https://arxiv.org/abs/2201.06227), section 4).
//!
//! Plasticity is how far the similarities of pairs of probe samples, as a layer puts these out, have moved
//! from a reference: the stream `similarity` has it. Here the reference is the same network at the end of the
//! window before, unquantised. An evaluation comes at the end of every window, as long as the interval
//! between mask updates. With W = `freeze.window`:
//!
//! 1. the last W plasticities are averaged;
//! 2. a line is fitted to the last W averages, two at least;
//! 3. its slope, up or down, is small up to `freeze.tolerance` times the greatest of the block so far;
//! 4. a block whose slope was small in W evaluations in a row freezes, if all in front of it do or have.
//!
//! A block that freezes later is evaluated all the while; Egeria evaluates only the first that trains, which
//! takes too many evaluations where each takes epochs. A block is as plastic as the most plastic of its
//! layers: the last one alone may be a shortcut, which sees none of the others.
//!
//! Once the learning rate has fallen to a tenth since a block froze, it trains again, and all that are frozen
//! behind it. Their evaluations begin anew with half of W, rounded down, one at least. The greatest slope
//! stays.
//!
//! ```
//! use spfde_policy::freeze::{self, Egeria, FreezeContext};
//! let architecture = spfde_policy::example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext::new(8, architecture);
//! let policy = freeze::policy(Egeria { window: 3, ..Egeria::default() }, &context)?;
//! assert!(policy.reads_similarity() && policy.may_freeze(4) && !policy.may_freeze(5));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{SimilarityRow, counted};

use super::plasticity::{Plasticity, PlasticityRow};
use super::{Change, FreezeContext, FreezeRule, Judged};

spfde_data::parameters! {
    /// A block freezes once its plasticity has stopped falling.
    pub struct Egeria in "freeze" {
        /// evaluations that are averaged, to which a line is fitted, and in which its slope is small before a
        /// block freezes; the paper has 10, of many in an epoch
        pub window: u32 = 2, 1..=1000;
        /// share of a block's greatest slope up to which its slope is small
        pub tolerance: f64 = 0.2, 0.0..=1.0;
        /// share of the learning rate at its freezing at which a block trains again; 0: never
        pub thaw_rate: f64 = 0.1, 0.0..1.0;
    }
}

impl Egeria {
    /// The evaluations of a block that has thawed so often.
    fn window_after(&self, thaws: u32) -> usize {
        self.window.checked_shr(thaws).unwrap_or(0).max(1) as usize
    }
}

impl FreezeRule for Egeria {
    const NAME: &'static str = "egeria";
    const SUMMARY: &'static str = "freezes a block once its plasticity has stopped falling";
    type State = Plasticity;

    fn may_freeze(&self, run: &FreezeContext, epoch: u32) -> bool {
        run.begins_window(epoch)
    }

    /// The first window is compared with none. A line takes evaluations, and the first one is the steepest so
    /// far, which is small only if all are.
    fn earliest(&self, run: &FreezeContext) -> u32 {
        let steepest = u32::from(self.tolerance < 1.0);
        let evaluations = self.window.max(2) + self.window + steepest - 1;
        (evaluations + 1).saturating_mul(run.mask_interval)
    }

    fn reads_similarity(&self) -> bool {
        true
    }

    fn observe_similarity(&self, block: &mut Plasticity, row: &SimilarityRow) {
        // Outputs that cannot be compared have moved without bound.
        let found = if row.plasticity.is_finite() { row.plasticity } else { f64::INFINITY };
        let latest = &mut block.summary.latest;
        *latest = Some(latest.map_or(found, |greatest| greatest.max(found)));
    }

    fn decide(&self, run: &FreezeContext, mut judged: Judged<'_, Plasticity>, epoch: u32) -> Vec<Change> {
        // What was seen within a window counts for nothing.
        let seen: Vec<Option<f64>> =
            judged.states.iter_mut().map(|block| block.summary.latest.take()).collect();
        if !self.may_freeze(run, epoch) {
            return Vec::new();
        }
        let (prefix, number) = (judged.prefix(epoch), epoch / run.mask_interval - 1);
        let left = judged.budget_left(1.0);
        for (block, found) in seen.iter().enumerate().skip(prefix) {
            let state = &mut judged.states[block];
            let window = self.window_after(state.summary.thaws);
            if let Some(of) = found.and_then(|found| state.evaluate(found, window, self.tolerance)) {
                judged.judge(epoch, block, of, number, left);
            }
        }
        let rates: Vec<f64> = (0..prefix)
            .map(|block| judged.frozen[block].since(epoch).map_or(1.0, |since| run.rate_left(since, epoch)))
            .collect();
        if self.thaw_rate > 0.0 {
            for (block, rate) in rates.iter().enumerate() {
                judged.judge(epoch, block, [*rate, self.thaw_rate], number, left);
            }
            if let Some(first) = rates.iter().position(|rate| *rate <= self.thaw_rate) {
                judged.states[first..prefix].iter_mut().for_each(Plasticity::thaw);
                let reason = format!(
                    "the learning rate has fallen to {:.4} since block {first} froze, at most {}",
                    rates[first], self.thaw_rate
                );
                let thaw = |block| Change { block, frozen: false, reason: reason.clone() };
                return (first..prefix).map(thaw).collect();
            }
        }
        let summary = |block: usize| &judged.states[block].summary;
        let has_settled = |block: &usize| {
            let of = summary(*block);
            of.settled as usize >= self.window_after(of.thaws)
        };
        let freeze = |block| {
            let PlasticityRow { settled, steepest, .. } = summary(block);
            let reason = format!(
                "the slope of its plasticity was small in {} in a row, at most {:.2e}",
                counted(*settled, "evaluation"),
                self.tolerance * steepest
            );
            Change { block, frozen: true, reason }
        };
        (prefix..seen.len()).take_while(has_settled).map(freeze).collect()
    }
}
