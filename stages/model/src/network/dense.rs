//! Gradients of all weights of a layer, those that do not exist among them: what a mask grows by.

use std::ops::Range;

use crate::network::Network;

impl Network {
    /// How many weights `layers` have when dense: the length of [`Wanted::dense`](crate::Wanted::dense).
    ///
    /// # Panics
    /// If a layer does not exist or is frozen, or the layers do not ascend.
    pub fn dense_len(&self, layers: &[usize]) -> usize {
        assert!(layers.is_sorted_by(|a, b| a < b), "layers ascend: {layers:?}");
        let shapes = &self.architecture().layers;
        assert!(
            layers.iter().all(|layer| shapes[*layer].block >= self.frozen),
            "no layer is frozen: {layers:?}"
        );
        layers.iter().map(|layer| shapes[*layer].weights()).sum()
    }

    /// The gradient of the batch's mean loss (before weight decay) with respect to all weights of `layer`, row-major in
    /// (output, input, kernel row, kernel column), in the dense gradients of `layers`, added over the shards. The
    /// entries of existing weights have the bits of [`Network::gradient`].
    ///
    /// # Panics
    /// If `layer` is not among `layers`, or `dense` is not [`Network::dense_len`] long.
    pub fn dense_gradient<'a>(&self, dense: &'a [f32], layers: &[usize], layer: usize) -> &'a [f32] {
        assert_eq!(dense.len(), self.dense_len(layers), "dense gradients of these layers");
        assert!(layers.contains(&layer), "layer {layer} is one of {layers:?}");
        &dense[self.dense_range(layers, layer)]
    }

    /// Where the gradients of `layer`, one of `layers`, stand in dense gradients.
    pub(super) fn dense_range(&self, layers: &[usize], layer: usize) -> Range<usize> {
        let weights = |layer: usize| self.architecture().layers[layer].weights();
        let start = layers.iter().take_while(|other| **other < layer).map(|other| weights(*other)).sum();
        start..start + weights(layer)
    }
}
