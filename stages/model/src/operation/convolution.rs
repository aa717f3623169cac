//! Convolution: one group of eight samples at a time, two rows of output pixels at a time. Rows of the input
//! are packed just before the first strip that needs them, so that they are still in the cache.

use std::ops::Range;

use crate::description::{Operation, Signal};
use crate::geometry::{Geometry, Packed, Phase, Window};
use crate::kernel::{Factors, Gather, PackedRow, SignalRow, Strip, pack, pack_gradient, tally};
use crate::lane::Lane;
use crate::layer::AffineState;
use crate::operation::settle::Settlement;
use crate::operation::{Pass, WeightGradients, addition, affine};
use crate::workspace::{Scratch, clear};

/// Rows of pixels that a strip covers.
const STRIP: usize = 2;

/// Computes the outputs of these groups and, for a batch norm that measures, the statistics of all of them:
/// there they have to be all groups.
pub(crate) fn forward(pass: &mut Pass<'_>, operation: &Operation, layer: usize, groups: Range<usize>) {
    let geometry = &pass.description.layers[layer].geometry;
    let product = &pass.layers[layer].weights.forward;
    let measures = affine::measures(pass, layer);
    assert!(!measures || groups.len() == pass.groups, "a batch norm measures the whole shard");
    let mut output = pass.take_value(operation.output);
    let mut input = Input::of(pass, operation);
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, sums, moments, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input);
    moments.clear();
    moments.resize(geometry.outputs(), [0.0; 2]);
    for group in groups {
        clear(sums, if measures { 2 * geometry.outputs() } else { 0 });
        let start = pass.start(operation.output, group);
        let mut packed = 0;
        for row in (0..geometry.output.height).step_by(STRIP) {
            let strip = output_strip(geometry, row, start, geometry.output.width, geometry.output.row());
            let needed = rows_under(geometry, row + strip.rows - 1);
            input.pack(pass, layer, group, packed..needed, source);
            packed = packed.max(needed);
            let job = Gather { strip, source, target: &mut output, accumulate: false, sums };
            product.gather(pass.kernel, job);
        }
        input.finish(pass, group, packed..geometry.input.height);
        affine::fold(sums, moments);
    }
    if let (true, AffineState::BatchNorm(norm)) = (measures, &pass.layers[layer].affine) {
        let count = pass.samples * geometry.output.positions();
        pass.workspace.statistics[layer].measure(norm, moments, count);
    }
    pass.workspace.scratch = scratch;
    input.put_back(pass);
    pass.put_value(operation.output, output);
}

/// Where the rows of the input come from.
enum Input<'a> {
    /// They are there.
    Stored(Signal),
    /// They are sums that are computed when they are packed, while they are in the cache, into the sum's
    /// buffer.
    Merged { addition: &'a Operation, sum: Vec<Lane> },
}

impl<'a> Input<'a> {
    fn of(pass: &mut Pass<'a>, operation: &Operation) -> Self {
        let description = pass.description;
        match pass.schedule.merged_addition(description, operation.number()) {
            None => Self::Stored(operation.input),
            Some(addition) => {
                let addition = &description.operations[addition];
                Self::Merged { addition, sum: pass.take_value(addition.output) }
            }
        }
    }

    /// Packs rows of the input of `layer`.
    fn pack(&mut self, pass: &Pass<'_>, layer: usize, group: usize, rows: Range<usize>, into: &mut [Lane]) {
        let Geometry { input, source, .. } = &pass.description.layers[layer].geometry;
        for row in rows.clone() {
            let signal = match self {
                Self::Stored(signal) => pass.signal_row(*signal, group, row),
                Self::Merged { addition, sum } => {
                    let lanes = addition::forward_row(pass, addition, group, row, sum);
                    SignalRow { lanes, width: input.width, affine: None, relu: false }
                }
            };
            pack(pass.kernel, &signal, pass.mask(group), packed_row(source, row, into));
        }
        if let Some(precision) = pass.rounding(layer) {
            precision.inputs(layer, packed_rows(source, rows, into));
        }
    }

    /// Computes the `rows` that lie under no window.
    fn finish(&mut self, pass: &Pass<'_>, group: usize, rows: Range<usize>) {
        if let Self::Merged { addition, sum } = self {
            for row in rows {
                addition::forward_row(pass, addition, group, row, sum);
            }
        }
    }

    fn put_back(self, pass: &mut Pass<'_>) {
        if let Self::Merged { addition, sum } = self {
            pass.put_value(addition.output, sum);
        }
    }
}

