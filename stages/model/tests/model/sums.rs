//! Sums of what layers read and of their gradients, and the count of dense gradients.

use spfde_data::random::mix;
use spfde_model::{Description, Extra, InputShape, Kernel, Network, Sums, Wanted, Workspace};

use crate::families::{Model, Norms, Overrides, model};
use crate::support::{Samples, activations, network, relative_error, samples, shake, sparsify, train};

const CLASSES: usize = 5;
const BATCH: usize = 40;
const MODELS: [(&str, InputShape); 4] = [
    ("mlp", InputShape { channels: 2, height: 3, width: 4 }),
    ("lenet5", InputShape { channels: 2, height: 14, width: 13 }),
    ("resnet20", InputShape { channels: 3, height: 9, width: 7 }),
    ("grouped", InputShape { channels: 2, height: 9, width: 8 }),
];

/// `mlp`, `lenet5` and `resnet20`; or strides, paddings and groups, and a linear layer that reads pixels.
fn build(name: &str, shape: InputShape, kernel: Kernel) -> Network {
    if name != "grouped" {
        return network(name, shape, CLASSES, kernel);
    }
    let description = Description::build(shape, CLASSES, |net| {
        net.convolution(6, 3).relu();
        let x = net.block().convolution(6, 3).depthwise().stride(2).batch_norm().relu();
        let x = net.convolution(8, 5).groups(2).padding(1).relu().after(x);
        net.classifier(net.linear(7).relu().after(x))
    });
    Network::from_description(description.unwrap(), 11, kernel)
}

/// The part, and the numbers that `extra` names.
fn train_for(network: &Network, samples: &Samples, extra: &[Extra]) -> [Vec<f32>; 2] {
    let inputs = activations(network.kernel(), samples, f32::NAN);
    let shard = samples.shard(&inputs, BATCH);
    let mut part = vec![f32::NAN; network.part_len()];
    let mut numbers = vec![f32::NAN; network.extra_len(extra)];
    let wanted = Wanted { part: &mut part, extra, extra_gradients: &mut numbers, ..Wanted::default() };
    network.train_shard_for(&mut Workspace::new(network), &shard, wanted);
    [part, numbers]
}

/// Every input that a weight of a layer multiplies, and the gradient that it multiplies it with, by (input,
/// kernel row, kernel column) and by output: `term` makes of each number, of a sample and a position of the
/// output, what is added up.
fn expected(
    (model, gradients): (&Model, &[Vec<f64>]),
    name: &str,
    term: impl Fn(f64, usize, usize) -> f64,
) -> [Vec<f64>; 2] {
    let Model { reference, parameters, outputs, .. } = model;
    let (output, weights) = (outputs[name], &reference.nodes[parameters[&format!("{name}.values")]]);
    let (input, stride, padding) = reference.reads(output);
    let ([n, o, rows, columns], [_, c, h, w]) = (reference.nodes[output].shape, reference.nodes[input].shape);
    let values = &reference.nodes[input].values;
    // A linear layer reads each pixel at one position.
    let (kernel, pixels) = (weights.shape[2], if weights.shape[1] == c * h * w { h * w } else { 1 });
    let (mut taps, mut slopes) = (vec![0.0; c * pixels * kernel * kernel], vec![0.0; o]);
    for sample in 0..n {
        for position in 0..rows * columns {
            for (channel, slope) in slopes.iter_mut().enumerate() {
                let place = (sample * o + channel) * rows * columns + position;
                *slope += term(gradients[output][place], sample, position);
            }
            let (y, x) = (position / columns, position % columns);
            for (tap, sum) in taps.iter_mut().enumerate() {
                if pixels > 1 {
                    *sum += term(values[sample * c * h * w + tap], sample, position);
                    continue;
                }
                let (channel, cell) = (tap / (kernel * kernel), tap % (kernel * kernel));
                let row = (y * stride + cell / kernel).checked_sub(padding).filter(|row| *row < h);
                let column = (x * stride + cell % kernel).checked_sub(padding).filter(|column| *column < w);
                if let (Some(row), Some(column)) = (row, column) {
                    *sum += term(values[((sample * c + channel) * h + row) * w + column], sample, position);
                }
            }
        }
    }
    [taps, slopes]
}

/// The sign of a sample at a position of the output of a layer.
fn sign(noise: u64, layer: usize, position: usize) -> f64 {
    let drawn = mix(mix(mix(noise) ^ (1 << 63) ^ layer as u64) ^ (position / 64) as u64);
    if (drawn >> (position % 64)) & 1 == 0 { 1.0 } else { -1.0 }
}

#[test]
fn sums_are_those_of_the_reference_and_leave_every_bit_of_the_part() {
    for (name, shape) in MODELS {
        let samples = samples(19, shape, CLASSES);
        for frozen in [0, 1] {
            let networks = Kernel::all().into_iter().map(|kernel| {
                let mut network = build(name, shape, kernel);
                sparsify(&mut network, 0.3, None, Some(1));
                shake(&mut network);
                network.freeze(frozen);
                network
            });
            let networks: Vec<Network> = networks.collect();
            let model = model(name, &networks[0], &samples, BATCH, Norms::Batch, &Overrides::new());
            let gradients = model.reference.gradients(model.loss);
            let reference = (&model, &gradients[..]);
            for network in &networks {
                compare(network, &samples, reference, Sums::Magnitudes, |number, _, _, _| number.abs());
                compare(network, &samples, reference, Sums::Signed, |number, layer, sample, position| {
                    number * sign(samples.noise[sample], layer, position)
                });
            }
        }
    }
}

