//! The channels of several values behind one another.

use std::ops::Range;

use crate::description::Operation;
use crate::kernel::{self, Stored};
use crate::operation::Pass;
use crate::operation::addition::give;

/// Writes the channels of all values, in the order in which they are read.
pub(crate) fn forward<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    output: &mut [S],
) {
    for group in groups {
        for row in 0..pass.description.shapes[operation.output].height {
            let mut rest = &mut output[pass.row_range(operation.output, group, row)];
            for &value in &operation.reads {
                let source = pass.signal_row(value, group, row);
                let (target, behind) = rest.split_at_mut(source.lanes.len());
                kernel::copy(pass.kernel, &source, target);
                rest = behind;
            }
        }
    }
}

/// Gives each value the gradient of its channels.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation) {
    // Numbers in front of a value's channels in a row.
    let mut before = 0;
    for &value in &operation.reads {
        let (shape, lanes) = (pass.description.shapes[value], pass.lanes());
        let own = before..before + shape.row() * lanes;
        before = own.end;
        let Some((mut target, begun)) = pass.take_gradient(value) else { continue };
        for group in 0..pass.groups {
            for row in 0..shape.height {
                let upstream = pass.row_range(operation.output, group, row);
                let upstream = &pass.gradient(operation.output)[upstream][own.clone()];
                give(upstream, begun, &mut target[pass.row_range(value, group, row)]);
            }
        }
        pass.put_gradient(value, target);
    }
}
