//! The precision in which a layer computes forward and backward.

use std::borrow::Cow;

use crate::lane::Lane;

/// A precision: what the products of a layer multiply. Stored weights, sums and updates stay f32.
pub trait Precision: std::fmt::Debug + Send + Sync {
    /// Whether it rounds at all. What does not is never called again, and costs nothing.
    fn rounds(&self) -> bool {
        true
    }

    /// The values by which `layer` multiplies in place of its existing weights, after each change of these.
    fn weights<'a>(&self, layer: usize, values: &'a [f32]) -> Cow<'a, [f32]> {
        let _ = layer;
        Cow::Borrowed(values)
    }

    /// Rounds numbers that `layer` reads, a few rows at a time; zeros stay zeros.
    fn inputs(&self, layer: usize, lanes: &mut [Lane]) {
        let _ = (layer, lanes);
    }

    /// Rounds numbers of the gradient of the output of `layer`, a few rows at a time; zeros stay zeros.
    fn gradients(&self, layer: usize, lanes: &mut [Lane]) {
        let _ = (layer, lanes);
    }
}

/// 32-bit floating point numbers.
#[derive(Clone, Copy, Debug)]
pub struct F32;

impl Precision for F32 {
    fn rounds(&self) -> bool {
        false
    }
}
