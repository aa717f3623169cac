//! Pooling: the greatest pixel of windows of 2 · 2 pixels, and the mean of all pixels.

use std::ops::Range;

use crate::description::{InputShape, Kind, Operation};
use crate::lane::{LANES, Lane};
use crate::operation::Pass;

/// Rows and columns of a window, and the pixels between windows.
const WINDOW: usize = 2;

/// Computes the greatest pixel of each window.
pub(crate) fn greatest(pass: &Pass<'_>, operation: &Operation, groups: Range<usize>, target: &mut [Lane]) {
    let [input, output] = [operation.reads[0], operation.output].map(|value| pass.description.shapes[value]);
    let mut rows = vec![Lane::ZERO; WINDOW * input.row()];
    for group in groups {
        for row in 0..output.height {
            read_rows(pass, operation, group, row, &mut rows);
            let target = &mut target[pass.row_range(operation.output, group, row)];
            for (position, target) in target.iter_mut().enumerate() {
                let window = window(position, input, output);
                *target = greatest_of(window.map(|place| &rows[place])).0;
            }
        }
    }
}

/// Computes the mean of each channel.
pub(crate) fn mean(pass: &Pass<'_>, operation: &Operation, groups: Range<usize>, means: &mut [Lane]) {
    let input = operation.reads[0];
    let shape = pass.description.shapes[input];
    let mut row_lanes = vec![Lane::ZERO; shape.row()];
    for group in groups {
        let means = &mut means[pass.row_range(operation.output, group, 0)];
        means.fill(Lane::ZERO);
        for row in 0..shape.height {
            pass.read_row(input, group, row, &mut row_lanes);
            for (mean, pixels) in means.iter_mut().zip(row_lanes.chunks_exact(shape.width)) {
                for pixel in pixels {
                    mean.0.iter_mut().zip(pixel.0).for_each(|(mean, value)| *mean += value);
                }
            }
        }
        let share = 1.0 / shape.positions() as f32;
        means.iter_mut().flat_map(|mean| &mut mean.0).for_each(|mean| *mean *= share);
    }
}

/// Gives the gradient of a pool to the pixels that it has read.
pub(crate) fn backward(pass: &mut Pass<'_>, operation: &Operation) {
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
fn give_to_greatest(pass: &Pass<'_>, operation: &Operation, target: &mut [Lane]) {
    let [input, output] = [operation.reads[0], operation.output].map(|value| pass.description.shapes[value]);
    // An odd last row or column lies in no window.
    target[..pass.groups * input.len()].fill(Lane::ZERO);
    let mut rows = vec![Lane::ZERO; WINDOW * input.row()];
    for group in 0..pass.groups {
        for row in 0..output.height {
            read_rows(pass, operation, group, row, &mut rows);
            let first = (group * input.height + row * WINDOW) * input.row();
            let start = (group * output.height + row) * output.row();
            let gradients = &pass.gradient(operation.output)[start..][..output.row()];
            for (position, gradient) in gradients.iter().enumerate() {
                let window = window(position, input, output);
                let (_, choice) = greatest_of(window.map(|place| &rows[place]));
                for (number, place) in window.into_iter().enumerate() {
                    let target = &mut target[first + place].0;
                    for ((target, choice), gradient) in target.iter_mut().zip(choice).zip(gradient.0) {
                        *target = if choice == number as u32 { gradient } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// Gives every pixel its share of the mean's gradient.
fn share(pass: &Pass<'_>, operation: &Operation, target: &mut [Lane]) {
    let shape = pass.description.shapes[operation.reads[0]];
    let share = 1.0 / shape.positions() as f32;
    let gradients = pass.gradient(operation.output).chunks_exact(shape.channels);
    for (gradients, target) in gradients.zip(target.chunks_exact_mut(shape.len())) {
        for row in target.chunks_exact_mut(shape.row()) {
            for (gradient, pixels) in gradients.iter().zip(row.chunks_exact_mut(shape.width)) {
                pixels.fill(Lane(gradient.0.map(|gradient| gradient * share)));
            }
        }
    }
}

/// Reads the rows of the input that lie in the windows of output row `row`.
fn read_rows(pass: &Pass<'_>, operation: &Operation, group: usize, row: usize, rows: &mut [Lane]) {
    let length = rows.len() / WINDOW;
    for (down, lanes) in rows.chunks_exact_mut(length).enumerate() {
        pass.read_row(operation.reads[0], group, row * WINDOW + down, lanes);
    }
}

/// Where the four pixels of the window of output pixel `position` of a row lie in two rows of the input.
fn window(position: usize, input: InputShape, output: InputShape) -> [usize; 4] {
    let (channel, column) = (position / output.width, position % output.width);
    let corner = channel * input.width + column * WINDOW;
    [corner, corner + 1, corner + input.row(), corner + input.row() + 1]
}

/// The greatest pixel of a window and its number, sample by sample; the first of equals. NaN counts as
/// greatest, so that it is seen.
fn greatest_of(window: [&Lane; 4]) -> (Lane, [u32; LANES]) {
    let (mut best, mut choice) = (*window[0], [0; LANES]);
    for (number, pixel) in window.into_iter().enumerate().skip(1) {
        for ((best, choice), value) in best.0.iter_mut().zip(&mut choice).zip(pixel.0) {
            let greater = value > *best || value.is_nan();
            *best = if greater { value } else { *best };
            *choice = if greater { number as u32 } else { *choice };
        }
    }
    (best, choice)
}
