//! One step of momentum SGD.

use std::sync::Arc;

use ndarray::{ArrayViewMut1, Zip};

use crate::layer::{AffineState, Trained};
use crate::network::Network;

/// The share of a batch's statistics in the running ones.
const RUNNING_SHARE: f32 = 0.1;

/// The optimiser's numbers for one list of parameters.
#[derive(Clone, Copy)]
struct Rates {
    learning_rate: f32,
    momentum: f32,
    weight_decay: f32,
}

impl Network {
    /// Applies the sum of the parts of all shards of a batch.
    ///
    /// Running statistics r of batch norms become 0.9 r + 0.1 b with the batch's b. Parameters w take one step of SGD
    /// with momentum: v ← momentum · v + gradient + `weight_decay` · w, w ← w − rate · v. `rates` holds the learning
    /// rate of each block, the classifier's last. Weight decay applies to weights of convolutions and linear layers.
    /// Weights outside masks and everything in frozen blocks stay as they are.
    ///
    /// # Panics
    /// If `part` is not [`Network::part_len`] long or there is not one rate per block and one for the classifier.
    pub fn update(&mut self, part: &[f32], rates: &[f32], momentum: f32, weight_decay: f32) {
        assert_eq!(part.len(), self.part.len, "a part of this network");
        let architecture = Arc::clone(&self.description.architecture);
        assert_eq!(rates.len(), architecture.blocks.len() + 1, "a rate per block and one for the classifier");
        for (number, layer) in self.layers.iter_mut().enumerate() {
            let block = architecture.layers[number].block;
            if block < self.frozen {
                continue;
            }
            let rates = Rates { learning_rate: rates[block], momentum, weight_decay };
            let weights = &mut layer.weights;
            let gradients = &part[self.part.weights[number].clone()];
            step(weights.values.view_mut(), weights.momenta.view_mut(), gradients, rates);
            weights.refresh();
            let rates = Rates { weight_decay: 0.0, ..rates };
            let affine = &part[self.part.affine[number].clone()];
            match &mut layer.affine {
                AffineState::Bias(bias) => step_trained(bias, affine, rates),
                AffineState::BatchNorm(norm) => {
                    let mut lists = affine.chunks_exact(norm.gain.values.len());
                    let mut next = || lists.next().expect("a batch norm has four lists in a part");
                    step_trained(&mut norm.gain, next(), rates);
                    step_trained(&mut norm.offset, next(), rates);
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

fn step_trained(trained: &mut Trained, gradients: &[f32], rates: Rates) {
    step(trained.values.view_mut(), trained.momenta.view_mut(), gradients, rates);
}

fn step(values: ArrayViewMut1<'_, f32>, momenta: ArrayViewMut1<'_, f32>, gradients: &[f32], rates: Rates) {
    let Rates { learning_rate, momentum, weight_decay } = rates;
    Zip::from(values).and(momenta).and(gradients).for_each(|value, velocity, gradient| {
        *velocity = momentum * *velocity + gradient + weight_decay * *value;
        *value -= learning_rate * *velocity;
    });
}
