//! Linear layers: a convolution of one pixel in which the groups of a panel take the place of pixels, so that
//! each weight serves all of them at once.

use std::ops::Range;

use crate::description::{InputShape, Operation, PANEL};
use crate::kernel::{Factors, Gather, PackedRow, Strip, Taps, pack, tally_groups};
use crate::lane::Lane;
use crate::operation::Pass;
use crate::workspace::{Scratch, make_room};

/// Computes the outputs.
pub(crate) fn forward(pass: &mut Pass<'_>, operation: &Operation, output: &mut [Lane]) {
    let layer = operation.layer();
    let geometry = &pass.description.layers[layer].geometry;
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, target, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input);
    make_room(target, geometry.gradient.len());
    for groups in panels(pass.groups) {
        pack_panel(pass, operation, groups.clone(), source);
        let product = &pass.layers[layer].weights.forward;
        product.gather(pass.kernel, job(groups.len(), source, target));
        unpack(target, geometry.output, groups, false, output);
    }
    pass.workspace.scratch = scratch;
}

/// Computes the gradient of the input, if it is wanted, and those of the weights in `taps`, which go to
/// `gradients` by their positions. The slopes of the output must be known.
pub(crate) fn backward(pass: &mut Pass<'_>, operation: &Operation, taps: &Taps, gradients: &mut [f32]) {
    let layer = operation.layer();
    let geometry = &pass.description.layers[layer].geometry;
    let weights = &pass.layers[layer].weights;
    let mut input = pass.take_gradient(operation.reads[0]);
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, gradient, target, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input);
    let gradient = gradient.prepare(geometry.gradient, geometry.output);
    make_room(target, geometry.source.len());
    for groups in panels(pass.groups) {
        pack_panel(pass, operation, groups.clone(), source);
        pack_panel_of_gradient(pass, layer, groups.clone(), gradient);
        let factors = Factors { strip: strip(groups.len()), source, gradient };
        tally_groups(pass.kernel, taps, factors, groups.start > 0, gradients);
        if let Some((input, begun)) = &mut input {
            weights.backward[0].gather(pass.kernel, job(groups.len(), gradient, target));
            unpack(target, geometry.input, groups, *begun, input);
        }
    }
    pass.workspace.scratch = scratch;
    if let Some((input, _)) = input {
        pass.put_gradient(operation.reads[0], input);
    }
}

/// The groups of each panel.
fn panels(groups: usize) -> impl Iterator<Item = Range<usize>> {
    (0..groups).step_by(PANEL).map(move |first| first..groups.min(first + PANEL))
}

/// The groups of a panel as one row of pixels.
fn strip(groups: usize) -> Strip {
    let (rows, columns) = (1, groups);
    Strip { source_step: 1, target_step: 1, target_channel: PANEL, rows, columns, ..Strip::default() }
}

/// Writes a panel's products.
fn job<'a>(groups: usize, source: &'a [Lane], target: &'a mut [Lane]) -> Gather<'a> {
    Gather { strip: strip(groups), source, target, accumulate: false, sums: &mut [] }
}

/// Feature (channel, row, column) of the panel's group `g` goes to lane `feature · PANEL + g`.
fn pack_panel(pass: &Pass<'_>, operation: &Operation, groups: Range<usize>, into: &mut [Lane]) {
    let layer = operation.layer();
    let shape = pass.description.layers[layer].geometry.input;
    for (place, group) in groups.enumerate() {
        for row in 0..shape.height {
            let signal = pass.signal_row(operation.reads[0], group, row);
            pack(pass.kernel, &signal, pass.mask(group), panel_row(shape, place, row, into));
        }
    }
    if let Some(precision) = pass.rounding(layer) {
        precision.inputs(layer, into);
    }
}

fn pack_panel_of_gradient(pass: &Pass<'_>, layer: usize, groups: Range<usize>, into: &mut [Lane]) {
    let shape = pass.description.layers[layer].geometry.output;
    for (place, group) in groups.enumerate() {
        pass.pack_gradient(layer, group, 0, panel_row(shape, place, 0, into));
    }
    if let Some(precision) = pass.rounding(layer) {
        precision.gradients(layer, into);
    }
}

/// Where a row of pixels of one group lies in a panel.
fn panel_row(shape: InputShape, group: usize, row: usize, lanes: &mut [Lane]) -> PackedRow<'_> {
    let (start, channel_step) = (row * shape.width * PANEL + group, shape.positions() * PANEL);
    PackedRow { lanes, start, channel_step, pixel_step: PANEL }
}

/// Brings a panel of these groups back into the layout of a value.
fn unpack(panel: &[Lane], shape: InputShape, groups: Range<usize>, accumulate: bool, into: &mut [Lane]) {
    for (place, into) in into.chunks_exact_mut(shape.len()).skip(groups.start).take(groups.len()).enumerate()
    {
        for (row, into) in into.chunks_exact_mut(shape.row()).enumerate() {
            for (channel, into) in into.chunks_exact_mut(shape.width).enumerate() {
                let feature = (channel * shape.height + row) * shape.width;
                let lanes = panel[feature * PANEL + place..].iter().step_by(PANEL);
                for (into, lane) in into.iter_mut().zip(lanes) {
                    if accumulate {
                        into.0.iter_mut().zip(lane.0).for_each(|(into, value)| *into += value);
                    } else {
                        *into = *lane;
                    }
                }
            }
        }
    }
}
