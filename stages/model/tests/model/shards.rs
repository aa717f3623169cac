//! Shards: padding, sums, scores, evaluation, faults, and the same bits every time.

use spfde_model::{Evaluation, InputShape, Kernel, Network, Shard, Workspace};

use crate::families::{Norms, Overrides, model};
use crate::support::{Samples, activations, network, relative_error, samples, sgd, shake, sparsify, train};

const SHAPE: InputShape = InputShape { channels: 2, height: 12, width: 12 };

fn masked(model: &str, kernel: Kernel) -> Network {
    let mut network = network(model, SHAPE, 6, kernel);
    sparsify(&mut network, 0.3, None, None);
    shake(&mut network);
    network
}

fn shard<'a>(samples: &'a Samples, inputs: &'a spfde_model::Activations, batch: usize) -> Shard<'a> {
    samples.shard(inputs, batch)
}

/// Samples `range` of `samples`.
fn part_of(samples: &Samples, range: std::ops::Range<usize>) -> Samples {
    let [_, c, h, w] = samples.shape;
    Samples {
        shape: [range.len(), c, h, w],
        pixels: samples.pixels[range.start * c * h * w..range.end * c * h * w].to_vec(),
        labels: samples.labels[range.clone()].to_vec(),
        noise: samples.noise[range.clone()].to_vec(),
        weights: samples.weights[range].to_vec(),
    }
}

#[test]
fn what_stands_in_lanes_without_a_sample_does_not_matter() {
    for kernel in Kernel::all() {
        for model in ["mlp", "lenet5", "resnet20"] {
            for frozen in [0, 2] {
                let mut network = masked(model, kernel);
                network.freeze(frozen);
                let samples = samples(11, SHAPE, 6);
                let expected = train(&network, &samples, 16);
                for padding in [f32::NAN, f32::INFINITY, 1e30] {
                    let inputs = activations(network.kernel(), &samples, padding);
                    let mut part = vec![0.0; network.part_len()];
                    let shard = shard(&samples, &inputs, 16);
                    let scores = network.train_shard(&mut Workspace::new(&network), &shard, &mut part);
                    assert_eq!((part, scores), expected, "{model} padded with {padding}");
                }
            }
        }
    }
}

#[test]
fn a_shard_without_samples_adds_nothing() {
    let network = masked("resnet20", Kernel::PORTABLE);
    let (part, scores) = train(&network, &samples(0, SHAPE, 6), 7);
    assert!(part.iter().all(|value| *value == 0.0) && scores.is_empty());
    let nothing = samples(0, SHAPE, 6);
    let inputs = activations(network.kernel(), &nothing, 0.0);
    let evaluation = network.evaluate(&mut Workspace::new(&network), &shard(&nothing, &inputs, 0));
    assert_eq!(evaluation, Evaluation::default());
}

#[test]
fn parts_of_shards_add_up_to_the_part_of_the_batch_where_no_norm_is_concerned() {
    let network = masked("lenet5", Kernel::resolve("auto").unwrap());
    let all = samples(21, SHAPE, 6);
    let (whole, scores) = train(&network, &all, 21);
    let mut sum = vec![0.0; whole.len()];
    let mut joined = vec![];
    for range in [0..9, 9..10, 10..21] {
        let (part, scores) = train(&network, &part_of(&all, range), 21);
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        joined.extend(scores);
    }
    let whole: Vec<f64> = whole.into_iter().map(f64::from).collect();
    assert!(relative_error(&sum, &whole) < 1e-5);
    assert_eq!(joined, scores);
}

#[test]
fn a_used_workspace_gives_the_same_bits_as_a_new_one() {
    let kernel = Kernel::resolve("auto").unwrap();
    let mut network = masked("resnet20", kernel);
    let mut workspace = Workspace::new(&network);
    for (count, frozen) in [(9, 0), (33, 0), (3, 4), (17, 9), (9, 0), (16, 1)] {
        network.freeze(frozen);
        let samples = samples(count, SHAPE, 6);
        let inputs = activations(network.kernel(), &samples, 0.0);
        let mut part = vec![0.0; network.part_len()];
        let shard = shard(&samples, &inputs, 40);
        let scores = network.train_shard(&mut workspace, &shard, &mut part);
        assert_eq!((&part, &scores), (&train(&network, &samples, 40).0, &train(&network, &samples, 40).1));
        network.evaluate(&mut workspace, &shard);
    }
}

