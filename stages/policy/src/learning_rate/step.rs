//! A learning rate that falls in steps.

use super::{LearningRate, elapsed};

/// `base`; a tenth of it from half of the block's training on, a hundredth from three quarters on (He et al.
/// 2015, [arXiv 1512.03385](https://arxiv.org/abs/1512.03385), section 4.2, rounded to such shares); 0 from
/// `ends_at` on.
///
/// # Panics
/// If `steps` or `ends_at` is 0.
///
/// ```
/// use spfde_policy::{LearningRate, Steps};
/// let rates = [0, 9, 10, 14, 15, 19, 20].map(|epoch| Steps.rate(1.0, epoch, 0, 100, 20));
/// assert_eq!(rates, [1.0, 1.0, 0.1, 0.1, 0.01, 0.01, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps;

impl LearningRate for Steps {
    fn rate(&self, base: f64, epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64 {
        match elapsed(epoch, step, steps, ends_at) {
            elapsed if elapsed < 0.5 => base,
            elapsed if elapsed < 0.75 => base * 0.1,
            elapsed if elapsed < 1.0 => base * 0.01,
            _ => 0.0,
        }
    }
}
