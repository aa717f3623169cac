//! Convolution: one group of eight samples at a time, two rows of output pixels at a time. Rows of the input
//! are packed just before the first strip that needs them, so that they are still in the cache.

use std::ops::Range;

use crate::description::{Cell, Geometry, Operation, Packed, square};
use crate::kernel::{Factors, Gather, PackedRow, SignalRow, Strip, Taps, pack, tally};
use crate::lane::Lane;
use crate::operation::settle::Settlement;
use crate::operation::{Pass, addition};
use crate::workspace::{Scratch, clear};

/// Rows of pixels that a strip covers.
const STRIP: usize = 2;

/// Computes the outputs of these groups and, for a batch norm that measures, the statistics of all of them:
/// there they have to be all groups.
pub(crate) fn forward(pass: &mut Pass<'_>, operation: &Operation, groups: Range<usize>, output: &mut [Lane]) {
    let layer = operation.layer();
    let geometry = &pass.description.layers[layer].geometry;
    let product = &pass.layers[layer].weights.forward;
    let measures = pass.measures(layer);
    assert!(!measures || groups.len() == pass.groups, "a batch norm measures the whole shard");
    let before = pass.description.producer(operation.output - 1);
    let addition = before.filter(|before| pass.schedule.merged[before.output]);
    let sum = addition.map_or(vec![], |addition| pass.take_value(addition.output));
    let mut input = Input { operation, addition, sum };
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, sums, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input);
    pass.clear_moments(layer);
    for group in groups {
        clear(sums, if measures { 2 * geometry.outputs() } else { 0 });
        let start = pass.start(operation.output, group);
        let mut packed = 0;
        for row in (0..geometry.output.height).step_by(STRIP) {
            let strip = output_strip(geometry, row, start, geometry.output.width, geometry.output.row());
            let needed = rows_under(geometry, row + strip.rows - 1);
            input.pack(pass, group, packed..needed, source);
            packed = packed.max(needed);
            let job = Gather { strip, source, target: output, accumulate: false, sums };
            product.gather(pass.kernel, job);
        }
        if let Some(addition) = addition {
            // Sums that lie under no window.
            for row in packed..geometry.input.height {
                addition::forward_row(pass, addition, group, row, &mut input.sum);
            }
        }
        pass.add_moments(layer, sums);
    }
    if measures {
        pass.measure(layer);
    }
    pass.workspace.scratch = scratch;
    if let Some(addition) = addition {
        pass.put_value(addition.output, input.sum);
    }
}

/// Where the rows of the input of a convolution come from.
struct Input<'a> {
    operation: &'a Operation,
    /// What computes the input while it is packed, while it is in the cache; if none, the input is there.
    addition: Option<&'a Operation>,
    /// The buffer into which the addition writes.
    sum: Vec<Lane>,
}

impl Input<'_> {
    /// Packs rows of a group.
    fn pack(&mut self, pass: &Pass<'_>, group: usize, rows: Range<usize>, into: &mut [Lane]) {
        let (layer, value) = (self.operation.layer(), self.operation.reads[0]);
        let Geometry { input, source, .. } = &pass.description.layers[layer].geometry;
        for row in rows.clone() {
            let signal = match self.addition {
                None => pass.signal_row(value, group, row),
                Some(addition) => {
                    addition::forward_row(pass, addition, group, row, &mut self.sum);
                    let lanes = &self.sum[pass.row_range(value, group, row)];
                    SignalRow { lanes, width: input.width, affine: None, relu: false }
                }
            };
            pack(pass.kernel, &signal, pass.mask(group), packed_row(source, row, into));
        }
        if let Some(precision) = pass.rounding(layer) {
            precision.inputs(layer, packed_rows(source, rows, into));
        }
    }
}

