//! `effective-perturbation`: a block freezes for a while whose updates cancel each other (APF,
//! [ICDCS 2021](https://doi.org/10.1109/ICDCS51616.2021.00010)).
//!
//! The effective perturbation of a block is `|Σ g| / Σ |g|`: 1 if all gradients point the same way, 0 if they
//! only go to and fro. APF forms it for every scalar; here it is one of a block's layers together,
//! `layers.gradient_sum_l1` over the sum of `gradients.l1`, numerator and denominator each averaged with a
//! memory over the windows. At the end of each window blocks are judged front to back:
//!
//! - one below the threshold freezes, for one window more than the last time;
//! - the first at or above it does not, nor do those behind it; its period is halved.
//!
//! A block whose period is over trains again, with all that are frozen behind it, and is judged a window
//! later. Whenever four fifths of the blocks are frozen at a judgement, the threshold is halved.
//!
//! ```
//! use spfde_policy::freeze::{self, EffectivePerturbation, FreezeContext};
//! let architecture = spfde_policy::example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext::new(8, architecture);
//! let rule = EffectivePerturbation { interval: 2, ..Default::default() };
//! let policy = freeze::policy(rule, &context)?;
//! assert!(policy.reads_layers() && policy.may_freeze(2) && !policy.may_freeze(3));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{GradientRow, LayerRow};

use super::{Change, FreezeContext, FreezeRule, Judged};

spfde_data::parameters! {
    /// A block freezes for a while whose updates cancel each other.
    pub struct EffectivePerturbation in "freeze" {
        /// epochs of a window
        pub interval: u32 = 1, 1..;
        /// effective perturbation below which a block freezes
        pub threshold: f64 = 0.05, 0.0..=1.0;
        /// weight of the windows before in the averages
        pub smoothing: f64 = 0.5, 0.0..1.0;
    }
}

spfde_data::state! {
    /// What a block's gradients add up to.
    pub struct Perturbation {
        /// Average of the norm of sums.
        direct: f64 = 0.0,
        /// Average of the sum of norms.
        total: f64 = 0.0,
        /// Norm of the sums in this window, so far.
        window_direct: f64 = 0.0,
        /// Sum of the norms in this window, so far.
        window_total: f64 = 0.0,
        /// Windows for which the block was last frozen.
        period: u32 = 0,
        /// How often the threshold has been halved; of the first block only.
        halved: u32 = 0,
    }
}

impl Perturbation {
    /// Takes over the window that has ended.
    fn close(&mut self, memory: f64) {
        let mean = |before: f64, now: f64| memory * before + (1.0 - memory) * now;
        // A window without gradients says nothing.
        if self.window_total > 0.0 {
            self.direct = mean(self.direct, self.window_direct);
            self.total = mean(self.total, self.window_total);
        }
        (self.window_direct, self.window_total) = (0.0, 0.0);
    }
}

impl FreezeRule for EffectivePerturbation {
    const NAME: &'static str = "effective-perturbation";
    const SUMMARY: &'static str = "freezes a block for a while whose updates cancel each other";
    type State = Perturbation;

    fn reads_layers(&self) -> bool {
        true
    }

    fn may_freeze(&self, _: &FreezeContext, epoch: u32) -> bool {
        epoch.is_multiple_of(self.interval)
    }

    fn observe(&self, block: &mut Perturbation, row: &GradientRow, frozen: bool) {
        // What was frozen in a record and only observed has no accumulated gradient beside it.
        if !frozen && row.trained {
            block.window_total += f64::from(row.l1);
        }
    }

    fn observe_layer(&self, block: &mut Perturbation, row: &LayerRow) {
        block.window_direct += row.gradient_sum_l1;
    }

    fn decide(&self, run: &FreezeContext, mut judged: Judged<'_, Perturbation>, epoch: u32) -> Vec<Change> {
        if !self.may_freeze(run, epoch) {
            return Vec::new();
        }
        let (blocks, prefix) = (judged.states.len(), judged.prefix(epoch));
        judged.states.iter_mut().for_each(|block| block.close(self.smoothing));
        let is_over = |block: &usize| {
            let rests = judged.states[*block].period.saturating_mul(self.interval);
            judged.frozen[*block].since(epoch).is_some_and(|since| epoch - since >= rests)
        };
        if let Some(first) = (0..prefix).find(is_over) {
            let period = judged.states[first].period;
            let reason = format!("the period of block {first} is over, {period}");
            let thaw = |block| Change { block, frozen: false, reason: reason.clone() };
            return (first..prefix).map(thaw).collect();
        }
        if let Some(first) = judged.states.first_mut().filter(|_| prefix * 5 >= blocks * 4) {
            first.halved += 1;
        }
        let halved = judged.states.first().map_or(0, |first| first.halved);
        let threshold = self.threshold * 0.5f64.powi(halved.min(1000) as i32);
        let (window, left) = (epoch / self.interval - 1, judged.budget_left(1.0));
        let mut changes = Vec::new();
        for block in prefix..blocks {
            let Perturbation { direct, total, period, .. } = &mut judged.states[block];
            let measure = *direct / *total;
            let stable = measure < threshold;
            *period = if stable { *period + 1 } else { *period / 2 };
            let reason = format!("effective perturbation {measure:.4} below {threshold:.4}, period {period}");
            judged.judge(epoch, block, [measure, threshold], window, left);
            if !stable {
                break;
            }
            changes.push(Change { block, frozen: true, reason });
        }
        changes
    }
}
