//! `lenet5`: two convolutions, three linear layers, after LeCun et al. 1998, with ReLU and max pooling.

use std::sync::Arc;

use spfde_data::parameter::ParameterError;

use crate::description::InputShape;
use crate::models::{ModelEntry, width};

/// Two poolings and a window of 5 pixels leave one pixel of twelve.
const PIXELS: usize = 12;

pub(super) fn entry() -> ModelEntry {
    let summary = "LeNet-5: convolutions of 6 and 16 channels (5x5), max pooling, 120-84-10";
    let entry = ModelEntry::new("lenet5", summary, width, |parameters, network| {
        let width = parameters.integer("model.width") as usize;
        let mut signal = network.input();
        for (name, channels, padding) in [("convolution1", 6, 2), ("convolution2", 16, 0)] {
            let block = network.block_named(name);
            let convolution = block.convolution(channels * width, 5).padding(padding).relu().named(name);
            signal = network.max_pool(convolution);
        }
        for (name, features) in [("linear1", 120), ("linear2", 84)] {
            signal = network.block_named(name).linear(features * width).relu().named(name);
        }
        network.classifier(signal)
    });
    let build = Arc::clone(&entry.build);
    ModelEntry {
        build: Arc::new(move |parameters, input: InputShape, classes| {
            if input.height.min(input.width) < PIXELS {
                let needs = format!("`lenet5` needs images of at least {PIXELS}x{PIXELS} pixels");
                let reason = format!("{needs}, the data has {input}");
                return Err(ParameterError::contradiction("model.name", reason));
            }
            build(parameters, input, classes)
        }),
        ..entry
    }
}