/// Computes the gradient of the input, if it is wanted, and those of the weights in `taps`, which go to
/// `gradients` by their positions. The slopes of the output must be known.
pub(crate) fn backward(pass: &mut Pass<'_>, operation: &Operation, taps: &Taps, gradients: &mut [f32]) {
    let layer = operation.layer();
    let geometry = &pass.description.layers[layer].geometry;
    let (weights, value) = (&pass.layers[layer].weights, operation.reads[0]);
    let mut input_gradient = pass.take_gradient(value);
    let completes = pass.schedule.completes[value] == Some(operation.output);
    let mut settlement = completes.then(|| Settlement::of(pass, value));
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, gradient, totals, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input);
    let gradient = gradient.prepare(geometry.gradient, geometry.output);
    clear(totals, taps.positions.len());
    let mut input = Input { operation, addition: None, sum: vec![] };
    let (stride, height) = (geometry.convolution.stride, geometry.output.height);
    // How many rows of the gradient behind its own a row of the input's gradient (of any phase) reads.
    let rows_ahead = geometry.convolution.padding.div_ceil(stride);
    for group in 0..pass.groups {
        let (mut packed, mut packed_gradient) = (0, 0);
        for row in (0..geometry.input.height.div_ceil(stride).max(height)).step_by(STRIP) {
            let needed = (row + STRIP + rows_ahead).min(height);
            pack_rows_of_gradient(pass, layer, group, packed_gradient..needed, gradient);
            packed_gradient = packed_gradient.max(needed);
            if row < height {
                let needed = rows_under(geometry, (row + STRIP).min(height) - 1);
                input.pack(pass, group, packed..needed, source);
                packed = packed.max(needed);
            }
            if let Some((target, begun)) = &mut input_gradient {
                let start = group * geometry.input.len();
                for (phase, product) in square(stride).zip(&weights.backward) {
                    if let Some(strip) = input_strip(geometry, phase, row, start) {
                        let (source, accumulate, sums) = (&*gradient, *begun, &mut [][..]);
                        product.gather(pass.kernel, Gather { strip, source, target, accumulate, sums });
                    }
                }
                if let Some(settlement) = &mut settlement {
                    let inside = |row: usize| (row * stride).min(geometry.input.height);
                    settlement.rows(pass, group, inside(row)..inside(row + STRIP), target);
                }
            }
            if row < height {
                let Packed { top, left, pitch, columns, .. } = geometry.gradient;
                let strip = output_strip(geometry, row, top * pitch + left, columns, pitch);
                tally(pass.kernel, taps, Factors { strip, source, gradient }, totals);
            }
        }
        if let Some(settlement) = &settlement {
            settlement.close_group(pass);
        }
    }
    for (position, total) in taps.positions.iter().zip(totals.iter()) {
        gradients[*position as usize] = total.sum();
    }
    pass.workspace.scratch = scratch;
    if let Some((target, _)) = input_gradient {
        pass.put_gradient(value, target);
    }
}

/// The strip of output pixels from `row`, whose values or gradients lie `channel` lanes from channel to
/// channel and `pitch` from row to row, behind `start`.
fn output_strip(geometry: &Geometry, row: usize, start: usize, channel: usize, pitch: usize) -> Strip {
    let stride = geometry.convolution.stride;
    Strip {
        source: row * stride * geometry.source.pitch,
        source_row: stride * geometry.source.pitch,
        source_step: stride,
        target: start + row * pitch,
        target_row: pitch,
        target_channel: channel,
        target_step: 1,
        rows: STRIP.min(geometry.output.height - row),
        columns: geometry.output.width,
    }
}

/// The strip of input pixels of a phase from its row `row`; none where the phase has no such pixels.
fn input_strip(geometry: &Geometry, phase: Cell, row: usize, start: usize) -> Option<Strip> {
    let (stride, shape) = (geometry.convolution.stride, geometry.input);
    let extent = |pixels: usize, phase: usize| pixels.saturating_sub(phase).div_ceil(stride);
    let (rows, columns) = (extent(shape.height, phase[0]), extent(shape.width, phase[1]));
    (row < rows && columns > 0).then(|| Strip {
        source: row * geometry.gradient.pitch,
        source_row: geometry.gradient.pitch,
        source_step: 1,
        target: start + (row * stride + phase[0]) * shape.row() + phase[1],
        target_row: stride * shape.row(),
        target_channel: shape.width,
        target_step: stride,
        rows: STRIP.min(rows - row),
        columns,
    })
}

/// How many rows of the input the windows of the output rows up to `row` read.
fn rows_under(geometry: &Geometry, row: usize) -> usize {
    let window = geometry.convolution;
    (row * window.stride + window.kernel).saturating_sub(window.padding).min(geometry.input.height)
}

fn pack_rows_of_gradient(pass: &Pass<'_>, layer: usize, group: usize, rows: Range<usize>, into: &mut [Lane]) {
    let packed = &pass.description.layers[layer].geometry.gradient;
    for row in rows.clone() {
        pass.pack_gradient(layer, group, row, packed_row(packed, row, into));
    }
    if let Some(precision) = pass.rounding(layer) {
        precision.gradients(layer, packed_rows(packed, rows, into));
    }
}

/// Where row `row` of the pixels lies in a packed buffer.
fn packed_row<'a>(packed: &Packed, row: usize, lanes: &'a mut [Lane]) -> PackedRow<'a> {
    let start = (packed.top + row) * packed.pitch + packed.left;
    PackedRow { lanes, start, channel_step: packed.columns, pixel_step: 1 }
}

/// All of these rows of the pixels, with the zeros beside them, in a packed buffer.
fn packed_rows<'a>(packed: &Packed, rows: Range<usize>, lanes: &'a mut [Lane]) -> &'a mut [Lane] {
    let rows = rows.start..rows.end.max(rows.start);
    &mut lanes[(packed.top + rows.start) * packed.pitch..(packed.top + rows.end) * packed.pitch]
}
