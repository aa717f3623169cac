//! Pooling: the greatest pixel of windows of 2 · 2 or 3 · 3 pixels, and the mean of all pixels.

use std::ops::Range;

use crate::description::{InputShape, Kind, Operation};
use crate::kernel::{self, LaneMask, PackedRow, STEP, Stored, Windows, pack};
use crate::operation::Pass;

/// The rows of a value under the windows of a max pooling, with `padding` pixels around the image that are
/// less than any other.
struct Rows {
    side: usize,
    padding: usize,
    columns: usize,
    /// `[side][channels][columns]`.
    lanes: Vec<f32>,
}

impl Rows {
    fn new<S: Stored>(pass: &Pass<'_, S>, operation: &Operation) -> Self {
        let (side, padding) = if operation.kind == Kind::WideMaxPool { (3, 1) } else { (2, 0) };
        let InputShape { channels, width, .. } = pass.description.shapes[operation.reads[0]];
        let columns = width + 2 * padding;
        let lanes = vec![f32::NEG_INFINITY; side * channels * columns * pass.lanes()];
        Self { side, padding, columns, lanes }
    }

    /// Reads those under row `row` of the output.
    fn read<S: Stored>(&mut self, pass: &Pass<'_, S>, value: usize, group: usize, row: usize) -> Windows<'_> {
        let (height, length) = (pass.description.shapes[value].height, self.lanes.len() / self.side);
        for (down, lanes) in self.lanes.chunks_exact_mut(length).enumerate() {
            match (row * STEP + down).checked_sub(self.padding).filter(|row| *row < height) {
                Some(row) => {
                    let signal = pass.signal_row(value, group, row);
                    let (start, channel_step) = (self.padding, self.columns);
                    let target = PackedRow { lanes, start, channel_step, pixel_step: 1 };
                    pack(pass.kernel, &signal, LaneMask::first(pass.lanes()), target);
                }
                None => lanes.fill(f32::NEG_INFINITY),
            }
        }
        Windows { rows: &self.lanes, columns: self.columns, side: self.side }
    }
}

/// Computes the greatest pixel of each window.
pub(crate) fn greatest<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    target: &mut [S],
) {
    let mut rows = Rows::new(pass, operation);
    for group in groups {
        for row in 0..pass.description.shapes[operation.output].height {
            let windows = rows.read(pass, operation.reads[0], group, row);
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
        Kind::MaxPool | Kind::WideMaxPool => give_to_greatest(pass, operation, &mut target),
        _ => share(pass, operation, &mut target),
    }
    pass.put_gradient(value, target);
}

/// Gives the gradient of each window to its greatest pixel, the first of equals in order of row and column.
fn give_to_greatest<S: Stored>(pass: &Pass<'_, S>, operation: &Operation, target: &mut [S]) {
    let (value, lanes) = (operation.reads[0], pass.lanes());
    let [input, output] = [value, operation.output].map(|value| pass.description.shapes[value]);
    let mut rows = Rows::new(pass, operation);
    let (side, padding, columns) = (rows.side, rows.padding, rows.columns);
    let length = rows.lanes.len() / side;
    let mut given = vec![0.0; rows.lanes.len()];
    for group in 0..pass.groups {
        given.fill(0.0);
        let mut next = 0;
        let mut write = |first: usize, given: &[f32]| {
            for (down, given) in given.chunks_exact(length).enumerate() {
                let row = (first + down).checked_sub(padding).filter(|row| *row < input.height);
                let Some(row) = row else { continue };
                let target = target[pass.row_range(value, group, row)].chunks_exact_mut(input.width * lanes);
                for (target, given) in target.zip(given.chunks_exact(columns * lanes)) {
                    let given = &given[padding * lanes..][..target.len()];
                    target.iter_mut().zip(given).for_each(|(target, given)| *target = S::of(*given));
                }
            }
        };
        for row in 0..output.height {
            let windows = rows.read(pass, value, group, row);
            let gradients = &pass.gradient(operation.output)[pass.row_range(operation.output, group, row)];
            kernel::give_to_greatest(pass.kernel, windows, gradients, &mut given);
            // What lies under no further window is complete.
            write(row * STEP, &given[..STEP * length]);
            given.copy_within(STEP * length.., 0);
            given[(side - STEP) * length..].fill(0.0);
            next = (row + 1) * STEP;
        }
        // The last row, under a window or none.
        write(next, &given[..length]);
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
