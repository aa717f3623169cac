//! `resnet20`, `resnet32`, `resnet56`: residual networks for small images (He et al. 2016, section 4.2) with 1×1
//! convolutions with batch norm as shortcuts where the shape changes.

use spfde_data::parameter::{ParameterError, Parameters};

use crate::description::{Affine, Builder, Description, InputShape, Signal};
use crate::geometry::Window;
use crate::models::{ModelEntry, at_least, width};

pub(super) const RESNET20: ModelEntry = ModelEntry {
    name: "resnet20",
    summary: "residual network of 9 blocks in stages of 16, 32 and 64 channels",
    parameters: width,
    build: |parameters, input, classes| build("resnet20", 3, parameters, input, classes),
};

pub(super) const RESNET32: ModelEntry = ModelEntry {
    name: "resnet32",
    summary: "residual network of 15 blocks in stages of 16, 32 and 64 channels",
    parameters: width,
    build: |parameters, input, classes| build("resnet32", 5, parameters, input, classes),
};

pub(super) const RESNET56: ModelEntry = ModelEntry {
    name: "resnet56",
    summary: "residual network of 27 blocks in stages of 16, 32 and 64 channels",
    parameters: width,
    build: |parameters, input, classes| build("resnet56", 9, parameters, input, classes),
};

fn build(
    name: &str,
    blocks: usize,
    parameters: &Parameters,
    input: InputShape,
    classes: usize,
) -> Result<Description, ParameterError> {
    at_least(name, input, 1)?;
    let width = parameters.integer("model.width") as usize;
    let mut network = Builder::new(input);
    network.block("block0");
    let stem = network.input();
    let stem = convolution(&mut network, "stem".into(), stem, 16 * width, 3, 1);
    let mut signal = network.relu(stem);
    let mut number = 0;
    for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
        for position in 0..blocks {
            // The stem has begun the first block.
            if number > 0 {
                network.block(format!("block{number}"));
            }
            let stride = if stage > 0 && position == 0 { 2 } else { 1 };
            signal = block(&mut network, number, signal, channels * width, stride);
            number += 1;
        }
    }
    let features = network.average_pool(signal);
    Ok(network.classifier(features, classes))
}

/// Two convolutions and the shortcut around them.
fn block(network: &mut Builder, number: usize, input: Signal, channels: usize, stride: usize) -> Signal {
    let name = |layer: &str| format!("block{number}.{layer}");
    let first = convolution(network, name("convolution1"), input, channels, 3, stride);
    let first = network.relu(first);
    let second = convolution(network, name("convolution2"), first, channels, 3, 1);
    let shortcut = if stride != 1 || network.shape(input).channels != channels {
        convolution(network, name("shortcut"), input, channels, 1, stride)
    } else {
        input
    };
    network.addition(second, shortcut)
}

/// A convolution that keeps the extent (but for the stride), with batch norm.
fn convolution(
    network: &mut Builder,
    name: String,
    input: Signal,
    channels: usize,
    kernel: usize,
    stride: usize,
) -> Signal {
    let window = Window { kernel, stride, padding: kernel / 2 };
    network.convolution(name, input, channels, window, Affine::BatchNorm)
}
