//! Global average pooling.

use std::ops::Range;

use crate::description::Operation;
use crate::lane::Lane;
use crate::operation::Pass;

/// Computes the mean of each channel.
pub(crate) fn forward(pass: &Pass<'_>, operation: &Operation, groups: Range<usize>, means: &mut [Lane]) {
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

/// Gives every pixel its share of the mean's gradient.
pub(crate) fn backward(pass: &mut Pass<'_>, operation: &Operation) {
    let input = operation.reads[0];
    let Some((mut target, begun)) = pass.take_gradient(input) else { return };
    assert!(!begun, "a pooled signal has no other reader");
    let shape = pass.description.shapes[input];
    let share = 1.0 / shape.positions() as f32;
    let gradients = pass.gradient(operation.output).chunks_exact(shape.channels);
    for (gradients, target) in gradients.zip(target.chunks_exact_mut(shape.len())) {
        for row in target.chunks_exact_mut(shape.row()) {
            for (gradient, pixels) in gradients.iter().zip(row.chunks_exact_mut(shape.width)) {
                pixels.fill(Lane(gradient.0.map(|gradient| gradient * share)));
            }
        }
    }
    pass.put_gradient(input, target);
}
