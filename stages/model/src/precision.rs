//! The precision in which a layer computes forward and backward.

use std::borrow::Cow;

/// A precision other than f32: what the products of a layer multiply. Stored weights, sums and updates stay
/// f32.
pub trait Precision: std::fmt::Debug + Send + Sync {
    /// The values by which a layer multiplies in place of its existing weights, after each change of these.
    fn weights<'a>(&self, _layer: usize, values: &'a [f32]) -> Cow<'a, [f32]> {
        Cow::Borrowed(values)
    }

    /// Rounds numbers that a layer reads, a few rows at a time; zeros stay zeros.
    fn inputs(&self, _layer: usize, _numbers: &mut [f32]) {}

    /// Rounds numbers of the gradient of the output of a layer, a few rows at a time; zeros stay zeros.
    fn gradients(&self, _layer: usize, _numbers: &mut [f32]) {}
}
