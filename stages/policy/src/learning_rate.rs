//! The learning rate of a block: a rule that ends when the block freezes (SpFDE,
//! [arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3; as in FreezeOut,
//! [arXiv 1706.04983](https://arxiv.org/abs/1706.04983)).

mod constant;
mod linear;
mod step;

use std::f64::consts::PI;
use std::sync::Arc;

pub use constant::Constant;
pub use linear::Linear;
pub use step::Steps;

/// A rule for the learning rate of a block.
pub trait LearningRate: Send + Sync {
    /// The rate at step `step` of the `steps` steps of epoch `epoch`, for a block whose training ends at
    /// epoch `ends_at`: the epoch at which it freezes, or the number of epochs of the run. `base` is what the
    /// configuration says.
    fn rate(&self, base: f64, epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64;
}

spfde_data::choice! {
    /// The rules by name.
    #[derive(Default)]
    pub enum LearningRateSchedule {
        /// [`Cosine`]: along half a cosine to 0.
        #[default]
        Cosine = "cosine",
        /// [`Steps`]: to a tenth at half of the training, and again at three quarters.
        Step = "step",
        /// [`Linear`]: along a line to 0.
        Linear = "linear",
        /// [`Constant`]: the same all the time.
        Constant = "constant",
    }
}

impl LearningRateSchedule {
    /// The rule of this name.
    pub fn rule(self) -> Arc<dyn LearningRate> {
        match self {
            Self::Cosine => Arc::new(Cosine),
            Self::Step => Arc::new(Steps),
            Self::Linear => Arc::new(Linear),
            Self::Constant => Arc::new(Constant),
        }
    }
}

/// The share of a block's training that is over, from 0 to 1: `min(1, x / ends_at)` with `x = epoch + step /
/// steps`.
///
/// # Panics
/// If `steps` or `ends_at` is 0.
fn elapsed(epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64 {
    assert!(steps > 0, "an epoch has at least one step");
    assert!(ends_at > 0, "training does not end before it starts");
    let epochs = f64::from(epoch) + f64::from(step) / f64::from(steps);
    (epochs / f64::from(ends_at)).min(1.0)
}

/// `½ · base · (1 + cos(π · min(1, x / ends_at)))` with `x = epoch + step / steps`: `base` at the start, zero
/// from `ends_at` on. A schedule of one cosine for all blocks would freeze a block while its learning rate is
/// high.
///
/// # Panics
/// If `steps` or `ends_at` is 0.
///
/// ```
/// use spfde_policy::{Cosine, LearningRate};
/// assert_eq!(Cosine.rate(0.1, 0, 0, 100, 20), 0.1);
/// assert!((Cosine.rate(0.1, 10, 0, 100, 20) - 0.05).abs() < 1e-15); // half way
/// assert_eq!(Cosine.rate(0.1, 20, 0, 100, 20), 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Cosine;

impl LearningRate for Cosine {
    fn rate(&self, base: f64, epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64 {
        0.5 * base * (1.0 + (PI * elapsed(epoch, step, steps, ends_at)).cos())
    }
}

/// A linear warm-up (Goyal et al. 2017, [arXiv 1706.02677](https://arxiv.org/abs/1706.02677), section 2.2).
/// The rate is that of `rule` times `min(1, (x + 1 / steps) / epochs)`, with `x = epoch + step / steps`. With
/// 0 epochs it has the bits of `rule`.
///
/// ```
/// use std::sync::Arc;
/// use spfde_policy::{Cosine, LearningRate, WarmUp};
/// let warm_up = WarmUp { rule: Arc::new(Cosine), epochs: 2.0 };
/// assert_eq!(warm_up.rate(0.5, 0, 0, 10, 100), 0.05 * 0.5); // the first of twenty steps
/// assert_eq!(warm_up.rate(0.5, 1, 9, 10, 100), Cosine.rate(0.5, 1, 9, 10, 100));
/// ```
#[derive(Clone)]
pub struct WarmUp {
    /// The rule that holds after the warm-up.
    pub rule: Arc<dyn LearningRate>,
    /// Epochs from 0 until the factor is 1.
    pub epochs: f64,
}

impl LearningRate for WarmUp {
    fn rate(&self, base: f64, epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64 {
        let done = f64::from(epoch) + f64::from(step + 1) / f64::from(steps);
        (done / self.epochs).min(1.0) * self.rule.rate(base, epoch, step, steps, ends_at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Cosine, LearningRate, WarmUp};

    #[test]
    fn known_angles_give_known_rates() {
        // cos(π/3) = ½, cos(π/4) = √½, cos(2π/3) = −½.
        for (epoch, step, ends_at, expected) in [
            (4, 0, 12, 0.75),
            (2, 1, 10, 0.5 * (1.0 + 0.5f64.sqrt())),
            (8, 0, 12, 0.25),
            (12, 0, 12, 0.0),
            (30, 1, 12, 0.0),
        ] {
            let rate = Cosine.rate(2.0, epoch, step, 2, ends_at) / 2.0;
            assert!((rate - expected).abs() < 1e-15, "{rate} {expected}");
        }
    }

    #[test]
    fn a_warm_up_rises_by_the_same_share_at_every_step_and_then_leaves_the_rule_alone() {
        let warm_up = |epochs: f64| WarmUp { rule: Arc::new(Cosine), epochs };
        // Six steps, of which the factor of the third is a half.
        for (epoch, step, factor) in
            [(0, 0, 1.0 / 6.0), (0, 2, 0.5), (1, 0, 5.0 / 6.0), (1, 1, 1.0), (7, 3, 1.0)]
        {
            let [rate, rule] =
                [&warm_up(1.5) as &dyn LearningRate, &Cosine].map(|rule| rule.rate(0.3, epoch, step, 4, 9));
            assert!((rate - factor * rule).abs() < 1e-16, "{epoch}, {step}: {rate}, {rule}");
        }
        for step in 0..40 {
            let at = |rule: &dyn LearningRate| rule.rate(0.3, step / 4, step % 4, 4, 9).to_bits();
            assert_eq!(at(&warm_up(0.0)), at(&Cosine));
        }
    }

    #[test]
    fn the_rate_falls_with_every_step_and_later_for_blocks_that_end_later() {
        let rates: Vec<f64> = (0..50).map(|step| Cosine.rate(0.1, step / 10, step % 10, 10, 5)).collect();
        assert!(rates.windows(2).all(|pair| pair[1] < pair[0]), "{rates:?}");
        assert!(rates.iter().all(|rate| *rate > 0.0));
        assert!(Cosine.rate(0.1, 3, 0, 10, 6) > Cosine.rate(0.1, 3, 0, 10, 5));
    }
}
