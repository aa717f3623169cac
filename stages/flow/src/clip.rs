//! Gradient clipping by norm (Pascanu et al. 2013, [arXiv 1211.5063](https://arxiv.org/abs/1211.5063)).

use spfde_model::Network;

use crate::train::norms;
use crate::{GradientTransform, Tick};

/// Scales the reduced gradient of the batch's mean loss down to the norm `norm` where its own is greater.
///
/// The norm is the L2 norm over all parameters that train at that step: existing weights, biases, gains and
/// offsets of every layer that is not frozen, before weight decay. The order of the layers is that of the
/// sum, so every worker has the same bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// The greatest norm, above 0.
    pub norm: f64,
}

impl GradientTransform for Clip {
    fn reduced(&self, _: Tick, network: &Network, part: &mut [f32]) {
        let squares: f64 = network.gradients().map(|gradients| norms(&part[gradients])[1]).sum();
        let norm = squares.sqrt();
        if norm > self.norm {
            let factor = (self.norm / norm) as f32;
            let gradients = network.gradients();
            gradients.for_each(|gradients| part[gradients].iter_mut().for_each(|value| *value *= factor));
        }
    }
}

#[cfg(test)]
mod tests {
    use spfde_model::{Kernel, MomentumSgd, TensorData, models};

    use super::*;

    /// The numbers of a layer's state.
    fn list(network: &Network, name: &str) -> Vec<f32> {
        let tensor = network.tensors().into_iter().find(|tensor| tensor.name == name).unwrap();
        let TensorData::F32(values) = tensor.data else { panic!("{name} are floats") };
        values
    }

    #[test]
    fn parameters_of_layers_that_train_are_scaled_and_statistics_are_not() {
        let entry = models::registry().into_iter().find(|entry| entry.name == "resnet20").unwrap();
        let shape = spfde_model::InputShape { channels: 1, height: 8, width: 8 };
        let parameters = spfde_data::parameter::Parameters::defaults(&entry.keys());
        let description = (entry.build)(&parameters, shape, 10).unwrap();
        let mut network = Network::from_description(description, 1, Kernel::PORTABLE);
        network.freeze(2);
        let layers = network.architecture().layers.iter().filter(|layer| layer.block >= 2);
        // A gain and an offset for each channel, but for the classifier's biases.
        let parameters: usize = layers.map(|layer| layer.weights() + 2 * layer.outputs).sum::<usize>() - 10;
        let mut part = vec![2.0; network.part_len()];
        let norm = 2.0 * (parameters as f64).sqrt();
        Clip { norm: 1.001 * norm }.reduced(Tick::default(), &network, &mut part);
        assert!(part.iter().all(|value| *value == 2.0), "a smaller norm stays");
        Clip { norm: norm / 4.0 }.reduced(Tick::default(), &network, &mut part);
        let before = network.clone();
        let optimiser = MomentumSgd { momentum: 0.0, weight_decay: 0.0, nesterov: false };
        network.update(&part, &vec![1.0; network.architecture().blocks.len() + 1], &optimiser);
        let moved = |name: &str| -> Vec<f32> {
            let lists = list(&before, name).into_iter().zip(list(&network, name));
            lists.map(|(before, after)| before - after).collect()
        };
        for (list, by) in [("values", 0.5), ("gain", 0.5), ("offset", 0.5), ("running_mean", -0.2)] {
            for block in ["block3", "block8"] {
                let moved = moved(&format!("{block}.convolution1.{list}"));
                assert!(moved.iter().all(|moved| (moved - by).abs() < 1e-5), "{block}, {list}: {moved:?}");
            }
            assert!(
                moved(&format!("block1.convolution1.{list}")).iter().all(|moved| *moved == 0.0),
                "{list}"
            );
        }
        assert!(moved("classifier.bias").iter().all(|moved| (moved - 0.5).abs() < 1e-5));
    }
}
