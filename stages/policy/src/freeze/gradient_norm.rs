//! `gradient-norm`: a block freezes once the norm of its gradient has settled, with the guards that dynamic
//! masks call for.
//!
//! Freezing by gradient norms is AutoFreeze's idea ([arXiv 2102.01386](https://arxiv.org/abs/2102.01386)).
//! SpFDE ([arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3) rejects it for sparse training,
//! because the norms fluctuate with every pruning and growing. This policy copes by what it compares:
//!
//! - a block's value at a step is `√(Σ l2²) / √(Σ nonzero)` over its layers, so that density does not count;
//!   scaled by the learning rate, it says how far an update moves a weight;
//! - it is averaged over windows as long as the interval between mask updates, so that they are compared at
//!   equal phases. The first steps of each are left out, and with them the shock of an update;
//! - the mean must have changed by less than the threshold in several windows in a row;
//! - blocks are judged front to back, so that the frozen blocks are a prefix, a few per window at most;
//! - a freeze that would save more than `freeze.flops_reduction` of the run's FLOPs is refused. The first
//!   block freezes, settled or not, when only that can still save `freeze.floor` of it;
//! - the last frozen block trains again when the learning rate has fallen far since (as in Egeria, [arXiv
//!   2201.06227](https://arxiv.org/abs/2201.06227)). So it does when the norm of the last block rises within a
//!   window: the policy does not see the loss, and a loss that rises shows there. A thaw that would save too
//!   little is refused.
//!
//! ```
//! use spfde_policy::freeze::{self, FreezeContext, GradientNorm};
//! let architecture = spfde_policy::example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext::new(8, architecture);
//! let policy = freeze::policy(GradientNorm { patience: 3, ..GradientNorm::default() }, &context)?;
//! assert!(policy.may_freeze(4) && !policy.may_freeze(5)); // windows are as long as the mask's interval
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::GradientRow;

use super::norm_window::NormWindow;
use super::{Change, FreezeContext, FreezeRule, Judged};
use crate::{Plan, Spans};

spfde_data::choice! {
    /// By what norms are scaled.
    pub enum NormScale {
        /// By the root of the number of weights that exist.
        Weights = "weights",
        /// By that, and by the learning rate.
        Update = "update",
    }
}

spfde_data::parameters! {
    /// A block freezes once the norm of its gradient has settled.
    pub struct GradientNorm in "freeze" {
        /// share of the run's FLOPs that freezing saves at most
        pub flops_reduction: f64 = 0.15, 0.0..1.0;
        /// relative change of a window's mean norm below which it counts as settled
        pub threshold: f64 = 0.05, 0.0..=1.0;
        /// settled windows in a row before a block freezes
        pub patience: u32 = 2, 1..=1_000_000;
        /// share of a window's steps left out at its start
        pub grace: f64 = 0.25, 0.0..1.0;
        /// by what norms are scaled: the root of the weights, or also the learning rate
        pub scale: NormScale = NormScale::Update, ..;
        /// blocks that freeze, or train again, at a time, at most
        pub cap: u32 = 2, 1..;
        /// share of `freeze.flops_reduction` that is saved at least, settled or not
        pub floor: f64 = 0.8, 0.0..=1.0;
        /// share of the learning rate at its freezing at which a block trains again; 0: never
        pub thaw_rate: f64 = 0.1, 0.0..1.0;
        /// share by which the last block's norm rises in a window for a block to train again; 0: never
        pub thaw_rise: f64 = 0.5, 0.0..=1e9;
    }
}

impl FreezeRule for GradientNorm {
    const NAME: &'static str = "gradient-norm";
    const SUMMARY: &'static str = "freezes the first block that trains once its gradient norm has settled";
    type State = NormWindow;

    fn may_freeze(&self, run: &FreezeContext, epoch: u32) -> bool {
        run.begins_window(epoch)
    }

    fn observe(&self, window: &mut NormWindow, row: &GradientRow, frozen: bool) {
        if !frozen {
            window.add(row);
        }
    }

