//! What is only looked at: scores of samples that do not train, gradients of layers that are frozen.

use std::ops::Range;

use crate::network::Network;
use crate::operation::loss;
use crate::shard::{Score, Shard};
use crate::workspace::Workspace;

impl Network {
    /// Scores a shard as [`Network::train_shard`] would, with the shard's own statistics but without backward pass and
    /// without any trace in the network. `scores` is cleared and gets one score per sample, in their order. Weights in
    /// the loss and `batch_samples` do not matter.
    ///
    /// # Panics
    /// If the shard's inputs have another shape than the network's or too few lanes, or a label is no class.
    pub fn observe_shard(&self, workspace: &mut Workspace, shard: &Shard<'_>, scores: &mut Vec<Score>) {
        scores.clear();
        let blocks = [self.frozen; 2];
        let Some(mut pass) = self.pass(workspace, shard, &self.scoring, blocks) else { return };
        self.run_forward(&mut pass);
        loss::score(&pass, shard.labels, |score| scores.push(score));
    }

    /// How many weights of frozen layers exist.
    pub fn observed_len(&self) -> usize {
        self.observed_range(self.layers.len()).start
    }

    /// The gradients of the existing weights of `layer` in observed gradients, in the order of [`Network::indices`];
    /// empty if the layer is not frozen.
    ///
    /// # Panics
    /// If `observed` is not [`Network::observed_len`] long or there is no such layer.
    pub fn observed_gradient<'a>(&self, observed: &'a [f32], layer: usize) -> &'a [f32] {
        assert_eq!(observed.len(), self.observed_len(), "observed gradients of this network");
        &observed[self.observed_range(layer)]
    }

    /// Where the gradients of `layer` stand in observed gradients; behind all of them for the number of layers.
    pub(super) fn observed_range(&self, layer: usize) -> Range<usize> {
        let frozen = |layer: &usize| self.architecture().layers[*layer].block < self.frozen;
        let start = (0..layer).filter(frozen).map(|layer| self.nonzero(layer)).sum();
        let own = Some(layer).filter(|layer| *layer < self.layers.len() && frozen(layer));
        start..start + own.map_or(0, |layer| self.nonzero(layer))
    }
}
