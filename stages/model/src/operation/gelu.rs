//! GELU (Hendrycks and Gimpel 2016): each number times the share of a normal distribution below it.

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
    for group in groups {
        for row in 0..pass.description.shapes[operation.output].height {
            let source = pass.signal_row(operation.reads[0], group, row);
            kernel::gelu(pass.kernel, &source, &mut output[pass.row_range(operation.output, group, row)]);
        }
    }
}

/// Gives the input its gradient.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation) {
    let value = operation.reads[0];
    let Some((mut target, begun)) = pass.take_gradient(value) else { return };
    for group in 0..pass.groups {
        for row in 0..pass.description.shapes[value].height {
            let source = pass.signal_row(value, group, row);
            let gradient = &pass.gradient(operation.output)[pass.row_range(operation.output, group, row)];
            let target = &mut target[pass.row_range(value, group, row)];
            kernel::gelu_gradient(pass.kernel, &source, gradient, begun, target);
        }
    }
    pass.put_gradient(value, target);
}
