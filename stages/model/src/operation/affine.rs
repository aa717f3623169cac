//! Batch norm and bias: the sums over a shard that they need, forward and backward.

use crate::lane::Lane;
use crate::layer::AffineState;
use crate::operation::Pass;
use crate::workspace::clear;

/// Adds two lanes per channel of one group to two sums per channel. Lanes without a sample are 0: packing has made
/// the inputs, and so the outputs, and the gradients there 0.
pub(crate) fn fold(sums: &[Lane], moments: &mut [[f64; 2]]) {
    for (sums, moments) in sums.chunks_exact(2).zip(moments) {
        for (lane, moment) in sums.iter().zip(moments) {
            *moment += lane.0.iter().map(|value| f64::from(*value)).sum::<f64>();
        }
    }
}

/// Whether the layer normalises by the shard's own statistics.
pub(crate) fn measures(pass: &Pass<'_>, layer: usize) -> bool {
    let block = pass.description.architecture.layers[layer].block;
    matches!(pass.layers[layer].affine, AffineState::BatchNorm(_)) && block >= pass.frozen
}

/// Sets the coefficients of the layers that measure nothing.
pub(crate) fn fix(pass: &mut Pass<'_>) {
    for layer in 0..pass.layers.len() {
        if !measures(pass, layer) {
            pass.workspace.statistics[layer].fix(&pass.layers[layer].affine);
        }
    }
}

/// Prepares the backward pass of a frozen layer, whose batch norm or bias is a constant: afterwards the slope of the
/// layer's output is known.
pub(crate) fn backward_frozen(pass: &mut Pass<'_>, layer: usize) {
    pass.workspace.statistics[layer].differentiate_fixed();
}

/// Sums up the gradients behind a layer and writes those of its gains, offsets or biases to `gradients`; afterwards
/// the slope of the layer's output is known.
pub(crate) fn backward(pass: &mut Pass<'_>, layer: usize, gradients: &mut [f32]) {
    let shape = pass.description.layers[layer].geometry.output;
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    scratch.moments.clear();
    scratch.moments.resize(shape.channels, [0.0; 2]);
    for group in 0..pass.groups {
        clear(&mut scratch.sums, 2 * shape.channels);
        for row in 0..shape.height {
            let mean = &pass.workspace.statistics[layer].mean;
            crate::kernel::reduce(
                pass.kernel,
                &pass.gradient_row(layer, group, row),
                mean,
                &mut scratch.sums,
            );
        }
        fold(&scratch.sums, &mut scratch.moments);
    }
    let count = pass.samples * shape.positions();
    let affine = &pass.layers[layer].affine;
    pass.workspace.statistics[layer].differentiate(affine, &scratch.moments, count, gradients);
    pass.workspace.scratch = scratch;
}
