//! Linear layers: a convolution of one pixel in which the groups of a panel take the place of pixels, so that
//! each weight serves all of them at once.

use std::ops::Range;

use crate::description::{InputShape, Operation, PANEL};
use crate::kernel::{Buffer, Factors, Finish, Gather, PackedRow, Stored, Strip, Taps, pack, tally_groups};
use crate::operation::Pass;
use crate::workspace::Scratch;

/// Computes the outputs.
pub(crate) fn forward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation, output: &mut [S]) {
    let layer = operation.layer();
    let geometry = &pass.description.layers[layer].geometry;
    let lanes = pass.lanes();
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, target, partials, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input, 1, lanes);
    target.make_room(geometry.gradient.len() * lanes);
    for groups in panels(pass.groups) {
        pack_panel(pass, operation, groups.clone(), source);
        let product = &pass.layers[layer].weights.forward;
        product.gather(pass.kernel, job(groups.len(), source, target, partials));
        unpack(target, geometry.output, lanes, groups, false, output);
    }
    pass.workspace.scratch = scratch;
}

/// Computes the gradient of the input, if it is wanted, and those of the weights in `taps`, which go to
/// `gradients` by their positions. The slopes of the output must be known.
pub(crate) fn backward<S: Stored>(
    pass: &mut Pass<'_, S>,
    operation: &Operation,
    taps: &Taps,
    gradients: &mut [f32],
) {
    let layer = operation.layer();
    let geometry = &pass.description.layers[layer].geometry;
    let weights = &pass.layers[layer].weights;
    let mut input = pass.take_gradient(operation.reads[0]);
    let lanes = pass.lanes();
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, gradient, target, partials, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input, 1, lanes);
    let gradient = gradient.prepare(geometry.gradient, geometry.output, 1, lanes);
    target.make_room(geometry.source.len() * lanes);
    for groups in panels(pass.groups) {
        // Only gradients of weights need the input.
        if !taps.positions.is_empty() {
            pack_panel(pass, operation, groups.clone(), source);
        }
        pack_panel_of_gradient(pass, layer, groups.clone(), gradient);
        let factors = Factors { strip: strip(groups.len()), source, gradient };
        tally_groups(pass.kernel, taps, factors, groups.start > 0, gradients);
        if let Some((input, begun)) = &mut input {
            weights.backward[0].gather(pass.kernel, job(groups.len(), gradient, target, partials));
            unpack(target, geometry.input, lanes, groups, *begun, input);
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
fn job<'a>(
    groups: usize,
    source: &'a [f32],
    target: &'a mut [f32],
    partials: &'a mut Buffer<f32>,
) -> Gather<'a, 'a, f32> {
    Gather { strip: strip(groups), source, target, accumulate: false, finish: Finish::Write, partials }
}

/// Feature (channel, row, column) of the panel's group `g` goes to lane `feature · PANEL + g`.
fn pack_panel<S: Stored>(pass: &Pass<'_, S>, operation: &Operation, groups: Range<usize>, into: &mut [f32]) {
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

fn pack_panel_of_gradient<S: Stored>(
    pass: &Pass<'_, S>,
    layer: usize,
    groups: Range<usize>,
    into: &mut [f32],
) {
    let shape = pass.description.layers[layer].geometry.output;
    for (place, group) in groups.enumerate() {
        pass.pack_gradient(layer, group, 0, panel_row(shape, place, 0, into));
    }
    if let Some(precision) = pass.rounding(layer) {
        precision.gradients(layer, into);
    }
}

/// Where a row of pixels of one group lies in a panel.
fn panel_row(shape: InputShape, group: usize, row: usize, lanes: &mut [f32]) -> PackedRow<'_> {
    let (start, channel_step) = (row * shape.width * PANEL + group, shape.positions() * PANEL);
    PackedRow { lanes, start, channel_step, pixel_step: PANEL }
}

/// Brings a panel of these groups back into the layout of a value of this shape.
fn unpack<S: Stored>(
    panel: &[f32],
    shape: InputShape,
    lanes: usize,
    groups: Range<usize>,
    accumulate: bool,
    into: &mut [S],
) {
    let own = into.chunks_exact_mut(shape.len() * lanes).skip(groups.start).take(groups.len());
    for (place, into) in own.enumerate() {
        for (row, into) in into.chunks_exact_mut(shape.row() * lanes).enumerate() {
            for (pixel, into) in into.chunks_exact_mut(lanes).enumerate() {
                let (channel, column) = (pixel / shape.width, pixel % shape.width);
                let feature = (channel * shape.height + row) * shape.width + column;
                let lane = &panel[(feature * PANEL + place) * lanes..][..lanes];
                for (into, value) in into.iter_mut().zip(lane) {
                    *into = S::of(if accumulate { into.get() + value } else { *value });
                }
            }
        }
    }
}
