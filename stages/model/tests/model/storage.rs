//! Values and gradients that are kept as bf16.

use spfde_model::{Activations, InputShape, Kernel, Network, Shard, Storage, Workspace};

use crate::support::{
    activations, bits, network, relative_error, samples, shake, sparsify, train, train_and_observe,
};

const MODELS: [(&str, InputShape); 3] = [
    ("mlp", InputShape { channels: 2, height: 6, width: 5 }),
    ("lenet5", InputShape { channels: 2, height: 14, width: 13 }),
    ("resnet20", InputShape { channels: 3, height: 11, width: 8 }),
];
const CLASSES: usize = 5;

/// By how much rounding to seven bits of mantissa changes a number, relative to it, at most.
const ROUNDING: f64 = 1.0 / 256.0;

fn networks(name: &str, shape: InputShape, density: f64, kernel: Kernel) -> [Network; 2] {
    let mut exact = network(name, shape, CLASSES, kernel);
    sparsify(&mut exact, density, None, None);
    shake(&mut exact);
    let mut halved = exact.clone();
    halved.set_storage(Storage::Bf16);
    [exact, halved]
}

/// Each layer's outputs and their gradients are rounded once, those of a block's sum, too: at most four
/// numbers for each layer on the way through the network and back.
#[test]
fn gradients_differ_from_those_of_f32_by_the_rounding_of_what_is_kept() {
    for (name, shape) in MODELS {
        let samples = samples(37, shape, CLASSES);
        for kernel in Kernel::all() {
            for density in [0.2, 1.0] {
                let [exact, halved] = networks(name, shape, density, kernel);
                let [(exact_part, exact_scores), (part, scores)] =
                    [&exact, &halved].map(|network| train(network, &samples, 37));
                let expected: Vec<f64> = exact_part.iter().map(|number| f64::from(*number)).collect();
                let error = relative_error(&part, &expected);
                let bound = 4.0 * exact.architecture().layers.len() as f64 * ROUNDING;
                let what = format!("{name} at density {density} on {}", kernel.name());
                assert!(error > 0.0 && error < bound, "{what}: {error:.1e} of {bound:.1e}");
                for (score, exact) in scores.iter().zip(&exact_scores) {
                    let difference = f64::from(score.loss - exact.loss).abs();
                    assert!(difference < bound * (1.0 + f64::from(exact.loss)), "{what}: {difference}");
                }
            }
        }
    }
}

#[test]
fn one_pass_leaves_no_trace_in_the_next_whatever_is_kept() {
    for (name, shape) in MODELS {
        let samples = samples(19, shape, CLASSES);
        for kernel in Kernel::all() {
            let [exact, halved] = networks(name, shape, 0.3, kernel);
            let before = [train(&exact, &samples, 19), train(&halved, &samples, 19)];
            assert_ne!(before[0].0, before[1].0);
            let mut network = halved.clone();
            network.set_storage(Storage::F32);
            assert_eq!(train(&network, &samples, 19), before[0]);
            network.set_storage(Storage::Bf16);
            assert_eq!(train(&network, &samples, 19), before[1]);
            assert_eq!(bits(&network), bits(&exact), "weights stay as they are");
        }
    }
}

/// Everything else that a pass gives: gradients of frozen layers, of inputs, and an evaluation.
#[test]
fn frozen_blocks_inputs_and_evaluations_differ_from_those_of_f32_by_the_rounding() {
    for (name, shape) in MODELS {
        let samples = samples(21, shape, CLASSES);
        for kernel in Kernel::all() {
            let mut networks = networks(name, shape, 0.3, kernel);
            let bound = 4.0 * networks[0].architecture().layers.len() as f64 * ROUNDING;
            let blocks = networks[0].architecture().blocks.len();
            networks.iter_mut().for_each(|network| network.freeze(blocks.div_ceil(2)));
            let [exact, halved] = &networks;
            let [(_, expected, _), (_, observed, _)] =
                [exact, halved].map(|network| train_and_observe(network, &samples, 21));
            let inputs = activations(kernel, &samples, f32::NAN);
            let (labels, weights) = (&samples.labels, &samples.weights);
            let shard = Shard { inputs: &inputs, labels, weights, noise: &[], batch_samples: 21 };
            // One workspace serves both, and more samples after fewer.
            let mut workspace = Workspace::new(exact);
            let few = Shard { labels: &labels[..3], weights: &weights[..3], ..shard };
            let mut gradients = |network: &Network| {
                let mut gradient = Activations::zeros(inputs.dim());
                network.observe_shard(&mut workspace, &few);
                network.input_gradient(&mut workspace, &shard, &mut gradient);
                (network.evaluate(&mut workspace, &shard).loss, gradient.into_raw_vec_and_offset().0)
            };
            let [(exact_loss, exact_inputs), (loss, inputs)] = [exact, halved].map(&mut gradients);
            for (what, found, expected) in [("frozen", observed, expected), ("inputs", inputs, exact_inputs)]
            {
                let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
                let error = relative_error(&found, &expected);
                assert!(error > 0.0 && error < bound, "{what} of {name} on {}: {error:.1e}", kernel.name());
            }
            assert!((loss - exact_loss).abs() < bound * exact_loss, "{name}: {loss}, not {exact_loss}");
        }
    }
}
