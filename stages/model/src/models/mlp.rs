//! `mlp`: two hidden layers of 1024 features.

use spfde_data::parameter::{ParameterError, Parameters};

use crate::description::{Builder, Description, InputShape};
use crate::models::{ModelEntry, at_least, width};

pub(super) const ENTRY: ModelEntry = ModelEntry {
    name: "mlp",
    summary: "multi-layer perceptron, 784-1024-1024-10 on Fashion-MNIST",
    parameters: width,
    build,
};

fn build(parameters: &Parameters, input: InputShape, classes: usize) -> Result<Description, ParameterError> {
    at_least("mlp", input, 1)?;
    let hidden = 1024 * parameters.integer("model.width") as usize;
    let mut network = Builder::new(input);
    let mut signal = network.input();
    for name in ["linear1", "linear2"] {
        network.block(name);
        signal = network.linear(name.into(), signal, hidden);
        signal = network.relu(signal);
    }
    Ok(network.classifier(signal, classes))
}
