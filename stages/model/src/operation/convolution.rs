//! Convolution: one group of samples at a time, two rows of output pixels at a time. Rows of the input
//! are packed just before the first strip that needs them, so that they are still in the cache.

use std::ops::Range;

use crate::description::{Cell, Convolution, Geometry, Operation, Packed, STRIP, square};
use crate::kernel::{Buffer, Factors, Finish, Gather, SignalRow, Stored, Strip, Taps, fold, pack, tally};
use crate::operation::rolling::Rolling;
use crate::operation::settle::Settlement;
use crate::operation::{Pass, addition};
use crate::workspace::Scratch;

/// Computes the outputs of these groups and, for a batch norm that measures, the statistics of all of them:
/// there they have to be all groups.
pub(crate) fn forward<S: Stored>(
    pass: &mut Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    output: &mut [S],
) {
    let layer = operation.layer();
    let geometry = &pass.description.layers[layer].geometry;
    let product = &pass.layers[layer].weights.forward;
    let measures = pass.measures(layer);
    assert!(!measures || groups.len() == pass.groups, "a batch norm measures the whole shard");
    let before = pass.description.producer(operation.output - 1);
    let addition = before.filter(|before| pass.schedule.merged[before.output]);
    let sum = addition.map_or(Buffer::default(), |addition| pass.take_value(addition.output));
    let mut input = Input { operation, addition, sum };
    let lanes = pass.lanes();
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, sums, partials, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input, geometry.source_rows(lanes), lanes);
    let mut source = Rolling::new(geometry.source, geometry.input.height, lanes, source);
    pass.clear_moments(layer);
    for group in groups {
        source.restart();
        sums.clear(if measures { 2 * geometry.outputs() * lanes } else { 0 });
        let start = pass.start(operation.output, group);
        let mut packed = 0;
        for row in (0..geometry.output.height).step_by(STRIP) {
            let rows = input.pack(pass, group, windows(geometry, row), &mut source);
            packed = packed.max(rows.end);
            let pitches = [geometry.output.width, geometry.output.row()];
            let strip = output_strip(
                geometry,
                row,
                [source.lanes_to(row * geometry.convolution.stride), start + row * pitches[1]],
                pitches,
            );
            let source = source.numbers();
            let finish = if measures { Finish::Measure(&mut sums[..]) } else { Finish::Write };
            let job = Gather { strip, source, target: output, accumulate: false, finish, partials };
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
struct Input<'a, S> {
    operation: &'a Operation,
    /// What computes the input while it is packed, while it is in the cache; if none, the input is there.
    addition: Option<&'a Operation>,
    /// The buffer into which the addition writes.
    sum: Buffer<S>,
}

impl<S: Stored> Input<'_, S> {
    /// Packs what there is not yet of the packed rows `wanted` of a group; the rows of pixels that it were.
    fn pack(
        &mut self,
        pass: &Pass<'_, S>,
        group: usize,
        wanted: Range<usize>,
        into: &mut Rolling<'_>,
    ) -> Range<usize> {
        let (layer, value) = (self.operation.layer(), self.operation.reads[0]);
        let input = &pass.description.layers[layer].geometry.input;
        let rows = into.fill(wanted, |row, into| {
            let signal = match self.addition {
                None => pass.signal_row(value, group, row),
                Some(addition) => {
                    addition::forward_row(pass, addition, group, row, &mut self.sum);
                    let lanes = &self.sum[pass.row_range(value, group, row)];
                    SignalRow { lanes, width: input.width, affine: None, relu: false }
                }
            };
            pack(pass.kernel, &signal, pass.mask(group), into);
        });
        if let Some(precision) = pass.rounding(layer) {
            precision.inputs(layer, into.rows(rows.clone()));
        }
        rows
    }
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
    let (weights, value) = (&pass.layers[layer].weights, operation.reads[0]);
    let mut input_gradient = pass.take_gradient(value);
    let completes = pass.schedule.completes[value] == Some(operation.output);
    let mut settlement = completes.then(|| Settlement::of(pass, value));
    let lanes = pass.lanes();
    let mut scratch = std::mem::take(&mut pass.workspace.scratch);
    let Scratch { source, gradient, totals, partials, .. } = &mut scratch;
    let source = source.prepare(geometry.source, geometry.input, geometry.source_rows(lanes), lanes);
    let mut source = Rolling::new(geometry.source, geometry.input.height, lanes, source);
    let rows = geometry.gradient_rows(lanes);
    let gradient = gradient.prepare(geometry.gradient, geometry.output, rows, lanes);
    let mut gradient = Rolling::new(geometry.gradient, geometry.output.height, lanes, gradient);
    totals.clear(taps.positions.len() * lanes);
    let mut input = Input { operation, addition: None, sum: Buffer::default() };
    let (stride, height) = (geometry.convolution.stride, geometry.output.height);
    // Only gradients of weights need the input.
    let read = if taps.positions.is_empty() { 0 } else { height };
    for group in 0..pass.groups {
        source.restart();
        gradient.restart();
        let mut settlings = settlement.as_mut().map_or(vec![], |settlement| settlement.group(pass));
        for row in (0..geometry.input.height.div_ceil(stride).max(height)).step_by(STRIP) {
            let wanted = row..row + geometry.gradient_span();
            let rows = gradient.fill(wanted, |row, into| pass.pack_gradient(layer, group, row, into));
            if let Some(precision) = pass.rounding(layer) {
                precision.gradients(layer, gradient.rows(rows));
            }
            if row < read {
                input.pack(pass, group, windows(geometry, row), &mut source);
            }
            if let Some((target, begun)) = &mut input_gradient {
                let target = &mut target[..pass.numbers(value)];
                let start = group * geometry.input.len();
                for (phase, product) in square(stride).zip(&weights.backward) {
                    let source = gradient.lanes_to(row);
                    if let Some(strip) = input_strip(geometry, phase, row, [source, start]) {
                        let (source, accumulate) = (gradient.numbers(), *begun);
                        let finish = Finish::Settle(&mut settlings);
                        let target = &mut target[..];
                        let job = Gather { strip, source, target, accumulate, finish, partials };
                        product.gather(pass.kernel, job);
                    }
                }
            }
            if row < read {
                let Packed { top, left, pitch, columns, .. } = geometry.gradient;
                let starts = [source.lanes_to(row * stride), gradient.lanes_to(top + row) + left];
                let strip = output_strip(geometry, row, starts, [columns, pitch]);
                let factors = Factors { strip, source: source.numbers(), gradient: gradient.numbers() };
                tally(pass.kernel, taps, factors, totals);
            }
        }
        if let Some(settlement) = &settlement {
            settlement.close_group(pass);
        }
    }
    fold(pass.kernel, totals, &taps.positions, gradients);
    pass.workspace.scratch = scratch;
    if let Some((target, _)) = input_gradient {
        pass.put_gradient(value, target);
    }
}

