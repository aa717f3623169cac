//! Batch norm and bias: the sums over a shard that they need, forward and backward.

use crate::lane::Lane;
use crate::operation::Pass;
use crate::workspace::statistics;

/// Adds two lanes per channel of one group to two sums per channel. Lanes without a sample are 0: packing has
/// made the inputs, and so the outputs, and the gradients there 0.
pub(crate) fn fold<'a>(sums: &[Lane], moments: impl Iterator<Item = &'a mut [f64; 2]>) {
    for (sums, moments) in sums.chunks_exact(2).zip(moments) {
        for (lane, moment) in sums.iter().zip(moments) {
            *moment += lane.0.iter().map(|value| f64::from(*value)).sum::<f64>();
        }
    }
}

/// Says how the outputs of layers that measure nothing are read.
pub(crate) fn fix(pass: &mut Pass<'_>) {
    for layer in 0..pass.layers.len() {
        if !pass.measures(layer) {
            statistics::fix(&mut pass.workspace.channels[layer], &pass.layers[layer].affine);
        }
    }
}

/// Writes what follows the weights of a layer in a part, from the sums over its settled gradient, unless it
/// is frozen: then its parameters are constants. Afterwards the slope of the layer's output is known.
pub(crate) fn backward(pass: &mut Pass<'_>, layer: usize, part: &mut [f32]) {
    let count = pass.samples * pass.description.layers[layer].geometry.output.positions();
    let (affine, is_trained) = (&pass.layers[layer].affine, pass.is_trained(layer));
    let channels = &mut pass.workspace.channels[layer];
    if is_trained {
        return statistics::differentiate(channels, affine, count, pass.share, part);
    }
    for channel in channels {
        (channel.slope, channel.output_slope, channel.constant) = (channel.scale, 0.0, 0.0);
    }
}
