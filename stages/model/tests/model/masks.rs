//! Masks: what exists, what is computed with it, and nothing else.

use spfde_model::{Form, Growth, InputShape, Kernel, Network, Score, TensorData};

use crate::support::{bits, network, samples, sgd, shake, sparsify, train};

const SHAPE: InputShape = InputShape { channels: 2, height: 12, width: 14 };

fn kernels() -> Vec<Kernel> {
    Kernel::all()
}

/// The same network in which of each ten absent weights the first `tenths` are stored as zeros.
fn with_zeros(model: &str, masked: &Network, tenths: u32) -> Network {
    let mut padded = network(model, SHAPE, 7, masked.kernel());
    let mut tensors = masked.tensors();
    for (number, layer) in masked.architecture().layers.iter().enumerate() {
        let exists = |index: &u32| masked.indices(number).binary_search(index).is_ok();
        let all: Vec<u32> =
            (0..layer.weights() as u32).filter(|index| exists(index) || index % 10 < tenths).collect();
        let spread = |values: &[f32]| -> Vec<f32> {
            let place = |index: &u32| masked.indices(number).binary_search(index);
            all.iter().map(|index| place(index).map_or(0.0, |place| values[place])).collect()
        };
        for tensor in &mut tensors {
            match (tensor.name.strip_prefix(&format!("{}.", layer.name)), &mut tensor.data) {
                (Some("values" | "momenta"), TensorData::F32(values)) => *values = spread(values),
                (Some("indices"), TensorData::U32(indices)) => *indices = all.clone(),
                _ => {}
            }
        }
    }
    padded.restore(&tensors).unwrap();
    padded
}

/// Trains a sparse network and the same with zeros in place of absent weights, and compares what they report.
fn compare_with_zeros(tenths: u32, compare: impl Fn(&str, &[f32], &[f32])) {
    for kernel in kernels() {
        for model in ["mlp", "lenet5", "resnet20"] {
            for frozen in [0, 1] {
                let mut sparse = network(model, SHAPE, 7, kernel);
                sparsify(&mut sparse, 0.2, None, None);
                shake(&mut sparse);
                sparse.freeze(frozen);
                let mut padded = with_zeros(model, &sparse, tenths);
                padded.freeze(frozen);
                let samples = samples(11, SHAPE, 7);
                let (part, scores) = train(&sparse, &samples, 20);
                let (padded_part, padded_scores) = train(&padded, &samples, 20);
                let losses = |scores: &[Score]| scores.iter().map(|score| score.loss).collect::<Vec<_>>();
                compare(&format!("losses of {model}"), &losses(&scores), &losses(&padded_scores));
                for layer in 0..sparse.architecture().layers.len() {
                    let gradient = sparse.gradient(&part, layer);
                    let all = padded.gradient(&padded_part, layer);
                    let place = |index: &u32| padded.indices(layer).binary_search(index).unwrap();
                    let existing: Vec<f32> = match all {
                        [] => vec![],
                        _ => sparse.indices(layer).iter().map(|index| all[place(index)]).collect(),
                    };
                    compare(&format!("{model}, layer {layer}"), gradient, &existing);
                }
            }
        }
    }
}

#[test]
fn zeros_in_a_sparse_layer_change_no_bit() {
    compare_with_zeros(6, |what, sparse, padded| assert_eq!(sparse, padded, "{what}"));
}

#[test]
fn sparse_equals_dense_times_mask_up_to_rounding() {
    compare_with_zeros(10, |what, sparse, dense| {
        assert_eq!(sparse.len(), dense.len());
        let scale = sparse.iter().fold(0.0, |scale: f32, value| scale.max(value.abs()));
        for (sparse, dense) in sparse.iter().zip(dense) {
            assert!((sparse - dense).abs() <= 2e-5 * scale, "{what}: {sparse}, {dense}, up to {scale}");
        }
    });
}

#[test]
fn the_form_of_a_layer_follows_its_density() {
    let mut network = network("lenet5", SHAPE, 7, Kernel::PORTABLE);
    let weights = network.architecture().layers[1].weights() as u32;
    assert_eq!(network.form(1), Form::Dense);
    let kept = (f64::from(weights) * Form::DENSE_FROM).ceil() as u32;
    network.mask(1, 1.0);
    network.apply_mask(1, &[], &(0..kept).collect::<Vec<_>>(), Growth::Zero);
    assert_eq!(network.form(1), Form::Dense);
    network.apply_mask(1, &[0], &[], Growth::Zero);
    assert_eq!(network.form(1), Form::Sparse);
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
        network.update(&part, &[0.1; 5], &sgd(0.9, 1e-3));
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
    network.update(&part, &[0.1; 5], &sgd(0.9, 1e-3));
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
