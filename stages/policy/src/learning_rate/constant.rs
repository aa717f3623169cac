//! A learning rate that does not change.

use super::{LearningRate, elapsed};

/// `base` until `ends_at`, 0 from there on.
///
/// # Panics
/// If `steps` or `ends_at` is 0.
///
/// ```
/// use spfde_policy::{Constant, LearningRate};
/// assert_eq!(Constant.rate(0.1, 19, 99, 100, 20), 0.1);
/// assert_eq!(Constant.rate(0.1, 20, 0, 100, 20), 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Constant;

impl LearningRate for Constant {
    fn rate(&self, base: f64, epoch: u32, step: u32, steps: u32, ends_at: u32) -> f64 {
        if elapsed(epoch, step, steps, ends_at) < 1.0 { base } else { 0.0 }
    }
}
