//! The flat lists of numbers that a shard contributes to a step, and what stands where in them: parts,
//! observed and extra gradients.

use std::ops::Range;

use spfde_data::FrozenBlocks;

use crate::description::Description;
use crate::layer::Layer;
use crate::network::Network;
use crate::shard::Extra;

/// A number that is not finite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} of layer `{layer}` holds a number that is not finite; a lower learning rate may help")]
pub struct NonFinite {
    /// The layer's name.
    pub layer: String,
    /// What of it, such as `weight gradient`.
    pub what: &'static str,
}

/// Where the layers' numbers stand in a part, and those of frozen layers in observed gradients. Frozen layers
/// have none in a part, all others none in observed gradients.
///
/// By layer in forward order: the gradients of the existing weights, then either the gradients of the biases,
/// or those of the gains and offsets followed by the means and unbiased variances that the shard measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartLayout {
    pub(super) weights: Vec<Range<usize>>,
    pub(super) affine: Vec<Range<usize>>,
    pub(super) len: usize,
    pub(super) observed: Vec<Range<usize>>,
    pub(super) observed_len: usize,
}

impl PartLayout {
    pub(super) fn new(description: &Description, layers: &[Layer], frozen: &FrozenBlocks) -> Self {
        let mut layout = Self::default();
        for (layer, shape) in layers.iter().zip(&description.architecture.layers) {
            let (weights, affine) = (layer.weights.indices.len(), shape.outputs * layer.affine.names().len());
            let (trained, affine, observed) =
                if frozen.contains(shape.block) { (0, 0, weights) } else { (weights, affine, 0) };
            layout.weights.push(take(&mut layout.len, trained));
            layout.affine.push(take(&mut layout.len, affine));
            layout.observed.push(take(&mut layout.observed_len, observed));
        }
        layout
    }
}

/// So many numbers behind the `len` that there are.
fn take(len: &mut usize, count: usize) -> Range<usize> {
    *len += count;
    *len - count..*len
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

    /// As [`Network::gradient`], to be changed.
    ///
    /// # Panics
    /// If `part` is not [`Network::part_len`] long.
    pub fn gradient_mut<'a>(&self, part: &'a mut [f32], layer: usize) -> &'a mut [f32] {
        assert_eq!(part.len(), self.part.len, "a part of this network");
        &mut part[self.part.weights[layer].clone()]
    }

    /// Where the gradients stand in a part, layer by layer in forward order: those of the existing weights,
    /// then those of the biases, or of gains and offsets. A frozen layer has none.
    pub fn gradients(&self) -> impl Iterator<Item = Range<usize>> {
        self.layers.iter().enumerate().map(|(layer, state)| {
            let (affine, names) = (&self.part.affine[layer], state.affine.names());
            let gradients = names.iter().filter(|name| name.ends_with("gradient")).count();
            self.part.weights[layer].start..affine.start + affine.len() / names.len() * gradients
        })
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
        let place = part.iter().position(|number| !number.is_finite()).expect("some number is not finite");
        let layer = self.part.affine.iter().position(|affine| place < affine.end).expect("it is a layer's");
        let (affine, names) = (&self.part.affine[layer], self.layers[layer].affine.names());
        let what = match place.checked_sub(affine.start) {
            None => "weight gradient",
            Some(offset) => names[offset / (affine.len() / names.len())],
        };
        Err(NonFinite { layer: self.architecture().layers[layer].name.clone(), what })
    }

    /// How many weights of frozen layers exist.
    pub fn observed_len(&self) -> usize {
        self.part.observed_len
    }

    /// The gradients of the existing weights of `layer` in observed gradients, in the order of
    /// [`Network::indices`]; empty if the layer is not frozen.
    ///
    /// # Panics
    /// If `observed` is not [`Network::observed_len`] long or there is no such layer.
    pub fn observed_gradient<'a>(&self, observed: &'a [f32], layer: usize) -> &'a [f32] {
        assert_eq!(observed.len(), self.observed_len(), "observed gradients of this network");
        &observed[self.part.observed[layer].clone()]
    }

    /// How many numbers are wanted with `extra`: the length of
    /// [`Wanted::extra_gradients`](crate::Wanted::extra_gradients).
    ///
    /// # Panics
    /// If a layer does not exist or is frozen, or the layers do not ascend.
    pub fn extra_len(&self, extra: &[Extra]) -> usize {
        assert!(extra.is_sorted_by(|a, b| a.layer() < b.layer()), "layers ascend");
        let shapes = &self.architecture().layers;
        let train = extra.iter().all(|extra| !self.frozen.contains(shapes[extra.layer()].block));
        assert!(train, "no layer is frozen");
        extra.iter().map(|extra| self.extra_lens(extra).iter().sum::<usize>()).sum()
    }

    /// The gradients of the batch's mean loss (before weight decay) with respect to the weights that `extra`
    /// names of `layer`, in their order, added over the shards. Those of existing weights have the bits of
    /// [`Network::gradient`].
    ///
    /// # Panics
    /// If `extra` does not name `layer`, or `gradients` is not [`Network::extra_len`] long.
    pub fn extra_gradient<'a>(&self, gradients: &'a [f32], extra: &[Extra], layer: usize) -> &'a [f32] {
        self.extra_numbers(gradients, extra, layer)[0]
    }

    /// The [sums](crate::Sums) that `extra` names of `layer`, added over the shards; empty if it names none.
    /// First those of what its windows have under them, [`LayerShape::taps`], by (input, kernel row, kernel
    /// column), then those of the gradients of its outputs.
    ///
    /// [`LayerShape::taps`]: spfde_data::architecture::LayerShape::taps
    ///
    /// # Panics
    /// As [`Network::extra_gradient`].
    pub fn extra_sums<'a>(&self, gradients: &'a [f32], extra: &[Extra], layer: usize) -> [&'a [f32]; 2] {
        let [_, taps, outputs] = self.extra_numbers(gradients, extra, layer);
        [taps, outputs]
    }

    fn extra_numbers<'a>(&self, gradients: &'a [f32], extra: &[Extra], layer: usize) -> [&'a [f32]; 3] {
        assert_eq!(gradients.len(), self.extra_len(extra), "the numbers of these layers");
        let (own, range) = self.extra_range(extra, layer).expect("extra numbers of this layer");
        let [weights, taps, _] = self.extra_lens(own);
        let (weights, sums) = gradients[range].split_at(weights);
        let (taps, outputs) = sums.split_at(taps);
        [weights, taps, outputs]
    }

    /// Numbers of one layer: gradients, sums of what is under windows, sums of gradients of outputs.
    fn extra_lens(&self, extra: &Extra) -> [usize; 3] {
        let shape = &self.architecture().layers[extra.layer()];
        let [taps, outputs] = if extra.sums().is_some() { [shape.taps(), shape.outputs] } else { [0; 2] };
        [extra.indices().len(), taps, outputs]
    }

    /// What `extra` names of a layer, and where its numbers stand; none of most layers.
    pub(super) fn extra_range<'a>(
        &self,
        extra: &'a [Extra],
        layer: usize,
    ) -> Option<(&'a Extra, Range<usize>)> {
        let mut start = 0;
        for own in extra {
            let range = start..start + self.extra_lens(own).iter().sum::<usize>();
            if own.layer() == layer {
                return Some((own, range));
            }
            start = range.end;
        }
        None
    }
}
