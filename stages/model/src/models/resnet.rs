//! Residual networks, their blocks in the order convolution, batch norm, ReLU, with 1×1 convolutions with
//! batch norm as shortcuts where the shape changes.
//!
//! - `resnet20`, `resnet32`, `resnet56`: for small images (He et al. 2016, section 4.2), stages of 16, 32, 64
//!   channels.
//! - `wide-resnet`: WRN-`model.depth`-`model.width` (Zagoruyko and Komodakis 2016): a stem of 16 channels and
//!   stages of 16, 32, 64 times the width. Its blocks have the order of the other networks here, where that
//!   paper puts batch norm and ReLU in front of each convolution.
//! - `resnet18`, `resnet50`: stages of 64, 128, 256, 512 channels, `resnet50` with bottlenecks of four
//!   times as many outputs, stride 2 in their 3×3 convolution. Images of up to 64×64 pixels meet a stem of
//!   3×3, as is usual for CIFAR; larger ones that of ImageNet, 7×7 with stride 2 and max pooling of 3×3.
//!
//! Layers of `resnet18` and `resnet50` are those of torchvision, in its order, under other names: `stem` is
//! `conv1` with `bn1`, `classifier` is `fc`; `block0`, `block1`, … are `layer1.0`, `layer1.1`, …, counted
//! on through all four stages, and in them `convolution1` is `conv1` with `bn1` and so on, `shortcut` is
//! `downsample.0` with `downsample.1`. Gains, offsets, running means and variances are a batch norm's
//! `weight`, `bias`, `running_mean` and `running_var`. In the other networks names are made alike.

use std::sync::Arc;

use spfde_data::parameter::{Parameter, ParameterError, Parameters};

use crate::description::{InputShape, Logits, NetworkBuilder, Node};
use crate::models::{LARGEST_SMALL, ModelEntry, width};

/// A network with so many blocks in each of its three stages, and its learning rate: the deeper it is, the
/// less it bears.
pub(super) fn small(
    name: &'static str,
    summary: &'static str,
    blocks: usize,
    learning_rate: f64,
) -> ModelEntry {
    let entry = ModelEntry::new(name, summary, width, move |parameters, network| {
        let width = parameters.integer("model.width") as usize;
        let stages = [16, 32, 64].map(|channels| (channels * width, blocks));
        residual(network, stem(network, 16 * width), 16 * width, &stages, basic)
    });
    entry.with_learning_rate(learning_rate)
}

/// A network with so many blocks in each of its four stages, for images of any size.
pub(super) fn large(
    name: &'static str,
    summary: &'static str,
    blocks: [usize; 4],
    bottlenecks: bool,
) -> ModelEntry {
    let entry = ModelEntry::new(name, summary, width, move |parameters, network| {
        let first = 64 * parameters.integer("model.width") as usize;
        let InputShape { height, width, .. } = network.input_shape();
        let signal = if height.max(width) <= LARGEST_SMALL {
            stem(network, first)
        } else {
            let stem = network.convolution(first, 7).stride(2).batch_norm().relu().named("stem");
            network.wide_max_pool(stem)
        };
        let stages: Vec<(usize, usize)> = (0..).zip(blocks).map(|(stage, n)| (first << stage, n)).collect();
        residual(network, signal, first, &stages, if bottlenecks { bottleneck } else { basic })
    });
    entry.with_learning_rate(0.1)
}

/// `wide-resnet`, of depth 16 and width 4 unless said otherwise.
pub(super) fn wide() -> ModelEntry {
    let summary = "wide residual network WRN-depth-width in stages of 16, 32, 64 channels times the width";
    let parameters = || {
        let depth = "layers in a row from the input to the logits: 4 more than a multiple of 6";
        let width = "multiplies the channels of every layer but the stem";
        vec![
            Parameter::of("model.depth", 16, 10..=100, depth),
            Parameter::of("model.width", 4, 1..=16, width),
        ]
    };
    let blocks = |parameters: &Parameters| (parameters.integer("model.depth") as usize - 4) / 6;
    let entry = ModelEntry::new("wide-resnet", summary, parameters, move |parameters, network| {
        let width = parameters.integer("model.width") as usize;
        let stages = [16, 32, 64].map(|channels| (channels * width, blocks(parameters)));
        residual(network, stem(network, 16), 16, &stages, basic)
    });
    let build = Arc::clone(&entry.build);
    let checked = move |parameters: &Parameters, input, classes| {
        let (depth, near) = (parameters.integer("model.depth"), 6 * blocks(parameters) + 4);
        if depth as usize != near {
            let reason = format!("{depth} is not 4 more than a multiple of 6; {near} and {} are", near + 6);
            return Err(ParameterError::contradiction("model.depth", reason));
        }
        build(parameters, input, classes)
    };
    ModelEntry { build: Arc::new(checked), ..entry }.with_learning_rate(0.1)
}

/// The stem for small images.
fn stem(network: &NetworkBuilder, channels: usize) -> Node<'_> {
    network.convolution(channels, 3).batch_norm().relu().named("stem")
}

/// What adds the convolutions of a block to a network: its number, the value that it reads, channels and
/// stride. Gives the last convolution and its channels.
type Block = for<'n> fn(&'n NetworkBuilder, usize, Node<'n>, usize, usize) -> (Node<'n>, usize);

/// All blocks and the classifier behind a stem that writes so many channels: each stage has so many channels
/// and blocks, and all but the first halve the image. The stem belongs to the first block.
fn residual<'n>(
    network: &'n NetworkBuilder,
    stem: Node<'n>,
    mut channels: usize,
    stages: &[(usize, usize)],
    block: Block,
) -> Logits {
    let (mut signal, mut number) = (stem, 0);
    for (stage, (width, blocks)) in stages.iter().enumerate() {
        for place in 0..*blocks {
            if number > 0 {
                network.block();
            }
            let stride = if stage > 0 && place == 0 { 2 } else { 1 };
            let (main, outputs) = block(network, number, signal, *width, stride);
            if stride > 1 || channels != outputs {
                let shortcut = network.convolution(outputs, 1).stride(stride).batch_norm().after(signal);
                signal = shortcut.named(format!("block{number}.shortcut"));
            }
            signal = network.add(main, signal);
            (channels, number) = (outputs, number + 1);
        }
    }
    network.classifier(network.average_pool(signal))
}

/// Two convolutions of 3×3.
fn basic<'n>(
    network: &'n NetworkBuilder,
    number: usize,
    input: Node<'n>,
    channels: usize,
    stride: usize,
) -> (Node<'n>, usize) {
    let first = network.convolution(channels, 3).stride(stride).batch_norm().relu().after(input);
    let first = first.named(format!("block{number}.convolution1"));
    let second = network.convolution(channels, 3).batch_norm().after(first);
    (second.named(format!("block{number}.convolution2")), channels)
}

/// Convolutions of 1×1, 3×3 and, to four times the channels, 1×1.
fn bottleneck<'n>(
    network: &'n NetworkBuilder,
    number: usize,
    input: Node<'n>,
    channels: usize,
    stride: usize,
) -> (Node<'n>, usize) {
    let first = network.convolution(channels, 1).batch_norm().relu().after(input);
    let first = first.named(format!("block{number}.convolution1"));
    let second = network.convolution(channels, 3).stride(stride).batch_norm().relu().after(first);
    let second = second.named(format!("block{number}.convolution2"));
    let third = network.convolution(4 * channels, 1).batch_norm().after(second);
    (third.named(format!("block{number}.convolution3")), 4 * channels)
}
