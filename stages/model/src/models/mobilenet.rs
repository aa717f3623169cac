//! `mobilenet`: pairs of a depthwise 3×3 and a 1×1 convolution, both with batch norm and ReLU (Howard et
//! al. 2017, MobileNet V1). Each pair is a block. The stem has stride 1 on images of up to 64×64 pixels, as
//! is usual for CIFAR, and stride 2 on larger ones.
//!
//! `stem` is the first convolution of PyTorch implementations, `block0.depthwise`, `block0.pointwise`,
//! `block1.depthwise`, … are the others in order, each with the batch norm behind it, `classifier` is the
//! linear layer. A depthwise layer's weights have the shape (channels, 1, 3, 3).

use crate::description::InputShape;
use crate::models::{LARGEST_SMALL, ModelEntry, width};

/// Channels and stride of each pair.
const PAIRS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

pub(super) fn entry() -> ModelEntry {
    let summary = "MobileNet V1: 13 pairs of a depthwise and a 1x1 convolution, up to 1024 channels";
    let entry = ModelEntry::new("mobilenet", summary, width, |parameters, network| {
        let factor = parameters.integer("model.width") as usize;
        let InputShape { height, width, .. } = network.input_shape();
        let stride = if height.max(width) <= LARGEST_SMALL { 1 } else { 2 };
        let mut channels = 32 * factor;
        let mut signal = network.convolution(channels, 3).stride(stride).batch_norm().relu().named("stem");
        for (number, (outputs, stride)) in PAIRS.into_iter().enumerate() {
            if number > 0 {
                network.block();
            }
            let depthwise = network.convolution(channels, 3).depthwise().stride(stride).after(signal);
            signal = depthwise.batch_norm().relu().named(format!("block{number}.depthwise"));
            channels = outputs * factor;
            let pointwise = network.convolution(channels, 1).after(signal).batch_norm().relu();
            signal = pointwise.named(format!("block{number}.pointwise"));
        }
        network.classifier(network.average_pool(signal))
    });
    entry.with_learning_rate(0.1)
}
