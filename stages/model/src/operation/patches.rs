//! Patches: squares of pixels become the channels of one pixel, in the order (channel, row, column), as the
//! weights of a convolution have it whose stride is its kernel.

use std::ops::Range;

use crate::description::{Kind, Operation};
use crate::kernel::Stored;
use crate::operation::Pass;

/// Moves the pixels.
pub(crate) fn forward<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    output: &mut [S],
) {
    let (input, lanes) = (pass.description.shapes[operation.reads[0]], pass.lanes());
    let mut pixels = vec![0.0; input.row() * lanes];
    for group in groups {
        for row in 0..input.height {
            pass.read_row(operation.reads[0], group, row, &mut pixels);
            moves(pass, operation, row, |from, (patch_row, to)| {
                let target = &mut output[pass.row_range(operation.output, group, patch_row)];
                let pixels = pixels[from * lanes..][..lanes].iter();
                let target = target[to * lanes..][..lanes].iter_mut();
                target.zip(pixels).for_each(|(target, pixel)| *target = S::of(*pixel));
            });
        }
    }
}

/// Moves the gradients back.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation) {
    let (value, lanes) = (operation.reads[0], pass.lanes());
    let Some((mut target, begun)) = pass.take_gradient(value) else { return };
    for group in 0..pass.groups {
        for row in 0..pass.description.shapes[value].height {
            let target = &mut target[pass.row_range(value, group, row)];
            if !begun {
                // Pixels that are in no patch.
                target.fill(S::default());
            }
            moves(pass, operation, row, |to, (patch_row, from)| {
                let gradient = &pass.gradient(operation.output);
                let gradient = &gradient[pass.row_range(operation.output, group, patch_row)];
                let gradient = gradient[from * lanes..][..lanes].iter();
                let target = target[to * lanes..][..lanes].iter_mut();
                target.zip(gradient).for_each(|(target, g)| *target = S::of(target.get() + g.get()));
            });
        }
    }
    pass.put_gradient(value, target);
}

/// Calls `each` with the places of all pixels of a row of the input, and the row and place of each in the
/// output; places are counted in lanes from the row's start.
fn moves<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    row: usize,
    mut each: impl FnMut(usize, (usize, usize)),
) {
    let Kind::Patches { side } = operation.kind else { panic!("it makes patches") };
    let [input, output] = [operation.reads[0], operation.output].map(|value| pass.description.shapes[value]);
    if row / side >= output.height {
        return;
    }
    for channel in 0..input.channels {
        for column in 0..output.width * side {
            let target = (channel * side + row % side) * side + column % side;
            each(channel * input.width + column, (row / side, target * output.width + column / side));
        }
    }
}
