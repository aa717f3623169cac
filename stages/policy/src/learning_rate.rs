//! The learning rate of a block: a cosine that ends at zero when the block freezes
//! (SpFDE, [arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3; as in FreezeOut,
//! [arXiv 1706.04983](https://arxiv.org/abs/1706.04983)).

use std::f64::consts::PI;

/// The learning rate at step `step` of the `steps` steps of epoch `epoch`, for a block whose training ends at
/// epoch `ends_at`: the epoch at which it freezes, or the number of epochs of the run.
///
/// `½ · base · (1 + cos(π · min(1, x / ends_at)))` with `x = epoch + step / steps`: `base` at the start, zero
/// from `ends_at` on. A schedule of one cosine for all blocks would freeze a block while its learning rate is
/// high.
///
/// # Panics
/// If `steps` or `ends_at` is 0.
///
/// ```
/// use spfde_policy::learning_rate;
/// assert_eq!(learning_rate(0.1, 0, 0, 100, 20), 0.1);
/// assert!((learning_rate(0.1, 10, 0, 100, 20) - 0.05).abs() < 1e-15); // half way
/// assert_eq!(learning_rate(0.1, 20, 0, 100, 20), 0.0);
/// ```
pub fn learning_rate(base: f64, epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64 {
    assert!(steps > 0, "an epoch has at least one step");
    assert!(ends_at > 0, "training does not end before it starts");
    let elapsed = f64::from(epoch) + f64::from(step) / f64::from(steps);
    let phase = (elapsed / f64::from(ends_at)).min(1.0);
    0.5 * base * (1.0 + (PI * phase).cos())
}

/// A rule for the learning rate of a block.
pub trait LearningRate: Send + Sync {
    /// The rate at step `step` of the `steps` steps of epoch `epoch`, for a block whose training ends at
    /// epoch `ends_at`; `base` is the rate at the first step of the run.
    fn rate(&self, base: f64, epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64;
}

/// The cosine of [`learning_rate`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Cosine;

impl LearningRate for Cosine {
    fn rate(&self, base: f64, epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64 {
        learning_rate(base, epoch, step, steps, ends_at)
    }
}

#[cfg(test)]
mod tests {
    use super::learning_rate;

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
            let rate = learning_rate(2.0, epoch, step, 2, ends_at) / 2.0;
            assert!((rate - expected).abs() < 1e-15, "{rate} {expected}");
        }
    }

    #[test]
    fn the_rate_falls_with_every_step_and_later_for_blocks_that_end_later() {
        let rates: Vec<f64> = (0..50).map(|step| learning_rate(0.1, step / 10, step % 10, 10, 5)).collect();
        assert!(rates.windows(2).all(|pair| pair[1] < pair[0]), "{rates:?}");
        assert!(rates.iter().all(|rate| *rate > 0.0));
        assert!(learning_rate(0.1, 3, 0, 10, 6) > learning_rate(0.1, 3, 0, 10, 5));
    }
}
