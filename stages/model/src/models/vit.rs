//! `vit`: a vision transformer for small images (Dosovitskiy et al. 2021), as wide as DeiT-Ti, for
//! CIFAR: patches of 4×4 pixels, 192 channels, 3 heads, 6 layers, MLPs of four times the channels. Norms
//! come first.
//!
//! Three things differ from the usual form. Layer norms have no gain and no offset: the linear layer behind
//! each has weights and a bias for that. In place of learned positions a depthwise convolution of 3×3 tells
//! patches where they are (Chu et al. 2021). The mean over all patches is classified, not a token of its
//! own.
//!
//! Linear layers over tokens are 1×1 convolutions over patches and have masks like them. `embedding` is the
//! patch embedding: its weights are those of a convolution with stride and kernel 4, in that order. Each
//! transformer layer is a block with `query_key_value`, `projection`, `mlp1` and `mlp2`; the embedding and
//! the positions belong to the first.

use crate::models::{ModelEntry, width};

/// Rows and columns of a patch.
const PATCH: usize = 4;

/// Channels of a head.
const HEAD: usize = 64;

const HEADS: usize = 3;
const LAYERS: usize = 6;

pub(super) fn entry() -> ModelEntry {
    let summary = "vision transformer for small images: patches of 4x4, 192 channels, 3 heads, 6 layers";
    let entry = ModelEntry::new("vit", summary, width, |parameters, network| {
        let heads = HEADS * parameters.integer("model.width") as usize;
        let channels = HEAD * heads;
        let patches = network.patches(network.input(), PATCH);
        let embedded = network.convolution(channels, 1).named("embedding").after(patches);
        let places = network.convolution(channels, 3).depthwise().named("positions").after(embedded);
        let mut signal = network.sum(places, embedded);
        for number in 0..LAYERS {
            if number > 0 {
                network.block();
            }
            let linear = |features: usize, name: &str, input| {
                network.convolution(features, 1).after(input).named(format!("block{number}.{name}"))
            };
            let all = linear(3 * channels, "query_key_value", network.layer_norm(signal));
            let attended = linear(channels, "projection", network.attention(all, heads));
            signal = network.sum(attended, signal);
            let hidden = linear(4 * channels, "mlp1", network.layer_norm(signal));
            let hidden = linear(channels, "mlp2", network.gelu(hidden));
            signal = network.sum(hidden, signal);
        }
        network.classifier(network.average_pool(network.layer_norm(signal)))
    });
    entry.with_learning_rate(0.05)
}
