//! Masks: what exists, what is computed with it, and nothing else.

use spfde_model::{Growth, InputShape, Kernel, Network, TensorData};

use crate::support::{bits, network, samples, shake, sparsify, train};

const SHAPE: InputShape = InputShape { channels: 2, height: 12, width: 14 };

fn kernels() -> [Kernel; 2] {
    [Kernel::PORTABLE, Kernel::resolve("auto").unwrap()]
}

/// The same network with its absent weights stored as zeros.
fn times_mask(model: &str, masked: &Network) -> Network {
    let mut dense = network(model, SHAPE, 7, masked.kernel());
    let mut tensors = masked.tensors();
    for (number, layer) in masked.architecture().layers.iter().enumerate() {
        let spread = |values: &[f32]| {
            let mut all = vec![0.0; layer.weights()];
            for (index, value) in masked.indices(number).iter().zip(values) {
                all[*index as usize] = *value;
            }
            all
        };
        for tensor in &mut tensors {
            match (tensor.name.strip_prefix(&format!("{}.", layer.name)), &mut tensor.data) {
                (Some("values" | "momenta"), TensorData::F32(values)) => *values = spread(values),
                (Some("indices"), TensorData::U32(indices)) => {
                    *indices = (0..layer.weights() as u32).collect();
                }
                _ => {}
            }
        }
    }
    dense.restore(&tensors).unwrap();
    dense
}

#[test]
fn sparse_equals_dense_times_mask_bit_for_bit() {
    for kernel in kernels() {
        for model in ["mlp", "lenet5", "resnet20"] {
            for frozen in [0, 1] {
                let mut sparse = network(model, SHAPE, 7, kernel);
                sparsify(&mut sparse, 0.2, None, None);
                shake(&mut sparse);
                sparse.freeze(frozen);
                let mut dense = times_mask(model, &sparse);
                dense.freeze(frozen);
                let samples = samples(11, SHAPE, 7);
                let (part, scores) = train(&sparse, &samples, 20);
                let (dense_part, dense_scores) = train(&dense, &samples, 20);
                assert_eq!(scores, dense_scores, "{model}");
                for layer in 0..sparse.architecture().layers.len() {
                    let gradient = sparse.gradient(&part, layer);
                    let all = dense.gradient(&dense_part, layer);
                    let existing: Vec<f32> = match all {
                        [] => vec![],
                        _ => sparse.indices(layer).iter().map(|index| all[*index as usize]).collect(),
                    };
                    assert_eq!(gradient, existing, "{model}, layer {layer}");
                }
            }
        }
    }
}

#[test]
fn a_full_mask_is_a_dense_layer_bit_for_bit() {
    let dense = network("lenet5", SHAPE, 7, Kernel::PORTABLE);
    let mut masked = dense.clone();
    for layer in 0..5 {
        let all: Vec<u32> = masked.indices(layer).to_vec();
        masked.mask(layer, 1.0);
        assert_eq!((masked.nonzero(layer), masked.is_masked(layer)), (0, true));
        masked.apply_mask(layer, &[], &all, Growth::Initial);
    }
    assert_eq!(bits(&dense), bits(&masked));
    let samples = samples(9, SHAPE, 7);
    assert_eq!(train(&dense, &samples, 9), train(&masked, &samples, 9));
}

#[test]
fn deltas_in_two_steps_equal_the_same_in_one() {
    let mut once = network("lenet5", SHAPE, 7, Kernel::PORTABLE);
    once.mask(1, 0.1);
    let mut twice = once.clone();
    once.apply_mask(1, &[], &[2, 3, 5, 8, 900], Growth::Initial);
    twice.apply_mask(1, &[], &[3, 4, 900], Growth::Initial);
    twice.apply_mask(1, &[4], &[2, 5, 8], Growth::Initial);
    assert_eq!(bits(&once), bits(&twice));
}

#[test]
fn a_weight_that_is_pruned_and_grows_again_begins_at_zero_without_momentum() {
    let mut network = network("lenet5", SHAPE, 7, Kernel::resolve("auto").unwrap());
    sparsify(&mut network, 0.3, None, None);
    let samples = samples(16, SHAPE, 7);
    let step = |network: &mut Network| {
        let (part, _) = train(network, &samples, 16);
        network.update(&part, &[0.1; 5], 0.9, 1e-3);
    };
    step(&mut network);
    let index = network.indices(2)[17];
    let momentum = |network: &Network| {
        let tensors = network.tensors();
        let momenta = tensors.iter().find(|tensor| tensor.name == "linear1.momenta").unwrap();
        let TensorData::F32(momenta) = &momenta.data else { panic!("momenta are floating point numbers") };
        momenta[network.indices(2).binary_search(&index).unwrap()]
    };
    let value = |network: &Network| network.values(2)[network.indices(2).binary_search(&index).unwrap()];
    assert!(momentum(&network) != 0.0 && value(&network) != 0.0);
    network.apply_mask(2, &[index], &[], Growth::Zero);
    assert!(network.indices(2).binary_search(&index).is_err());
    step(&mut network);
    network.apply_mask(2, &[], &[index], Growth::Zero);
    assert_eq!((value(&network), momentum(&network)), (0.0, 0.0));
    // Its first step is that of its gradient alone.
    let (part, _) = train(&network, &samples, 16);
    let gradient = network.gradient(&part, 2)[network.indices(2).binary_search(&index).unwrap()];
    network.update(&part, &[0.1; 5], 0.9, 1e-3);
    assert!(gradient != 0.0);
    assert_eq!((value(&network), momentum(&network)), (0.0 - 0.1 * gradient, gradient));
}

#[test]
fn initial_weights_differ_between_seeds_and_layers_and_have_kaiming_variance() {
    let first = network("mlp", SHAPE, 7, Kernel::PORTABLE);
    for (layer, fan_in) in [(0, 336.0), (1, 1024.0), (2, 1024.0)] {
        let values = first.values(layer);
        let square = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / values.len() as f64;
        let deviations = (square * fan_in / 2.0 - 1.0).abs() / (2.0 / values.len() as f64).sqrt();
        assert!(deviations < 5.0, "layer {layer}: {deviations} deviations off");
    }
    assert_ne!(first.values(1)[..10], first.values(2)[..10]);
    let ratio = first.values(1)[0] / first.values(2)[0];
    assert!((first.values(1)[1] / first.values(2)[1] - ratio).abs() > 1e-3, "streams of layers differ");
}
