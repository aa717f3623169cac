//! Where numbers stop being finite.

use spfde_model::{InputShape, Kernel, Network, Shard, TensorData, Workspace};

use crate::support::{Samples, activations, network, samples, sparsify};

const SHAPE: InputShape = InputShape { channels: 1, height: 12, width: 12 };

fn first(network: &Network, samples: &Samples) -> Option<(usize, usize)> {
    // Lanes without a sample are ignored, whatever they hold.
    let inputs = activations(network.kernel(), samples, f32::NAN);
    let (labels, weights) = (&samples.labels, &samples.weights);
    let shard = Shard { inputs: &inputs, labels, weights, noise: &[], batch_samples: labels.len() };
    network.first_not_finite(&mut Workspace::new(network), &shard)
}

/// Scales the weights of a layer out of all proportion.
fn spoil(network: &mut Network, layer: usize) {
    let name = format!("{}.values", network.architecture().layers[layer].name);
    let mut tensors = network.tensors();
    let tensor = tensors.iter_mut().find(|tensor| tensor.name == name).unwrap();
    let TensorData::F32(values) = &mut tensor.data else { panic!("values are floats") };
    values.iter_mut().for_each(|value| *value = value.signum() * f32::MAX);
    network.restore(&tensors).unwrap();
}

#[test]
fn the_first_layer_and_sample_that_are_not_finite_are_found() {
    for model in ["mlp", "lenet5", "resnet20"] {
        let mut clean = network(model, SHAPE, 6, Kernel::resolve("auto").unwrap());
        sparsify(&mut clean, 0.5, None, None);
        let inputs = samples(13, SHAPE, 6);
        for frozen in [0, 1] {
            clean.freeze(frozen);
            assert_eq!(first(&clean, &inputs), None, "{model}");
            for layer in 0..clean.architecture().layers.len() {
                let mut spoilt = clean.clone();
                spoil(&mut spoilt, layer);
                let found = first(&spoilt, &inputs).unwrap();
                assert_eq!(found.0, layer, "{model}, {frozen} frozen");
            }
        }
        // One sample alone: every other one is finite in the first layer.
        let mut inputs = samples(13, SHAPE, 6);
        let pixels = inputs.pixels.len() / 13;
        inputs.pixels[11 * pixels..12 * pixels].fill(f32::INFINITY);
        assert_eq!(first(&clean, &inputs), Some((0, 11)), "{model}");
    }
}

#[test]
fn a_part_is_finite_or_names_the_layer_that_is_not() {
    let network = network("lenet5", SHAPE, 6, Kernel::PORTABLE);
    let mut part = vec![f32::MAX; network.part_len()];
    part[0] = -f32::MAX;
    assert_eq!(network.check(&part), Ok(()), "large, but finite");
    let layers = &network.architecture().layers;
    let ends = [(0, &layers[0].name), (part.len() - 1, &layers[layers.len() - 1].name)];
    for (place, layer) in ends {
        for number in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut wrong = part.clone();
            wrong[place] = number;
            let error = network.check(&wrong).unwrap_err();
            assert_eq!(&error.layer, layer, "{error}");
        }
    }
}
