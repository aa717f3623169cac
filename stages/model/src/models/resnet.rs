//! `resnet20`, `resnet32`, `resnet56`: residual networks for small images (He et al. 2016, section 4.2) with
//! 1×1 convolutions with batch norm as shortcuts where the shape changes.

use crate::models::{ModelEntry, width};

/// A residual network with so many blocks in each of its three stages, and its learning rate: the deeper it
/// is, the less it bears.
pub(super) fn entry(
    name: &'static str,
    summary: &'static str,
    blocks: usize,
    learning_rate: f64,
) -> ModelEntry {
    let entry = ModelEntry::new(name, summary, width, move |parameters, network| {
        let width = parameters.integer("model.width") as usize;
        // The stem begins the first block.
        let mut signal = network.convolution(16 * width, 3).batch_norm().relu().named("stem");
        for number in 0..3 * blocks {
            if number > 0 {
                network.block();
            }
            let channels = (16 << (number / blocks)) * width;
            let stride = if number > 0 && number % blocks == 0 { 2 } else { 1 };
            let name = |layer: &str| format!("block{number}.{layer}");
            let first = network.convolution(channels, 3).stride(stride).batch_norm().relu().after(signal);
            let first = first.named(name("convolution1"));
            let second = network.convolution(channels, 3).batch_norm().after(first);
            let second = second.named(name("convolution2"));
            if stride > 1 {
                let shortcut = network.convolution(channels, 1).stride(stride).batch_norm().after(signal);
                signal = shortcut.named(name("shortcut"));
            }
            signal = network.add(second, signal);
        }
        network.classifier(network.average_pool(signal))
    });
    entry.with_learning_rate(learning_rate)
}