fn compare(
    network: &Network,
    samples: &Samples,
    reference: (&Model, &[Vec<f64>]),
    kind: Sums,
    term: impl Fn(f64, usize, usize, usize) -> f64,
) {
    let shapes = &network.architecture().layers;
    let layers = (0..shapes.len()).filter(|layer| !network.frozen_blocks().contains(shapes[*layer].block));
    // Every other layer with gradients of some absent weights, too.
    let indices = |layer: usize| -> Vec<u32> {
        let some = |index: &u32| index.is_multiple_of(3) || network.indices(layer).contains(index);
        let all = 0..if layer.is_multiple_of(2) { shapes[layer].weights() as u32 } else { 0 };
        all.filter(some).collect()
    };
    let extra: Vec<Extra> =
        layers.map(|layer| Extra::new(layer, indices(layer)).with_sums(Some(kind))).collect();
    let [part, numbers] = train_for(network, samples, &extra);
    assert_eq!(part, train(network, samples, BATCH).0);
    let without: Vec<Extra> = extra.iter().cloned().map(|extra| extra.with_sums(None)).collect();
    let [_, gradients] = train_for(network, samples, &without);
    for layer in extra.iter().map(Extra::layer) {
        let name = &shapes[layer].name;
        let found = network.extra_sums(&numbers, &extra, layer);
        let expected =
            expected(reference, name, |number, sample, position| term(number, layer, sample, position));
        for (found, expected) in found.iter().zip(&expected) {
            let error = relative_error(found, expected);
            assert!(error < 2e-5, "{name} is off by {error:.1e}, {kind:?}");
        }
        let own = network.extra_gradient(&numbers, &extra, layer);
        assert_eq!(own, network.extra_gradient(&gradients, &without, layer), "{name}");
        assert!(network.extra_sums(&gradients, &without, layer).iter().all(|sums| sums.is_empty()));
    }
}

#[test]
fn products_of_sums_of_magnitudes_bound_gradients_and_those_of_signed_sums_have_them_as_their_mean() {
    let (name, shape) = MODELS[1];
    let mut samples = samples(5, shape, CLASSES);
    let network = build(name, shape, Kernel::PORTABLE);
    let layer = 1;
    let [part, numbers] = {
        let extra = [Extra::new(layer, vec![]).with_sums(Some(Sums::Magnitudes))];
        let [part, numbers] = train_for(&network, &samples, &extra);
        let [taps, slopes] = network.extra_sums(&numbers, &extra, layer);
        for (index, gradient) in network.gradient(&part, layer).iter().enumerate() {
            let bound = taps[index % taps.len()] * slopes[index / taps.len()];
            assert!(gradient.abs() <= bound * 1.0001, "{index}");
        }
        [part, numbers]
    };
    assert_eq!(numbers.len(), 6 * 25 + 16);
    let extra = [Extra::new(layer, vec![]).with_sums(Some(Sums::Signed))];
    let model = model(name, &network, &samples, BATCH, Norms::Batch, &Overrides::new());
    let reference = (&model, &model.reference.gradients(model.loss)[..]);
    let name = &network.architecture().layers[layer].name;
    let [taps, slopes] = expected(reference, name, |number, _, _| number * number);
    let gradients = network.gradient(&part, layer);
    let (mut sums, rounds) = (vec![0.0; gradients.len()], 400);
    for round in 0..rounds {
        samples.noise.iter_mut().for_each(|noise| *noise = mix(*noise ^ round));
        let [_, numbers] = train_for(&network, &samples, &extra);
        let [taps, slopes] = network.extra_sums(&numbers, &extra, layer);
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum += f64::from(taps[index % taps.len()]) * f64::from(slopes[index / taps.len()]);
        }
    }
    // The variance of a product is at most twice that of the squares; seven deviations for 2400 weights.
    for (index, sum) in sums.into_iter().enumerate() {
        let squares = 2.0 * taps[index % taps.len()] * slopes[index / taps.len()];
        let off = sum / rounds as f64 - f64::from(gradients[index]);
        assert!(off.abs() <= 7.0 * (squares / rounds as f64).sqrt(), "{index} is off by {off}");
    }
}

#[test]
fn only_gradients_of_all_weights_of_a_layer_that_lacks_some_count_as_dense() {
    let (name, shape) = MODELS[1];
    let mut network = build(name, shape, Kernel::PORTABLE);
    sparsify(&mut network, 0.3, None, Some(1));
    let samples = samples(9, shape, CLASSES);
    let inputs = activations(network.kernel(), &samples, 0.0);
    let mut workspace = Workspace::new(&network);
    let mut count = |extra: &[Extra]| {
        let (mut part, mut numbers) = (vec![0.0; network.part_len()], vec![0.0; network.extra_len(extra)]);
        let wanted = Wanted { part: &mut part, extra, extra_gradients: &mut numbers, ..Wanted::default() };
        network.train_shard_for(&mut workspace, &samples.shard(&inputs, 9), wanted);
        workspace.take_dense_gradients()
    };
    let all =
        |layer: usize| -> Vec<u32> { (0..network.architecture().layers[layer].weights() as u32).collect() };
    let sums = |layer: usize| Extra::new(layer, vec![]).with_sums(Some(Sums::Magnitudes));
    // The first layer is not masked, and of the second all weights exist.
    assert_eq!(count(&[Extra::new(0, all(0)), Extra::new(1, all(1)), sums(2)]), 0);
    let absent = all(3).into_iter().find(|index| !network.indices(3).contains(index));
    let almost = all(3).into_iter().filter(|index| Some(*index) != absent).collect();
    assert_eq!(count(&[Extra::new(2, network.indices(2).to_vec()), Extra::new(3, almost)]), 0);
    assert_eq!(count(&[Extra::new(2, all(2)), Extra::new(3, all(3))]), 2);
    assert_eq!(count(&[]), 0, "what was taken is gone");
}
