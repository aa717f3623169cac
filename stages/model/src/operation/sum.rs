//! The sum of two values, without ReLU.

use std::ops::Range;

use crate::description::Operation;
use crate::kernel::{self, Stored};
use crate::operation::Pass;
use crate::operation::addition::give_whole;

/// Computes it.
pub(crate) fn forward<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    output: &mut [S],
) {
    for group in groups {
        for row in 0..pass.description.shapes[operation.output].height {
            let [first, second] = [0, 1].map(|term| pass.signal_row(operation.reads[term], group, row));
            let target = &mut output[pass.row_range(operation.output, group, row)];
            kernel::sum(pass.kernel, &first, &second, target);
        }
    }
}

/// Gives both terms its gradient.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation) {
    operation.reads.iter().for_each(|value| give_whole(pass, operation, *value));
}
