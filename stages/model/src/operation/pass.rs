//! What operations share during one pass of one shard: buffers, statistics, and who reads what.

use std::ops::Range;

use spfde_data::FrozenBlocks;

use crate::description::Description;
use crate::kernel::{Buffer, Kernel, LaneMask, PackedRow, SignalRow, Stored, pack, pack_gradient};
use crate::lane::samples_in;
use crate::layer::Layer;
use crate::loss::Loss;
use crate::precision::Precision;
use crate::schedule::Schedule;
use crate::workspace::Common;

/// A pass of one shard through a network.
pub(crate) struct Pass<'a, S> {
    pub(crate) description: &'a Description,
    pub(crate) layers: &'a [Layer],
    pub(crate) kernel: Kernel,
    pub(crate) schedule: &'a Schedule,
    pub(crate) workspace: &'a mut Common,
    /// Values and gradients, as the schedule places them.
    pub(crate) buffers: &'a mut Vec<Buffer<S>>,
    /// The network's input.
    pub(crate) inputs: &'a [S],
    /// Samples of the shard.
    pub(crate) samples: usize,
    /// The key of each sample's draws; none if nothing is drawn.
    pub(crate) noise: &'a [u64],
    /// Their share of the batch.
    pub(crate) share: f32,
    /// Groups that hold them.
    pub(crate) groups: usize,
    /// Blocks whose batch norms use running statistics.
    pub(crate) fixed: &'a FrozenBlocks,
    pub(crate) loss: &'a dyn Loss,
}

impl<S: Stored> Pass<'_, S> {
    /// Numbers of a lane.
    pub(crate) fn lanes(&self) -> usize {
        self.kernel.lanes()
    }

    /// The numbers of a value, group by group.
    pub(crate) fn value(&self, value: usize) -> &[S] {
        let Some(buffer) = self.schedule.values[value] else { return self.inputs };
        &self.buffers[buffer][..self.numbers(value)]
    }

    /// The numbers of the gradient of a value.
    pub(crate) fn gradient(&self, value: usize) -> &[S] {
        let buffer = self.schedule.gradients[value].expect("the schedule places every gradient that is read");
        &self.buffers[buffer][..self.numbers(value)]
    }

    /// Takes the buffer of a value out of the workspace, to write it while others are read.
    pub(crate) fn take_value(&mut self, value: usize) -> Buffer<S> {
        let buffer = self.schedule.values[value].expect("no operation writes the network's input");
        std::mem::take(&mut self.buffers[buffer])
    }

    /// Puts the buffer of a value back.
    pub(crate) fn put_value(&mut self, value: usize, numbers: Buffer<S>) {
        let buffer = self.schedule.values[value].expect("it has been taken from there");
        self.buffers[buffer] = numbers;
    }

    /// Takes the buffer of the gradient of a value, with whether it holds a part of it already, to which more
    /// is to be added; none if it is not computed.
    pub(crate) fn take_gradient(&mut self, value: usize) -> Option<(Buffer<S>, bool)> {
        let buffer = self.schedule.gradients[value]?;
        let begun = std::mem::replace(&mut self.workspace.begun[value], true);
        Some((std::mem::take(&mut self.buffers[buffer]), begun))
    }

    /// Puts the buffer of a gradient back.
    pub(crate) fn put_gradient(&mut self, value: usize, numbers: Buffer<S>) {
        let buffer = self.schedule.gradients[value].expect("it has been taken from there");
        self.buffers[buffer] = numbers;
    }

    /// What rounds the numbers that `layer` multiplies, if anything does.
    pub(crate) fn rounding(&self, layer: usize) -> Option<&dyn Precision> {
        self.layers[layer].weights.rounding.as_deref()
    }

    /// One row of pixels of a value as operations read it: outputs of layers are normalised and rectified.
    pub(crate) fn signal_row(&self, value: usize, group: usize, row: usize) -> SignalRow<'_, S> {
        let producer = self.description.producer(value);
        let layer = producer.and_then(|producer| producer.layer);
        SignalRow {
            lanes: &self.value(value)[self.row_range(value, group, row)],
            width: self.description.shapes[value].width,
            affine: layer.map(|layer| &self.workspace.channels[layer][..]),
            relu: producer.is_some_and(|producer| producer.relu),
        }
    }

    /// Computes one row of pixels that operations read, in all lanes.
    pub(crate) fn read_row(&self, value: usize, group: usize, row: usize, into: &mut [f32]) {
        let row = self.signal_row(value, group, row);
        let target = PackedRow { lanes: into, start: 0, channel_step: row.width, pixel_step: 1 };
        pack(self.kernel, &row, LaneMask::first(self.lanes()), target);
    }

    /// All numbers of a value as operations read it, sample by sample.
    pub(crate) fn signals(&self, value: usize) -> Vec<Vec<f32>> {
        let (shape, lanes) = (self.description.shapes[value], self.lanes());
        let mut signals = vec![Vec::with_capacity(shape.len()); self.samples];
        let mut row = vec![0.0; shape.row() * lanes];
        for (group, signals) in signals.chunks_mut(lanes).enumerate() {
            for number in 0..shape.height {
                self.read_row(value, group, number, &mut row);
                for (lane, signal) in signals.iter_mut().enumerate() {
                    signal.extend(row[lane..].iter().step_by(lanes));
                }
            }
        }
        signals
    }

    /// Packs the gradient of one row of pixels of the output of `layer`.
    pub(crate) fn pack_gradient(&self, layer: usize, group: usize, row: usize, target: PackedRow<'_>) {
        let value = self.description.layers[layer].value;
        let gradient = self.gradient(self.description.gradient_of(layer));
        let gradient = &gradient[self.row_range(value, group, row)];
        pack_gradient(self.kernel, gradient, &self.signal_row(value, group, row), self.mask(group), target);
    }

    /// Where one row of pixels lies among the numbers of a value, and of its gradient.
    pub(crate) fn row_range(&self, value: usize, group: usize, row: usize) -> Range<usize> {
        let (shape, lanes) = (self.description.shapes[value], self.lanes());
        let start = self.start(value, group) + row * shape.row();
        start * lanes..(start + shape.row()) * lanes
    }

    /// Where a group begins among the lanes of a value: at the front where the buffer holds one group at a
    /// time.
    pub(crate) fn start(&self, value: usize, group: usize) -> usize {
        if self.is_single(value) { 0 } else { group * self.description.shapes[value].len() }
    }

    /// Which lanes of a group hold samples.
    pub(crate) fn mask(&self, group: usize) -> LaneMask {
        LaneMask::first(samples_in(group, self.samples, self.lanes()))
    }

    /// Whether the buffer of a value holds one group at a time.
    fn is_single(&self, value: usize) -> bool {
        self.schedule.values[value].is_some_and(|buffer| self.schedule.buffers[buffer].single)
    }

    /// How many numbers a value has in its buffer, and its gradient, too.
    pub(crate) fn numbers(&self, value: usize) -> usize {
        let groups = if self.is_single(value) { 1 } else { self.groups };
        self.description.shapes[value].len() * groups * self.lanes()
    }
}
