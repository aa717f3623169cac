//! `lenet5`: two convolutions, three linear layers, after LeCun et al. 1998, with ReLU and max pooling.

use spfde_data::parameter::{ParameterError, Parameters};

use crate::description::{Affine, Builder, Description, InputShape};
use crate::geometry::Window;
use crate::models::{ModelEntry, at_least, width};

pub(super) const ENTRY: ModelEntry = ModelEntry {
    name: "lenet5",
    summary: "LeNet-5: convolutions of 6 and 16 channels (5x5), max pooling, 120-84-10",
    parameters: width,
    build,
};

fn build(parameters: &Parameters, input: InputShape, classes: usize) -> Result<Description, ParameterError> {
    // Two poolings and a window of 5 pixels leave one pixel of twelve.
    at_least("lenet5", input, 12)?;
    let width = parameters.integer("model.width") as usize;
    let mut network = Builder::new(input);
    let mut signal = network.input();
    for (name, channels, padding) in [("convolution1", 6, 2), ("convolution2", 16, 0)] {
        network.block(name);
        let window = Window { kernel: 5, stride: 1, padding };
        signal = network.convolution(name.into(), signal, channels * width, window, Affine::Bias);
        signal = network.relu(signal);
        signal = network.max_pool(signal);
    }
    for (name, features) in [("linear1", 120), ("linear2", 84)] {
        network.block(name);
        signal = network.linear(name.into(), signal, features * width);
        signal = network.relu(signal);
    }
    Ok(network.classifier(signal, classes))
}
