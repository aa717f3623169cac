//! Gradients: the reference against finite differences, the network against the reference.

use spfde_data::FrozenBlocks;
use spfde_data::architecture::Architecture;
use spfde_model::{InputShape, Kernel, Network};

use crate::families::{Model, Norms, Overrides, model};
use crate::support::{
    Samples, network, number, relative_error, samples, shake, sparsify, train, train_and_observe,
};

/// The models on small images, and the greatest relative error that rounding leaves in a layer's gradient.
const MODELS: [(&str, InputShape); 3] = [
    ("mlp", InputShape { channels: 2, height: 3, width: 4 }),
    ("lenet5", InputShape { channels: 2, height: 14, width: 13 }),
    ("resnet20", InputShape { channels: 3, height: 9, width: 7 }),
];
const CLASSES: usize = 5;
pub(crate) const TOLERANCE: f64 = 2e-5;

#[test]
fn gradients_of_the_reference_are_finite_differences() {
    // Every evaluation of the reference runs the whole network: small images do. All operations of `mlp` are
    // also those of `lenet5`, without a million weights.
    for (name, shape) in MODELS.into_iter().skip(1) {
        let shape = if name == "resnet20" { InputShape { height: 5, width: 6, ..shape } } else { shape };
        for frozen in if name == "lenet5" { ["0", "1"] } else { ["1", "0+1+4"] } {
            let mut network = network(name, shape, CLASSES, Kernel::PORTABLE);
            sparsify(&mut network, 0.3, None, None);
            shake(&mut network);
            network.freeze(FrozenBlocks::parse(frozen).unwrap());
            let samples = samples(2, shape, CLASSES);
            let norms = Norms::Batch;
            let base = model(name, &network, &samples, 4, norms, &Overrides::new());
            let gradients = base.reference.gradients(base.loss);
            for (stream, (parameter, id)) in base.parameters.iter().enumerate() {
                check_differences(name, &network, &samples, norms, &base, parameter, &gradients[*id], stream);
            }
        }
    }
}

/// Compares a few components of a parameter's gradient with central differences.
#[allow(clippy::too_many_arguments, reason = "everything that one comparison is about")]
pub(crate) fn check_differences(
    name: &str,
    network: &Network,
    samples: &Samples,
    norms: Norms,
    base: &Model,
    parameter: &str,
    gradient: &[f64],
    stream: usize,
) {
    const STEP: f64 = 1e-6;
    let values = &base.reference.nodes[base.parameters[parameter]].values;
    for trial in 0..2 {
        let place = ((number(stream as u64, trial) + 1.0) / 2.0 * values.len() as f64) as usize;
        let loss = |by: f64| {
            let mut moved = values.clone();
            moved[place] += by;
            let overrides = Overrides::from([(parameter.to_owned(), moved)]);
            let model = model(name, network, samples, 4, norms, &overrides);
            model.reference.nodes[model.loss].values[0]
        };
        let difference = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
        let error = (difference - gradient[place]).abs();
        assert!(
            error <= 1e-5 * gradient[place].abs() + 1e-8,
            "{name} {parameter}[{place}]: {} by differences {difference}",
            gradient[place]
        );
    }
}

#[test]
fn networks_have_the_gradients_of_the_reference_dense_and_masked_with_and_without_frozen_prefix() {
    for (name, shape) in MODELS {
        for (density, count) in [(1.0, 5), (0.3, 8), (0.1, 11), (0.2, 35)] {
            // The reference of a wide shard takes long; the small models do for that.
            if [8, 35].contains(&count) && name == "resnet20" {
                continue;
            }
            let mut network = network(name, shape, CLASSES, Kernel::PORTABLE);
            if density < 1.0 {
                // One layer in the middle is full.
                sparsify(&mut network, density, None, Some(1));
            }
            shake(&mut network);
            let blocks = network.architecture().blocks.len();
            for frozen in [0, 1, blocks / 2, blocks] {
                network.freeze(frozen);
                compare(name, &network, &samples(count, shape, CLASSES), 40);
            }
        }
    }
}

#[test]
fn networks_with_frozen_blocks_behind_others_have_the_gradients_of_the_reference() {
    for (name, shape) in MODELS {
        let behind: &[&str] = match name {
            "mlp" => &["0+1"],
            "lenet5" => &["0+1", "0+2+3", "1+3"],
            // With and without a shortcut, one alone and several in a row, and the last one.
            _ => &["0+3", "0+1+2+4", "0+8", "2+3+6+8", "0+1+2+3+4+5+6+7+8"],
        };
        for (density, count) in [(1.0, 5), (0.3, 11)] {
            let mut network = network(name, shape, CLASSES, Kernel::PORTABLE);
            if density < 1.0 {
                sparsify(&mut network, density, None, None);
            }
            shake(&mut network);
            for frozen in behind {
                network.freeze(FrozenBlocks::parse(frozen).unwrap());
                compare(name, &network, &samples(count, shape, CLASSES), 40);
            }
        }
    }
}

