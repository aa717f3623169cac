//! Pooling: the greatest pixel of windows of 2 · 2 pixels, and the mean of all pixels.

use std::ops::Range;

use crate::description::{Kind, Operation};
use crate::kernel::{self, Stored, WINDOW, Windows};
use crate::operation::Pass;

/// Computes the greatest pixel of each window.
pub(crate) fn greatest<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    target: &mut [S],
) {
    let [input, output] = [operation.reads[0], operation.output].map(|value| pass.description.shapes[value]);
    let mut rows = vec![0.0; WINDOW * input.row() * pass.lanes()];
    for group in groups {
        for row in 0..output.height {
            read_rows(pass, operation, group, row, &mut rows);
            let windows = Windows { rows: &rows, width: input.width };
            kernel::greatest(pass.kernel, windows, &mut target[pass.row_range(operation.output, group, row)]);
        }
    }
}

/// Computes the mean of each channel.
pub(crate) fn mean<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    means: &mut [S],
) {
    let (input, lanes) = (operation.reads[0], pass.lanes());
    let shape = pass.description.shapes[input];
    let mut pixels = vec![0.0; shape.row() * lanes];
    let mut sums = vec![0.0; shape.channels * lanes];
    for group in groups {
        sums.fill(0.0);
        for row in 0..shape.height {
            pass.read_row(input, group, row, &mut pixels);
            let channels = pixels.chunks_exact(shape.width * lanes);
            for (sum, pixels) in sums.chunks_exact_mut(lanes).zip(channels) {
                for pixel in pixels.chunks_exact(lanes) {
                    sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
                }
            }
        }
        let (share, means) =
            (1.0 / shape.positions() as f32, &mut means[pass.row_range(operation.output, group, 0)]);
        means.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean = S::of(sum * share));
    }
}

/// Gives the gradient of a pool to the pixels that it has read.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation) {
    let value = operation.reads[0];
    let Some((mut target, begun)) = pass.take_gradient(value) else { return };
    assert!(!begun, "a pooled signal has no other reader");
    match operation.kind {
        Kind::MaxPool => give_to_greatest(pass, operation, &mut target),
        _ => share(pass, operation, &mut target),
    }
    pass.put_gradient(value, target);
}

/// Gives the gradient of each window to its greatest pixel, the first of equals in order of row and column.
fn give_to_greatest<S: Stored>(pass: &Pass<'_, S>, operation: &Operation, target: &mut [S]) {
    let [input, output] = [operation.reads[0], operation.output].map(|value| pass.description.shapes[value]);
    let lanes = pass.lanes();
    // An odd last row or column lies in no window.
    if !(input.height.is_multiple_of(WINDOW) && input.width.is_multiple_of(WINDOW)) {
        target[..pass.groups * input.len() * lanes].fill(S::default());
    }
    let mut rows = vec![0.0; WINDOW * input.row() * lanes];
    for group in 0..pass.groups {
        for row in 0..output.height {
            read_rows(pass, operation, group, row, &mut rows);
            let windows = Windows { rows: &rows, width: input.width };
            let gradients = &pass.gradient(operation.output)[pass.row_range(operation.output, group, row)];
            let first = pass.row_range(operation.reads[0], group, row * WINDOW).start;
            kernel::give_to_greatest(pass.kernel, windows, gradients, &mut target[first..][..rows.len()]);
        }
    }
}

/// Gives every pixel its share of the mean's gradient.
fn share<S: Stored>(pass: &Pass<'_, S>, operation: &Operation, target: &mut [S]) {
    let (shape, lanes) = (pass.description.shapes[operation.reads[0]], pass.lanes());
    let share = 1.0 / shape.positions() as f32;
    let gradients = pass.gradient(operation.output).chunks_exact(shape.channels * lanes);
    for (gradients, target) in gradients.zip(target.chunks_exact_mut(shape.len() * lanes)) {
        for row in target.chunks_exact_mut(shape.row() * lanes) {
            let channels = row.chunks_exact_mut(shape.width * lanes);
            for (gradient, pixels) in gradients.chunks_exact(lanes).zip(channels) {
                for pixel in pixels.chunks_exact_mut(lanes) {
                    let shares = pixel.iter_mut().zip(gradient);
                    shares.for_each(|(pixel, gradient)| *pixel = S::of(gradient.get() * share));
                }
            }
        }
    }
}

/// Reads the rows of the input that lie in the windows of output row `row`.
fn read_rows<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    group: usize,
    row: usize,
    rows: &mut [f32],
) {
    let length = rows.len() / WINDOW;
    for (down, lanes) in rows.chunks_exact_mut(length).enumerate() {
        pass.read_row(operation.reads[0], group, row * WINDOW + down, lanes);
    }
}
