//! What a network goes back to, for mask policies that rewind.

use spfde_data::LayerShape;
use spfde_data::tensor::{Tensor, TensorData};
use spfde_model::{LayerStart, Network, REWOUND};

use super::ledger::is_frozen;
use crate::Settings;

/// The state of an early epoch, by layer; empty before that epoch and of a policy that never goes back.
#[derive(Default)]
pub(super) struct Rewind(Vec<LayerStart>);

impl Rewind {
    /// An epoch begins, its deltas applied: at the epoch of the policy the state is taken, and at a later one
    /// that begins with updates all layers that train go back to it.
    pub(super) fn begin(&mut self, network: &mut Network, settings: &Settings, epoch: u32) {
        let (mask, plan) = (&settings.policies.mask, &settings.plan);
        let Some(to) = mask.rewind() else { return };
        if epoch == to {
            self.0 = (0..plan.architecture.layers.len()).map(|layer| network.state(layer)).collect();
        }
        if epoch > to && mask.phase(epoch, settings.epochs).0 == to {
            for layer in (0..self.0.len()).filter(|layer| !is_frozen(network, *layer)).collect::<Vec<_>>() {
                network.begin(layer, &self.0[layer]);
                network.rest(layer);
            }
        }
    }

    /// The state as named tensors.
    pub(super) fn tensors(&self, network: &Network) -> Vec<Tensor> {
        let layers = self.0.iter().zip(&network.architecture().layers);
        let tensors = layers.flat_map(|(state, shape)| {
            let lists = state.lists.iter().map(|(word, list)| (&**word, list));
            let tensor = |(word, list): (&str, &Vec<f32>)| {
                Tensor::list(format!("{}{REWOUND}{word}", shape.name), list.clone())
            };
            [("values", &state.values)].into_iter().chain(lists).map(tensor)
        });
        tensors.collect()
    }

    /// Goes on with a saved state, if there is one.
    pub(super) fn restore(&mut self, network: &Network, tensors: &[Tensor]) {
        let layers = network.architecture().layers.iter().enumerate();
        let state = |(layer, shape): (usize, &LayerShape)| {
            let mut state = network.state(layer);
            let lists = state.lists.iter_mut().map(|(word, list)| (word.clone(), list));
            for (word, list) in [("values".to_owned(), &mut state.values)].into_iter().chain(lists) {
                let name = format!("{}{REWOUND}{word}", shape.name);
                let saved = tensors.iter().find(|tensor| tensor.name == name)?;
                match &saved.data {
                    TensorData::F32(numbers) if numbers.len() == list.len() => list.clone_from(numbers),
                    _ => return None,
                }
            }
            Some(state)
        };
        self.0 = layers.map(state).collect::<Option<Vec<LayerStart>>>().unwrap_or_default();
    }
}
