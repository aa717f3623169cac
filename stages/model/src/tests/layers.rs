//! One convolution of every size, stride, padding and extent, between two others; pooling of odd extents.

use proptest::prelude::*;
use spfde_data::random::{Purpose, draw};

use super::reference::Reference;
use crate::description::{Affine, Description, InputShape, NetworkBuilder, Node};
use crate::kernel::Kernel;
use crate::lane::Activations;
use crate::network::Network;
use crate::shard::{Extra, Shard, Wanted};
use crate::weights::Growth;
use crate::workspace::Workspace;

/// Kernel, stride and padding of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

/// A network of three convolutions, of which the middle one is of interest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) window: Window,
    pub(super) affine: Affine,
    pub(super) density: f64,
    pub(super) samples: usize,
}

/// Numbers of which a batch norm can be compared. Of few it makes the same, nearly, whatever they are: of one
/// 0, of two 1 and −1. What is left of a gradient behind it is what rounding makes of zero.
const NORMED: usize = 16;

/// Inputs of a ReLU that are so small, and not 0, may have either sign with rounded numbers, and a gradient
/// or none.
const ROUNDING: f64 = 1e-5;

impl Case {
    fn first(&self) -> Affine {
        if self.samples * self.height * self.width > NORMED { Affine::BatchNorm } else { Affine::Bias }
    }

    /// Numbers of each channel behind the middle convolution.
    fn numbers(&self) -> usize {
        let Window { kernel, stride, padding } = self.window;
        let outputs = |extent: usize| (extent + 2 * padding - kernel) / stride + 1;
        self.samples * outputs(self.height) * outputs(self.width)
    }
}

const CLASSES: usize = 3;