/// The strip of output pixels from `row`: their windows begin at the first of `starts`, they themselves or
/// their gradients at the second, which lie so many lanes from channel to channel and from row to row.
fn output_strip(
    geometry: &Geometry,
    row: usize,
    [source, target]: [usize; 2],
    [channel, pitch]: [usize; 2],
) -> Strip {
    let stride = geometry.convolution.stride;
    Strip {
        source,
        source_row: stride * geometry.source.pitch,
        source_step: stride,
        target,
        target_row: pitch,
        target_channel: channel,
        target_step: 1,
        rows: STRIP.min(geometry.output.height - row),
        columns: geometry.output.width,
    }
}

/// The strip of input pixels of a phase from its row `row`, which reads from `source` on, of an image that
/// begins at `start`; none where the phase has no such pixels.
fn input_strip(geometry: &Geometry, phase: Cell, row: usize, [source, start]: [usize; 2]) -> Option<Strip> {
    let (stride, shape) = (geometry.convolution.stride, geometry.input);
    let extent = |pixels: usize, phase: usize| pixels.saturating_sub(phase).div_ceil(stride);
    let (rows, columns) = (extent(shape.height, phase[0]), extent(shape.width, phase[1]));
    (row < rows && columns > 0).then(|| Strip {
        source,
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

/// The packed rows of the input under the windows of the strip of output rows from `row` on.
fn windows(geometry: &Geometry, row: usize) -> Range<usize> {
    let Convolution { stride, kernel, .. } = geometry.convolution;
    let last = (row + STRIP).min(geometry.output.height) - 1;
    row * stride..last * stride + kernel
}
