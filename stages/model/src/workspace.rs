//! Buffers that one pass after another reuses.

use std::collections::HashMap;

use crate::description::{InputShape, Packed};
use crate::kernel::{Bf16, Buffer, Channel, Stored};
use crate::network::Network;
use crate::schedule::Room;

/// The buffers of one shard's passes. They grow as needed and carry nothing from one pass to the next but a
/// count.
#[derive(Default)]
pub struct Workspace {
    pub(crate) common: Common,
    exact: Rooms<f32>,
    halved: Rooms<Bf16>,
}

/// What does not depend on how values are stored.
#[derive(Default)]
pub(crate) struct Common {
    /// What follows each layer: what batch norms measured, and what follows from that.
    pub(crate) channels: Vec<Vec<Channel>>,
    pub(crate) moments: Vec<Vec<Moments>>,
    /// Which values' gradients have been begun in this backward pass.
    pub(crate) begun: Vec<bool>,
    pub(crate) scratch: Scratch,
    /// Gradients of all weights of masked layers, absent ones too, since they were last taken.
    pub(crate) dense_gradients: u64,
    /// Hears of every operation before it runs.
    listener: Option<Listener>,
}

/// Values and gradients.
#[derive(Debug, Default)]
pub(crate) struct Rooms<S> {
    /// As the schedule places them.
    pub(crate) buffers: Vec<Buffer<S>>,
    /// The network's inputs, if they are not stored as they come.
    pub(crate) inputs: Buffer<S>,
}

/// What a pass may store its values and gradients as.
pub(crate) trait Kept: Stored {
    /// The buffers for it.
    fn rooms(workspace: &mut Workspace) -> (&mut Common, &mut Rooms<Self>);

    /// The inputs, stored; in `room` if they have to be changed.
    fn inputs<'a>(inputs: &'a [f32], room: &'a mut Buffer<Self>) -> &'a [Self];
}

impl Kept for f32 {
    fn rooms(workspace: &mut Workspace) -> (&mut Common, &mut Rooms<Self>) {
        (&mut workspace.common, &mut workspace.exact)
    }

    fn inputs<'a>(inputs: &'a [f32], _: &'a mut Buffer<Self>) -> &'a [Self] {
        inputs
    }
}

impl Kept for Bf16 {
    fn rooms(workspace: &mut Workspace) -> (&mut Common, &mut Rooms<Self>) {
        (&mut workspace.common, &mut workspace.halved)
    }

    fn inputs<'a>(inputs: &'a [f32], room: &'a mut Buffer<Self>) -> &'a [Self] {
        room.make_room(inputs.len());
        room.iter_mut().zip(inputs).for_each(|(stored, input)| *stored = Bf16::of(*input));
        room
    }
}

type Listener = Box<dyn FnMut(&str) + Send>;

/// What is known of a channel in full precision.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    /// Forward the sums of the outputs z and of their squares, backward those of the settled gradients g and
    /// of `g · (z − mean)`.
    pub(crate) sums: [f64; 2],
    /// 1 / √(variance + ε) of the shard.
    pub(crate) inverse_deviation: f64,
}

/// Buffers of a single operation.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The packed input.
    pub(crate) source: PackedBuffer,
    /// The packed gradient of the output.
    pub(crate) gradient: PackedBuffer,
    /// The packed output of a linear layer.
    pub(crate) target: Buffer<f32>,
    /// One lane per existing weight.
    pub(crate) totals: Buffer<f32>,
    /// Two lanes per channel.
    pub(crate) sums: Buffer<f32>,
    /// Parts of the sums of a tile.
    pub(crate) partials: Buffer<f32>,
}

impl Workspace {
    /// Buffers for passes over `network`, or over any other network of the same model.
    pub fn new(network: &Network) -> Self {
        let outputs = network.description().layers.iter().map(|layer| layer.geometry.outputs());
        let channels = outputs.clone().map(|outputs| vec![Channel::default(); outputs]).collect();
        let moments = outputs.map(|outputs| vec![Moments::default(); outputs]).collect();
        Self { common: Common { channels, moments, ..Common::default() }, ..Self::default() }
    }

    /// Calls `listener` with the name of every operation before it runs and with `end` after the last one of
    /// a pass: for profiles of a step.
    pub fn listen(&mut self, listener: impl FnMut(&str) + Send + 'static) {
        self.common.listener = Some(Box::new(listener));
    }

    /// How many dense gradients passes have computed since this was last asked: those of all weights of a
    /// layer, some of which do not exist. Each layer counts once for each pass.
    pub fn take_dense_gradients(&mut self) -> u64 {
        std::mem::take(&mut self.common.dense_gradients)
    }
}

impl Common {
    /// Tells the listener what comes next; `name` is made only for one.
    pub(crate) fn hear(&mut self, name: impl FnOnce() -> String) {
        if let Some(listener) = &mut self.listener {
            listener(&name());
        }
    }
}

impl<S: Stored> Rooms<S> {
    /// Makes room for values and gradients of so many groups of `lanes` samples.
    pub(crate) fn make_room(&mut self, rooms: &[Room], groups: usize, lanes: usize) {
        if self.buffers.len() < rooms.len() {
            self.buffers.resize(rooms.len(), Buffer::default());
        }
        for (buffer, room) in self.buffers.iter_mut().zip(rooms) {
            buffer.make_room(room.lanes * lanes * if room.single { 1 } else { groups });
        }
    }
}

/// Packed pixels with zeros beside them, a buffer for each layout. Packing writes pixels only, so that
/// nothing beside them is ever cleared again; a network has a layout for each shape of its values.
#[derive(Debug, Default)]
pub(crate) struct PackedBuffer(HashMap<(Packed, InputShape, usize), Buffer<f32>>);

impl PackedBuffer {
    /// The buffer for so many rows of pixels of `shape` in the layout `packed`, of `lanes` samples each:
    /// zeros beside them, anything in their places.
    pub(crate) fn prepare(
        &mut self,
        packed: Packed,
        shape: InputShape,
        rows: usize,
        lanes: usize,
    ) -> &mut [f32] {
        let buffer = self.0.entry((packed, shape, lanes)).or_default();
        buffer.make_room(rows * packed.pitch * lanes);
        buffer
    }
}