fn number(stream: u64, place: usize) -> f64 {
    (draw(stream, Purpose::User, 1, place as u64) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn with(node: Node<'_>, affine: Affine) -> Node<'_> {
    match affine {
        Affine::BatchNorm => node.batch_norm(),
        Affine::Bias => node,
    }
}

pub(super) fn describe(case: &Case) -> Description {
    let input = InputShape { channels: 2, height: case.height, width: case.width };
    let network = Description::build(input, CLASSES, |network: &NetworkBuilder| {
        with(network.convolution(case.inputs, 1), case.first()).relu();
        let Window { kernel, stride, padding } = case.window;
        let middle = network.convolution(case.outputs, kernel).stride(stride).padding(padding);
        network.classifier(network.average_pool(with(middle, case.affine).relu()))
    });
    network.unwrap()
}

/// Compares all gradients of one shard with the reference; `false` if there is nothing to compare, since
/// rounding decides on which side of a ReLU's kink a number lies.
pub(super) fn check(case: &Case, kernel: Kernel) -> bool {
    let mut network = Network::from_description(describe(case), 3, kernel);
    let weights = network.nonzero(1);
    let kept: Vec<u32> = (0..weights)
        .filter(|index| number(1, *index) < 2.0 * case.density - 1.0)
        .map(|index| index as u32)
        .collect();
    network.mask(1, case.density.max(0.01));
    network.apply_mask(1, &[], &kept, Growth::Initial);

    let pixel = |sample: usize, channel: usize, row: usize, column: usize| {
        number(2, ((sample * 2 + channel) * 32 + row) * 32 + column) as f32
    };
    let lanes = kernel.lanes();
    let shape = (kernel.groups(case.samples), case.height, 2, case.width, lanes);
    // Lanes behind the samples hold NaN, which must not get anywhere.
    let inputs =
        Activations::from_shape_fn(shape, |(group, row, channel, column, lane)| match group * lanes + lane {
            sample if sample < case.samples => pixel(sample, channel, row, column),
            _ => f32::NAN,
        });
    let labels: Vec<u16> = (0..case.samples).map(|sample| (sample % CLASSES) as u16).collect();
    let weights: Vec<f32> = (0..case.samples).map(|sample| 1.0 + (sample % 3) as f32).collect();
    let shard = Shard {
        inputs: &inputs,
        labels: &labels,
        weights: &weights,
        noise: &[],
        batch_samples: case.samples,
    };
    let mut part = vec![0.0; network.part_len()];
    let weights_of = |layer: usize| network.architecture().layers[layer].weights() as u32;
    let whole: Vec<Extra> = (0..3).map(|layer| Extra::new(layer, (0..weights_of(layer)).collect())).collect();
    let mut all = vec![0.0; network.extra_len(&whole)];
    let wanted = Wanted { part: &mut part, extra: &whole, extra_gradients: &mut all, ..Wanted::default() };
    let scores = network.train_shard_for(&mut Workspace::new(&network), &shard, wanted);

    let mut reference = Reference::default();
    let mut pixels = vec![];
    for sample in 0..case.samples {
        for channel in 0..2 {
            for row in 0..case.height {
                pixels.extend((0..case.width).map(|column| f64::from(pixel(sample, channel, row, column))));
            }
        }
    }
    let input = reference.leaf([case.samples, 2, case.height, case.width], pixels);
    let dense: Vec<Vec<f64>> = (0..3).map(|layer| dense(&network, layer)).collect();
    let Case { inputs, outputs, window: Window { kernel: size, stride, padding }, .. } = *case;
    let first = reference.leaf([inputs, 2, 1, 1], dense[0].clone());
    let value = reference.convolution(input, first, 1, 0);
    let before = affine(&mut reference, value, inputs, case.first());
    let value = reference.relu(before);
    let middle = reference.leaf([outputs, inputs, size, size], dense[1].clone());
    let value = reference.convolution(value, middle, stride, padding);
    let behind = affine(&mut reference, value, outputs, case.affine);
    let value = reference.relu(behind);
    let value = reference.average_pool(value);
    let classifier = reference.leaf([CLASSES, outputs, 1, 1], dense[2].clone());
    let logits = reference.linear(value, classifier);
    let loss = reference.loss(logits, &labels, &weights, case.samples);
    let gradients = reference.gradients(loss);
    let doubtful = |value: &f64| *value != 0.0 && value.abs() < ROUNDING;
    if [before, behind].iter().any(|place| reference.nodes[*place].values.iter().any(doubtful)) {
        return false;
    }

    for (layer, place) in [first, middle, classifier].into_iter().enumerate() {
        let found = network.extra_gradient(&all, &whole, layer);
        assert_eq!(found.len(), gradients[place].len());
        for (index, gradient) in network.indices(layer).iter().zip(network.gradient(&part, layer)) {
            assert_eq!(gradient.to_bits(), found[*index as usize].to_bits(), "{case:?}: layer {layer}");
        }
        let size = gradients[place].iter().map(|g| g * g).sum::<f64>().sqrt();
        for (index, (found, expected)) in found.iter().zip(&gradients[place]).enumerate() {
            let error = (f64::from(*found) - expected).abs();
            assert!(
                error <= 2e-5 * size + 1e-6,
                "{case:?}, {}: layer {layer}, weight {index}: {found}, not {expected}",
                kernel.name()
            );
        }
    }
    for (score, expected) in scores.iter().zip(reference.losses(logits, &labels)) {
        assert!((f64::from(score.loss) - expected).abs() < 1e-5 * (1.0 + expected), "{case:?}");
    }
    true
}

/// The reference's affine step on the `channels` of `value`, as it is at the beginning.
fn affine(reference: &mut Reference, value: usize, channels: usize, kind: Affine) -> usize {
    let offset = reference.list(&vec![0.0; channels]);
    match kind {
        Affine::Bias => reference.bias(value, offset),
        Affine::BatchNorm => {
            let gain = reference.list(&vec![1.0; channels]);
            reference.batch_norm(value, gain, offset)
        }
    }
}

/// The weights of a layer with zeros where there are none.
fn dense(network: &Network, layer: usize) -> Vec<f64> {
    let mut dense = vec![0.0; network.architecture().layers[layer].weights()];
    for (index, value) in network.indices(layer).iter().zip(network.values(layer)) {
        dense[*index as usize] = f64::from(*value);
    }
    dense
}

fn windows() -> Vec<Window> {
    let mut windows = vec![];
    for kernel in [1, 3, 5, 7] {
        for stride in [1, 2] {
            for padding in 0..=kernel / 2 {
                windows.push(Window { kernel, stride, padding });
            }
        }
    }
    windows
}

#[test]
fn convolutions_of_every_size_stride_and_padding_have_the_gradients_of_the_reference() {
    let mut compared = Vec::new();
    for (number, window) in windows().into_iter().enumerate() {
        for (step, width) in [1, 2, 3, 5, 7, 8, 9, 14, 28].into_iter().enumerate() {
            if width + 2 * window.padding < window.kernel {
                continue;
            }
            let height = [7, 8, 9][(number + step) % 3];
            let (inputs, outputs) = [(1, 3), (3, 8), (8, 1), (5, 5)][(number + 2 * step) % 4];
            let affine = if step % 2 == 0 { Affine::BatchNorm } else { Affine::Bias };
            let density = [0.3, 1.0, 0.0][(number + step) % 3];
            let samples = [5, 8, 17][step % 3];
            let case = Case { height, width, inputs, outputs, window, affine, density, samples };
            for kernel in Kernel::all() {
                compared.push(check(&case, kernel));
            }
        }
    }
    let number = compared.iter().filter(|compared| **compared).count();
    assert!(number * 10 > compared.len() * 9, "{number} of {} have gradients to compare", compared.len());
}

/// Small enough for Miri, which checks the memory that each path of the portable kernels touches, and for
/// machines that are emulated.
#[test]
fn small_convolutions_have_the_gradients_of_the_reference() {
    for (kernel, stride) in [(1, 1), (3, 1), (1, 2), (3, 2)] {
        for density in [0.3, 1.0] {
            let window = Window { kernel, stride, padding: kernel / 2 };
            let (affine, samples) = (Affine::BatchNorm, 4);
            let case = Case { height: 3, width: 4, inputs: 2, outputs: 5, window, affine, density, samples };
            for kernel in Kernel::all() {
                assert!(check(&case, kernel), "{case:?}");
            }
        }
    }
}

#[test]
fn channels_in_several_blocks_have_the_gradients_of_the_reference() {
    let window = Window { kernel: 3, stride: 1, padding: 1 };
    for (inputs, outputs, width, stride) in [(33, 65, 7, 1), (65, 33, 4, 1), (33, 34, 14, 2)] {
        let window = Window { stride, ..window };
        let affine = Affine::BatchNorm;
        let case = Case { height: 5, width, inputs, outputs, window, affine, density: 0.2, samples: 9 };
        for kernel in Kernel::all() {
            assert!(check(&case, kernel), "{case:?}");
        }
    }
}

/// Where a convolution sees little but its padding.
#[test]
fn convolutions_of_a_few_pixels_have_the_gradients_of_the_reference() {
    for window in
        windows().into_iter().filter(|window| window.padding > 0 && window.padding == window.kernel / 2)
    {
        for (height, width, samples) in [(1, 1, 1), (1, 2, 1), (2, 1, 1), (1, 1, 3), (2, 2, 2)] {
            let (affine, density) = (Affine::Bias, 0.7);
            let case = Case { height, width, inputs: 8, outputs: 4, window, affine, density, samples };
            for kernel in Kernel::all() {
                assert!(check(&case, kernel), "{case:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60, max_global_rejects: 1 << 20, ..ProptestConfig::default()
    })]
    #[test]
    fn any_convolution_has_the_gradients_of_the_reference(
        (height, width) in (1..12_usize, 1..18_usize),
        (inputs, outputs) in (1..10_usize, 1..10_usize),
        window in 0..windows().len(),
        density in 0.0..1.0_f64,
        samples in 1..19_usize,
        is_normed in proptest::bool::ANY,
    ) {
        let window = windows()[window];
        let fits = |extent: usize| extent + 2 * window.padding >= window.kernel;
        prop_assume!(fits(height) && fits(width));
        let bias = Case { height, width, inputs, outputs, window, affine: Affine::Bias, density, samples };
        let norm = Case { affine: Affine::BatchNorm, ..bias };
        let case = if is_normed && norm.numbers() > NORMED { norm } else { bias };
        for kernel in Kernel::all() {
            prop_assume!(check(&case, kernel));
        }
    }
}
