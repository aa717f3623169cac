//! Max pooling over windows of 2 · 2 pixels.

use crate::description::{Operation, Shape};
use crate::kernel::{LaneMask, PackedRow, pack};
use crate::lane::{LANES, Lane};
use crate::operation::Pass;

/// Rows and columns of a window, and the pixels between windows.
const WINDOW: usize = 2;

/// Computes the greatest pixel of each window.
pub(crate) fn forward(pass: &mut Pass<'_>, operation: &Operation) {
    let input = pass.description.values[operation.input.value].shape;
    let output = pass.description.values[operation.output].shape;
    let mut target = pass.take_value(operation.output);
    let mut rows = vec![Lane::ZERO; WINDOW * input.row()];
    for group in 0..pass.groups {
        for row in 0..output.height {
            read_rows(pass, operation, input, group, row, &mut rows);
            let target = &mut target[(group * output.height + row) * output.row()..][..output.row()];
            for (position, target) in target.iter_mut().enumerate() {
                let (channel, column) = (position / output.width, position % output.width);
                for lane in 0..LANES {
                    let greatest = greatest(&rows, input, channel, column, lane);
                    target.0[lane] = rows[greatest].0[lane];
                }
            }
        }
    }
    pass.put_value(operation.output, target);
}

/// Gives the gradient of each window to its greatest pixel, the first of equals in order of row and column.
pub(crate) fn backward(pass: &mut Pass<'_>, operation: &Operation) {
    if !pass.contributes(operation.input) {
        return;
    }
    let input = pass.description.values[operation.input.value].shape;
    let output = pass.description.values[operation.output].shape;
    let (mut target, begun) = pass.take_gradient(operation.input.value);
    assert!(!begun, "a pooled signal has no other reader");
    target[..pass.groups * input.len()].fill(Lane::ZERO);
    let mut rows = vec![Lane::ZERO; WINDOW * input.row()];
    for group in 0..pass.groups {
        for row in 0..output.height {
            read_rows(pass, operation, input, group, row, &mut rows);
            let first = (group * input.height + row * WINDOW) * input.row();
            let start = (group * output.height + row) * output.row();
            let gradients = &pass.gradient(operation.output)[start..][..output.row()];
            for (position, gradient) in gradients.iter().enumerate() {
                let (channel, column) = (position / output.width, position % output.width);
                for lane in 0..LANES {
                    let greatest = greatest(&rows, input, channel, column, lane);
                    target[first + greatest].0[lane] = gradient.0[lane];
                }
            }
        }
    }
    pass.put_gradient(operation.input.value, target);
}

/// Reads the rows of the input that lie in the windows of output row `row`.
fn read_rows(
    pass: &Pass<'_>,
    operation: &Operation,
    input: Shape,
    group: usize,
    row: usize,
    rows: &mut [Lane],
) {
    for (down, lanes) in rows.chunks_exact_mut(input.row()).enumerate() {
        let signal = pass.signal_row(operation.input, group, row * WINDOW + down);
        let target = PackedRow { lanes, start: 0, channel_step: input.width, pixel_step: 1 };
        pack(pass.kernel, &signal, LaneMask::first(LANES), target);
    }
}

/// Where, in two rows of the input, the greatest pixel of a window lies for one sample. NaN counts as greatest, so
/// that it is seen.
fn greatest(rows: &[Lane], input: Shape, channel: usize, column: usize, lane: usize) -> usize {
    let corner = channel * input.width + column * WINDOW;
    let mut best = corner;
    for place in [corner + 1, corner + input.row(), corner + input.row() + 1] {
        let (value, greatest) = (rows[place].0[lane], rows[best].0[lane]);
        if value > greatest || value.is_nan() {
            best = place;
        }
    }
    best
}
