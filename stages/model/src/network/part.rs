//! The flat list of numbers that a shard contributes to a step, and what stands where in it.

use std::ops::Range;

use crate::description::Description;
use crate::layer::{AffineState, Layer};
use crate::network::Network;

/// A number that is not finite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} of layer `{layer}` holds a number that is not finite; a lower learning rate may help")]
pub struct NonFinite {
    /// The layer's name.
    pub layer: String,
    /// What of it, such as `weight gradient`.
    pub what: &'static str,
}

/// Where the layers' numbers stand in a part. Frozen layers have none.
///
/// By layer in forward order: the gradients of the existing weights, then either the gradients of the biases, or those
/// of the gains and offsets followed by the means and unbiased variances that the shard measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartLayout {
    pub(super) weights: Vec<Range<usize>>,
    pub(super) affine: Vec<Range<usize>>,
    pub(super) len: usize,
}

impl PartLayout {
    pub(super) fn new(description: &Description, layers: &[Layer], frozen: usize) -> Self {
        let mut layout = Self::default();
        for (layer, shape) in layers.iter().zip(&description.architecture.layers) {
            let (weights, affine) = if shape.block < frozen {
                (0, 0)
            } else {
                (layer.weights.indices.len(), shape.outputs * names(&layer.affine).len())
            };
            let (weights, affine) = (layout.take(weights), layout.take(affine));
            layout.weights.push(weights);
            layout.affine.push(affine);
        }
        layout
    }

    fn take(&mut self, count: usize) -> Range<usize> {
        let start = self.len;
        self.len += count;
        start..self.len
    }
}

/// What follows the weights of a layer in a part: so many lists, one number per channel each.
fn names(affine: &AffineState) -> &'static [&'static str] {
    match affine {
        AffineState::BatchNorm(_) => &["gain gradient", "offset gradient", "mean", "variance"],
        AffineState::Bias(_) => &["bias gradient"],
    }
}

impl Network {
    /// How many numbers a shard contributes; changes with masks and freezing.
    pub fn part_len(&self) -> usize {
        self.part.len
    }

    /// The gradients of the existing weights of `layer` in a part or a sum of parts, in the order of
    /// [`Network::indices`]; empty if the layer is frozen.
    ///
    /// # Panics
    /// If `part` is not [`Network::part_len`] long.
    pub fn gradient<'a>(&self, part: &'a [f32], layer: usize) -> &'a [f32] {
        assert_eq!(part.len(), self.part.len, "a part of this network");
        &part[self.part.weights[layer].clone()]
    }

    /// Tests that every number of the sum of all parts is finite, before it is applied.
    ///
    /// # Errors
    /// Names the first layer in forward order with a number that is not.
    ///
    /// # Panics
    /// If `part` is not [`Network::part_len`] long.
    pub fn check(&self, part: &[f32]) -> Result<(), NonFinite> {
        assert_eq!(part.len(), self.part.len, "a part of this network");
        // The usual case in one pass: only what is infinite or not a number has all bits of the exponent.
        const EXPONENT: u32 = 0x7f80_0000;
        if part.iter().fold(0, |most, number| most.max(number.to_bits() & EXPONENT)) < EXPONENT {
            return Ok(());
        }
        let finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
        for (number, layer) in self.layers.iter().enumerate() {
            let fault = |what| NonFinite { layer: self.architecture().layers[number].name.clone(), what };
            if !finite(&part[self.part.weights[number].clone()]) {
                return Err(fault("weight gradient"));
            }
            let affine = &part[self.part.affine[number].clone()];
            let names = names(&layer.affine);
            if affine.is_empty() {
                continue;
            }
            for (numbers, name) in affine.chunks_exact(affine.len() / names.len()).zip(names) {
                if !finite(numbers) {
                    return Err(fault(name));
                }
            }
        }
        unreachable!("some number is not finite")
    }
}