/// Computes the gradient of the input, if it is wanted, and those of the `wanted` weights. The gradient of
/// the output must be ready (see `affine`).
pub(crate) fn backward(
    pass: &mut Pass<'_>,
    operation: &Operation,
    layer: usize,
    wanted: WeightGradients<'_>,
) {
    let WeightGradients { taps, gradients } = wanted;
    let geometry = &pass.description.layers[layer].geometry;
    let weights = &pass.layers[layer].weights;
    let wanted = pass.contributes(operation.input);
    let (mut target, begun) =
        if wanted { pass.take_gradient(operation.input.value) } else { (vec![], false) };
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, gradient, totals, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input);
    let gradient = gradient.prepare(geometry.gradient, geometry.output);
    clear(totals, taps.len());
    let mut settlement = if wanted { Settlement::of_input(pass, operation, operation.input) } else { None };
    let mut input = Input::Stored(operation.input);
    let strips = geometry.input.height.div_ceil(geometry.stride()).max(geometry.output.height);
    for group in 0..pass.groups {
        let (mut packed, mut packed_gradient) = (0, 0);
        for row in (0..strips).step_by(STRIP) {
            let needed = (row + STRIP + rows_ahead(geometry)).min(geometry.output.height);
            pack_rows_of_gradient(pass, layer, group, packed_gradient..needed, gradient);
            packed_gradient = packed_gradient.max(needed);
            if row < geometry.output.height {
                let needed = rows_under(geometry, (row + STRIP).min(geometry.output.height) - 1);
                input.pack(pass, layer, group, packed..needed, source);
                packed = packed.max(needed);
            }
            if wanted {
                let start = group * geometry.input.len();
                for (phase, product) in geometry.phases().zip(&weights.backward) {
                    if let Some(strip) = input_strip(geometry, phase, row, start) {
                        let (source, target, sums) = (&*gradient, &mut target[..], &mut [][..]);
                        product
                            .gather(pass.kernel, Gather { strip, source, target, accumulate: begun, sums });
                    }
                }
                if let Some(settlement) = &mut settlement {
                    let inside = |row: usize| (row * geometry.stride()).min(geometry.input.height);
                    settlement.rows(pass, group, inside(row)..inside(row + STRIP), &mut target);
                }
            }
            if row < geometry.output.height {
                let Packed { top, left, pitch, columns, .. } = geometry.gradient;
                let strip = output_strip(geometry, row, top * pitch + left, columns, pitch);
                tally(pass.kernel, taps, Factors { strip, source, gradient }, totals);
            }
        }
        if let Some(settlement) = &settlement {
            settlement.close_group(pass);
        }
    }
    for (position, total) in taps.positions().iter().zip(totals.iter()) {
        gradients[*position as usize] = total.sum();
    }
    pass.workspace.scratch = scratch;
    if wanted {
        pass.put_gradient(operation.input.value, target);
    }
}

/// The strip of output pixels from `row`, whose values or gradients lie `channel` lanes from channel to
/// channel and `pitch` from row to row, behind `start`.
fn output_strip(geometry: &Geometry, row: usize, start: usize, channel: usize, pitch: usize) -> Strip {
    let stride = geometry.stride();
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
fn input_strip(geometry: &Geometry, phase: Phase, row: usize, start: usize) -> Option<Strip> {
    let (stride, shape) = (geometry.stride(), geometry.input);
    let extent = |pixels: usize, phase: usize| pixels.saturating_sub(phase).div_ceil(stride);
    let (rows, columns) = (extent(shape.height, phase.row), extent(shape.width, phase.column));
    (row < rows && columns > 0).then(|| Strip {
        source: row * geometry.gradient.pitch,
        source_row: geometry.gradient.pitch,
        source_step: 1,
        target: start + (row * stride + phase.row) * shape.row() + phase.column,
        target_row: stride * shape.row(),
        target_channel: shape.width,
        target_step: stride,
        rows: STRIP.min(rows - row),
        columns,
    })
}

/// How many rows of the input the windows of the output rows up to `row` read.
fn rows_under(geometry: &Geometry, row: usize) -> usize {
    let Window { kernel, stride, padding } = geometry.window.expect("a convolution has a window");
    (row * stride + kernel).saturating_sub(padding).min(geometry.input.height)
}

/// How many rows of the gradient behind its own a row of the input's gradient (of any phase) reads.
fn rows_ahead(geometry: &Geometry) -> usize {
    let Window { stride, padding, .. } = geometry.window.expect("a convolution has a window");
    padding.div_ceil(stride)
}

fn pack_rows_of_gradient(pass: &Pass<'_>, layer: usize, group: usize, rows: Range<usize>, into: &mut [Lane]) {
    let packed = &pass.description.layers[layer].geometry.gradient;
    for row in rows.clone() {
        let slopes = &pass.workspace.statistics[layer].slopes;
        let target = packed_row(packed, row, into);
        pack_gradient(pass.kernel, &pass.gradient_row(layer, group, row), slopes, pass.mask(group), target);
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
