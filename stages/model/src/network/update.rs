//! The update: one step of the optimiser, and running statistics.

use std::sync::Arc;

use crate::layer::AffineState;
use crate::network::Network;
use crate::optimiser::Optimiser;

/// The share of a batch's statistics in the running ones.
const RUNNING_SHARE: f32 = 0.1;

impl Network {
    /// Applies the sum of the parts of all shards of a batch.
    ///
    /// Running statistics r of batch norms become 0.9 r + 0.1 b with the batch's b. Parameters take one step
    /// of the `optimiser`. `rates` holds the learning rate of each block, the classifier's last. Weights
    /// outside masks and everything in frozen blocks stay as they are, their momenta, too.
    ///
    /// # Panics
    /// If `part` is not [`Network::part_len`] long or there is not one rate per block and one for the
    /// classifier.
    pub fn update(&mut self, part: &[f32], rates: &[f32], optimiser: &dyn Optimiser) {
        assert_eq!(part.len(), self.part.len, "a part of this network");
        let architecture = Arc::clone(&self.description.architecture);
        assert_eq!(rates.len(), architecture.blocks.len() + 1, "a rate per block and one for the classifier");
        for (number, layer) in self.layers.iter_mut().enumerate() {
            let block = architecture.layers[number].block;
            if block < self.frozen {
                continue;
            }
            let step = |values: &mut [f32], state: &mut [f32], gradients: &[f32], decays: bool| {
                optimiser.step(values, state, gradients, rates[block], decays);
            };
            let weights = &mut layer.weights;
            let gradients = &part[self.part.weights[number].clone()];
            step(&mut weights.values, &mut weights.momenta, gradients, true);
            weights.refresh();
            let affine = &part[self.part.affine[number].clone()];
            match &mut layer.affine {
                AffineState::Bias(bias) => step(&mut bias.values, &mut bias.momenta, affine, false),
                AffineState::BatchNorm(norm) => {
                    let mut lists = affine.chunks_exact(norm.gain.values.len());
                    let mut next = || lists.next().expect("a batch norm has four lists in a part");
                    for trained in [&mut norm.gain, &mut norm.offset] {
                        step(&mut trained.values, &mut trained.momenta, next(), false);
                    }
                    for running in [&mut norm.running_mean, &mut norm.running_variance] {
                        for (running, measured) in running.iter_mut().zip(next()) {
                            *running = (1.0 - RUNNING_SHARE) * *running + RUNNING_SHARE * measured;
                        }
                    }
                }
            }
        }
    }
}