#[test]
fn observing_a_shard_scores_it_like_training() {
    for frozen in [0, 3] {
        let mut network = masked("resnet20", Kernel::resolve("auto").unwrap());
        network.freeze(frozen);
        let samples = samples(19, SHAPE, 6);
        let inputs = activations(network.kernel(), &samples, 0.0);
        let shard = shard(&samples, &inputs, 19);
        let scores = network.observe_shard(&mut Workspace::new(&network), &shard);
        assert_eq!(scores, train(&network, &samples, 19).1);
    }
}

#[test]
fn an_evaluation_is_that_of_the_reference_with_running_statistics() {
    for kernel in Kernel::all() {
        for name in ["mlp", "lenet5", "resnet20"] {
            let network = masked(name, kernel);
            let samples = samples(13, SHAPE, 6);
            let inputs = activations(network.kernel(), &samples, f32::NAN);
            let found = network.evaluate(&mut Workspace::new(&network), &shard(&samples, &inputs, 13));
            let reference = model(name, &network, &samples, 13, Norms::Running, &Overrides::new());
            let losses = reference.reference.losses(reference.logits, &samples.labels);
            let softmax = reference.reference.softmax(reference.logits);
            let best = |p: &Vec<f64>| (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
            let correct =
                softmax.iter().zip(&samples.labels).filter(|(p, l)| best(p) == usize::from(**l)).count();
            assert_eq!(found.correct, correct as u32, "{name}");
            let loss: f64 = losses.iter().sum();
            assert!((found.loss - loss).abs() < 1e-5 * loss, "{name}: {}, not {loss}", found.loss);
        }
    }
}

#[test]
fn a_number_that_is_not_finite_is_found_and_named() {
    let network = masked("resnet20", Kernel::PORTABLE);
    let (part, _) = train(&network, &samples(4, SHAPE, 6), 4);
    assert_eq!(network.check(&part), Ok(()));
    // The stem's 288 weights come first, then its gains, offsets, means and variances, 16 each.
    let names = [
        (287, "stem", "weight gradient"),
        (288, "stem", "gain gradient"),
        (288 + 16, "stem", "offset gradient"),
        (288 + 47, "stem", "mean"),
        (288 + 48, "stem", "variance"),
        (288 + 64, "block0.convolution1", "weight gradient"),
        (part.len() - 7, "classifier", "weight gradient"),
        (part.len() - 1, "classifier", "bias gradient"),
    ];
    for (place, layer, what) in names {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut part = part.clone();
            part[place] = value;
            let fault = network.check(&part).unwrap_err();
            assert_eq!((fault.layer.as_str(), fault.what), (layer, what));
        }
    }
}

#[test]
fn a_sample_that_is_not_finite_is_noticed() {
    for model in ["mlp", "lenet5", "resnet20"] {
        for kernel in Kernel::all() {
            let network = masked(model, kernel);
            let mut samples = samples(5, SHAPE, 6);
            samples.pixels[700] = f32::NAN;
            let (part, scores) = train(&network, &samples, 5);
            assert!(network.check(&part).is_err(), "{model}");
            assert!(scores.iter().any(|score| score.loss.is_nan() && !score.correct), "{model}");
        }
    }
}

#[test]
fn training_learns_a_batch_by_heart() {
    for model in ["mlp", "lenet5", "resnet20"] {
        let mut network = masked(model, Kernel::resolve("auto").unwrap());
        let samples = samples(16, SHAPE, 6);
        let rates = vec![0.02; network.architecture().blocks.len() + 1];
        for _ in 0..60 {
            let (part, _) = train(&network, &samples, 16);
            network.check(&part).unwrap();
            network.update(&part, &rates, &sgd(0.9, 1e-4));
        }
        let (_, scores) = train(&network, &samples, 16);
        assert!(scores.iter().all(|score| score.correct), "{model}: {scores:?}");
        let inputs = activations(network.kernel(), &samples, 0.0);
        let evaluation = network.evaluate(&mut Workspace::new(&network), &shard(&samples, &inputs, 16));
        assert!(evaluation.correct >= 15, "{model}: {evaluation:?}");
    }
}
