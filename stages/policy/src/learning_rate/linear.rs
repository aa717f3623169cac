//! A learning rate that falls along a line.

use super::{LearningRate, elapsed};

/// `base · (1 − min(1, x / ends_at))` with `x = epoch + step / steps`.
///
/// # Panics
/// If `steps` or `ends_at` is 0.
///
/// ```
/// use spfde_policy::{LearningRate, Linear};
/// assert_eq!(Linear.rate(0.5, 0, 0, 100, 20), 0.5);
/// assert_eq!(Linear.rate(0.5, 15, 0, 100, 20), 0.125);
/// assert_eq!(Linear.rate(0.5, 20, 0, 100, 20), 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Linear;

impl LearningRate for Linear {
    fn rate(&self, base: f64, epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64 {
        base * (1.0 - elapsed(epoch, step, steps, ends_at))
    }
}
