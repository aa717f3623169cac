//! `mlp`: two hidden layers of 1024 features.

use crate::models::{ModelEntry, width};

pub(super) fn entry() -> ModelEntry {
    let summary = "multi-layer perceptron, 784-1024-1024-10 on Fashion-MNIST";
    ModelEntry::new("mlp", summary, width, |parameters, network| {
        let hidden = 1024 * parameters.integer("model.width") as usize;
        let mut signal = network.input();
        for name in ["linear1", "linear2"] {
            signal = network.block_named(name).linear(hidden).relu().named(name);
        }
        network.classifier(signal)
    })
}