    fn decide(&self, run: &FreezeContext, mut judged: Judged<'_, NormWindow>, epoch: u32) -> Vec<Change> {
        if !self.may_freeze(run, epoch) {
            return Vec::new();
        }
        let interval = run.mask_interval;
        let scale = match self.scale {
            NormScale::Weights => 1.0,
            // Both windows at their middle; of the first one nothing is compared.
            NormScale::Update => {
                let middle = |end: u32| run.rate(2 * end - interval, 2);
                if epoch > interval { middle(epoch) / middle(epoch - interval) } else { 1.0 }
            }
        };
        let close = |window: &mut NormWindow| window.close(self.grace, self.threshold, scale);
        let rise = judged.states.iter_mut().map(close).last().unwrap_or(0.0);
        let window = epoch / interval - 1;
        let (left, prefix) = (judged.budget_left(self.flops_reduction), judged.prefix(epoch));
        let thaws = self.thaws(run, &mut judged, epoch, rise, (window, left));
        if !thaws.is_empty() {
            return thaws;
        }
        let (mut then, mut changes) = (judged.frozen.to_vec(), Vec::new());
        for block in (prefix..then.len()).take(self.cap as usize) {
            let before = judged.states[block].before.clone();
            judged.judge(epoch, block, [before.change, self.threshold], window, left);
            let reason = match before.settled >= self.patience {
                true => format!(
                    "mean gradient norm settled in {} windows in a row, last change {:.4} below {}",
                    before.settled, before.change, self.threshold
                ),
                false if self.can_wait(run, judged.plan, &then, epoch, changes.len()) => break,
                false => format!("not settled, but later it could not save {:.4} of the FLOPs", self.least()),
            };
            then[block].freeze(epoch);
            if saved(judged.plan, &then) > self.flops_reduction {
                break;
            }
            changes.push(Change { block, frozen: true, reason });
        }
        changes
    }
}

impl GradientNorm {
    /// The share of the FLOPs that is saved at least.
    fn least(&self) -> f64 {
        self.floor * self.flops_reduction
    }

    /// Whether the floor can be reached if as many blocks as may freeze in each window from `from` on, of the
    /// first of which `taken` have.
    fn reaches(&self, run: &FreezeContext, plan: &Plan, frozen: &[Spans], from: u32, taken: usize) -> bool {
        if self.least() == 0.0 {
            return true;
        }
        let mut then = frozen.to_vec();
        let training = then.iter_mut().filter(|spans| !spans.is_frozen(from));
        for (turn, spans) in training.enumerate() {
            let windows = (turn + taken) as u64 / u64::from(self.cap);
            let at = u64::from(from) + windows * u64::from(run.mask_interval);
            if at < u64::from(run.epochs) {
                spans.freeze(at as u32);
            }
        }
        saved(plan, &then) >= self.least()
    }

    /// Whether the floor can be reached without a freeze at `epoch`, where `frozen` are those so far and
    /// `taken` of them freeze then; or cannot be reached at all, so that it calls for nothing.
    fn can_wait(&self, run: &FreezeContext, plan: &Plan, frozen: &[Spans], epoch: u32, taken: usize) -> bool {
        self.reaches(run, plan, frozen, epoch.saturating_add(run.mask_interval), 0)
            || !self.reaches(run, plan, frozen, epoch, taken)
    }

    /// The blocks that train again, the last frozen ones; none without which enough could not be saved.
    fn thaws(
        &self,
        run: &FreezeContext,
        judged: &mut Judged<'_, NormWindow>,
        epoch: u32,
        rise: f64,
        (window, left): (u32, f64),
    ) -> Vec<Change> {
        let (mut then, mut changes) = (judged.frozen.to_vec(), Vec::new());
        for block in (0..judged.prefix(epoch)).rev().take(self.cap as usize) {
            let Some(since) = then[block].since(epoch) else { break };
            let fallen = run.rate_left(since, epoch);
            let has_fallen = self.thaw_rate > 0.0 && fallen <= self.thaw_rate;
            let (measure, threshold, reason) = if has_fallen || self.thaw_rise == 0.0 {
                (fallen, self.thaw_rate, format!("the learning rate has fallen to {fallen:.4} since"))
            } else {
                (rise, self.thaw_rise, format!("the norm of the last block rose by {rise:.4} in a window"))
            };
            let due = has_fallen || self.thaw_rise > 0.0 && rise > self.thaw_rise;
            if self.thaw_rate > 0.0 || self.thaw_rise > 0.0 {
                judged.judge(epoch, block, [measure, threshold], window, left);
            }
            if !due {
                break;
            }
            then[block].thaw(epoch);
            if !self.reaches(run, judged.plan, &then, epoch.saturating_add(run.mask_interval), 0) {
                break;
            }
            changes.push(Change { block, frozen: false, reason });
        }
        changes.reverse();
        changes
    }
}

/// The share of the run's FLOPs that is saved.
fn saved(plan: &Plan, frozen: &[Spans]) -> f64 {
    plan.cost_of(frozen).reduction_from(&plan.unfrozen_cost)
}