#[test]
fn a_residual_network_with_an_empty_layer_has_the_gradients_of_the_reference() {
    let (name, shape) = MODELS[2];
    for empty in [2, 8, 9] {
        let mut network = network(name, shape, CLASSES, Kernel::resolve("auto").unwrap());
        sparsify(&mut network, 0.3, Some(empty), None);
        shake(&mut network);
        assert_eq!(network.nonzero(empty), 0);
        compare(name, &network, &samples(9, shape, CLASSES), 9);
    }
}

/// Compares all that a shard contributes, and its scores, with the reference, for both kernels.
pub(crate) fn compare(name: &str, network: &Network, samples: &Samples, batch: usize) {
    let reference = model(name, network, samples, batch, Norms::Batch, &Overrides::new());
    let gradients = reference.reference.gradients(reference.loss);
    for kernel in Kernel::all() {
        let network = with_kernel(network, kernel);
        compare_with(&reference, &gradients, name, &network, samples, batch);
    }
}

/// The same network with another kernel.
fn with_kernel(network: &Network, kernel: Kernel) -> Network {
    let mut other = Network::from_description(network.description().clone(), 11, kernel);
    other.restore(&network.tensors()).unwrap();
    other.freeze(network.frozen_blocks());
    other
}

fn compare_with(
    reference: &Model,
    gradients: &[Vec<f64>],
    name: &str,
    network: &Network,
    samples: &Samples,
    batch: usize,
) {
    let frozen = network.frozen_blocks();
    let (part, scores) = train(network, samples, batch);
    let (same_part, observed, same_scores) = train_and_observe(network, samples, batch);
    assert_eq!((&part, &scores), (&same_part, &same_scores));
    let context = format!("{name}, {} samples, {frozen} frozen, {}", scores.len(), network.kernel().name());
    let share = scores.len() as f64 / batch as f64;
    let close = |what: &str, found: &[f32], expected: &[f64]| {
        let error = relative_error(found, expected);
        assert!(error < TOLERANCE, "{context}: {what} is off by {error:.1e}");
    };
    for (number, layer) in network.architecture().layers.iter().enumerate() {
        let dense = &gradients[reference.parameters[&format!("{}.values", layer.name)]];
        let expected: Vec<f64> = match frozen.contains(layer.block) {
            true => network.indices(number).iter().map(|index| dense[*index as usize]).collect(),
            false => vec![],
        };
        let found = network.observed_gradient(&observed, number);
        close(&format!("observed gradient of {}", layer.name), found, &expected);
    }
    let mut rest = part.as_slice();
    let mut next = |count: usize| {
        let (numbers, behind) = rest.split_at(count);
        rest = behind;
        numbers
    };
    let Architecture { layers, .. } = network.architecture().as_ref();
    for (number, layer) in layers.iter().enumerate().filter(|(_, layer)| !frozen.contains(layer.block)) {
        let of = |what: &str| gradients[reference.parameters[&format!("{}.{what}", layer.name)]].as_slice();
        let dense = of("values");
        let expected: Vec<f64> = network.indices(number).iter().map(|index| dense[*index as usize]).collect();
        let found = next(expected.len());
        assert_eq!(found, network.gradient(&part, number));
        close(&format!("gradient of {}", layer.name), found, &expected);
        if reference.parameters.contains_key(&format!("{}.bias", layer.name)) {
            close(&format!("bias of {}", layer.name), next(layer.outputs), of("bias"));
            continue;
        }
        close(&format!("gain of {}", layer.name), next(layer.outputs), of("gain"));
        close(&format!("offset of {}", layer.name), next(layer.outputs), of("offset"));
        let statistics = reference.reference.statistics(reference.outputs[&layer.name]);
        let count = (scores.len() as u64 * layer.positions) as f64;
        let means: Vec<f64> = statistics.iter().map(|(mean, _)| share * mean).collect();
        let unbiased = count / (count - 1.0).max(1.0);
        let variances: Vec<f64> = statistics.iter().map(|(_, v)| share * v * unbiased).collect();
        close(&format!("means of {}", layer.name), next(layer.outputs), &means);
        close(&format!("variances of {}", layer.name), next(layer.outputs), &variances);
    }
    assert!(rest.is_empty());
    let losses = reference.reference.losses(reference.logits, &samples.labels);
    let found: Vec<f32> = scores.iter().map(|score| score.loss).collect();
    close("losses", &found, &losses);
    for ((score, p), label) in
        scores.iter().zip(reference.reference.softmax(reference.logits)).zip(&samples.labels)
    {
        let label = usize::from(*label);
        let best = (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
        assert_eq!(score.correct, best == label, "{context}");
        let square = |(class, p): (usize, &f64)| (p - f64::from(class == label)).powi(2);
        let norm = p.iter().enumerate().map(square).sum::<f64>().sqrt();
        assert!((f64::from(score.error_norm) - norm).abs() < 1e-4 * norm + 1e-7, "{context}");
    }
}
