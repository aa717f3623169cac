//! The update: one step of the optimiser, and running statistics.

use std::sync::Arc;

use crate::layer::{AffineState, Trained};
use crate::network::Network;
use crate::optimiser::{Optimiser, State};

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
    /// If the network does not keep what this optimiser does (see [`Network::set_optimiser`]), `part` is not
    /// [`Network::part_len`] long, or there is not one rate per block and one for the classifier.
    pub fn update(&mut self, part: &[f32], rates: &[f32], optimiser: &dyn Optimiser) {
        assert_eq!(part.len(), self.part.len, "a part of this network");
        let architecture = Arc::clone(&self.description.architecture);
        assert_eq!(rates.len(), architecture.blocks.len() + 1, "a rate per block and one for the classifier");
        for (number, layer) in self.layers.iter_mut().enumerate() {
            let block = architecture.layers[number].block;
            if self.frozen.contains(block) {
                continue;
            }
            assert_eq!(
                optimiser.keeps_squares(),
                layer.weights.keeps_squares,
                "set_optimiser comes before updates"
            );
            let (rate, steps) = (rates[block], layer.steps);
            let step = |trained: &mut Trained, gradients: &[f32]| {
                let Trained { values, momenta, squares } = trained;
                optimiser.step(values, State { momenta, squares, steps }, gradients, rate, 0.0);
            };
            let weights = &mut layer.weights;
            let gradients = &part[self.part.weights[number].clone()];
            let state = State { momenta: &mut weights.momenta, squares: &mut weights.squares, steps };
            optimiser.step(&mut weights.values, state, gradients, rate, 1.0);
            weights.refresh();
            layer.steps += u32::from(optimiser.keeps_squares());
            let affine = &part[self.part.affine[number].clone()];
            match &mut layer.affine {
                AffineState::Bias(bias) => step(bias, affine),
                AffineState::BatchNorm(norm) => {
                    let mut lists = affine.chunks_exact(norm.gain.values.len());
                    let mut next = || lists.next().expect("a batch norm has four lists in a part");
                    for trained in [&mut norm.gain, &mut norm.offset] {
                        step(trained, next());
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
