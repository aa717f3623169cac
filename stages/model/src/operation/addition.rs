//! Residual addition with ReLU.

use std::ops::Range;

use crate::description::Operation;
use crate::kernel::{self, Stored};
use crate::operation::Pass;

/// Computes ReLU of the sum; the terms are normalised while they are read.
pub(crate) fn forward<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    sum: &mut [S],
) {
    for group in groups {
        for row in 0..pass.description.shapes[operation.output].height {
            forward_row(pass, operation, group, row, sum);
        }
    }
}

/// Computes one row of pixels in `sum`, the whole of the sum's buffer.
pub(super) fn forward_row<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    group: usize,
    row: usize,
    sum: &mut [S],
) {
    let [main, shortcut] = [0, 1].map(|term| pass.signal_row(operation.reads[term], group, row));
    let target = &mut sum[pass.row_range(operation.output, group, row)];
    kernel::add(pass.kernel, &main, &shortcut, target);
}

/// Passes the settled gradient of the sum on to a shortcut that is no layer's output. Layers among the terms
/// read the gradient of the sum themselves. Where the schedule lets the shortcut's gradient grow out of the
/// sum's, in the same buffer, there is nothing to do but to say that it has begun.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation) {
    for &value in &operation.reads {
        if pass.schedule.gradients[value] == pass.schedule.gradients[operation.output] {
            pass.workspace.begun[value] = true;
            continue;
        }
        give_whole(pass, operation, value);
    }
}

/// Passes the gradient of an operation's output on to `value`, which it has read, if that is wanted.
pub(super) fn give_whole<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation, value: usize) {
    let Some((mut target, begun)) = pass.take_gradient(value) else { return };
    let upstream = pass.gradient(operation.output);
    give(upstream, begun, &mut target[..upstream.len()]);
    pass.put_gradient(value, target);
}

/// Passes a gradient on, to what is there if this has begun.
pub(super) fn give<S: Stored>(upstream: &[S], begun: bool, target: &mut [S]) {
    if begun {
        target
            .iter_mut()
            .zip(upstream)
            .for_each(|(target, value)| *target = S::of(target.get() + value.get()));
    } else {
        target.copy_from_slice(upstream);
    }
}
