//! Layer norm (Ba et al. 2016) over the channels of each pixel, without gain and offset: the layer behind it
//! multiplies by them, as it adds them, in its own weights and bias.

use std::ops::Range;

use crate::description::Operation;
use crate::kernel::{self, Stored};
use crate::operation::Pass;

/// Computes it.
pub(crate) fn forward<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    output: &mut [S],
) {
    let shape = pass.description.shapes[operation.output];
    let mut signal = vec![0.0; shape.row() * pass.lanes()];
    for group in groups {
        for row in 0..shape.height {
            pass.read_row(operation.reads[0], group, row, &mut signal);
            let target = &mut output[pass.row_range(operation.output, group, row)];
            kernel::layer_norm(pass.kernel, &signal, shape.width, target);
        }
    }
}

/// Gives the input its gradient.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation) {
    let (value, shape) = (operation.reads[0], pass.description.shapes[operation.output]);
    let Some((mut target, begun)) = pass.take_gradient(value) else { return };
    let mut signal = vec![0.0; shape.row() * pass.lanes()];
    for group in 0..pass.groups {
        for row in 0..shape.height {
            pass.read_row(value, group, row, &mut signal);
            let gradient = &pass.gradient(operation.output)[pass.row_range(operation.output, group, row)];
            let target = &mut target[pass.row_range(value, group, row)];
            kernel::layer_norm_gradient(pass.kernel, &signal, shape.width, gradient, begun, target);
        }
    }
    pass.put_gradient(value, target);
}
