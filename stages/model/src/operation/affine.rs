//! Batch norm and bias: the sums over a shard that they need, forward and backward.

use crate::lane::Lane;
use crate::layer::AffineState;
use crate::operation::Pass;

/// Adds two lanes per channel of one group to two sums per channel. Lanes without a sample are 0: packing has
/// made the inputs, and so the outputs, and the gradients there 0.
pub(crate) fn fold(sums: &[Lane], moments: &mut [[f64; 2]]) {
    for (sums, moments) in sums.chunks_exact(2).zip(moments) {
        for (lane, moment) in sums.iter().zip(moments) {
            *moment += lane.0.iter().map(|value| f64::from(*value)).sum::<f64>();
        }
    }
}

/// Whether the layer normalises by the shard's own statistics.
pub(crate) fn measures(pass: &Pass<'_>, layer: usize) -> bool {
    matches!(pass.layers[layer].affine, AffineState::BatchNorm(_)) && is_trained(pass, layer)
}

/// Whether the layer's parameters get gradients.
pub(crate) fn is_trained(pass: &Pass<'_>, layer: usize) -> bool {
    pass.description.architecture.layers[layer].block >= pass.frozen
}

/// Sets the coefficients of the layers that measure nothing.
pub(crate) fn fix(pass: &mut Pass<'_>) {
    for layer in 0..pass.layers.len() {
        if !measures(pass, layer) {
            pass.workspace.statistics[layer].fix(&pass.layers[layer].affine);
        }
    }
}

/// Writes the gradients of a layer's gains, offsets or biases to `gradients`, from the sums over its settled
/// gradient, unless it is frozen: then they are constants. Afterwards the slope of the layer's output is
/// known.
pub(crate) fn backward(pass: &mut Pass<'_>, layer: usize, gradients: &mut [f32]) {
    let count = pass.samples * pass.description.layers[layer].geometry.output.positions();
    let (affine, is_trained) = (&pass.layers[layer].affine, is_trained(pass, layer));
    let statistics = &mut pass.workspace.statistics[layer];
    if is_trained {
        statistics.differentiate(affine, count, gradients)
    } else {
        statistics.differentiate_fixed()
    }
}
