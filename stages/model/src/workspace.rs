//! Buffers that one pass after another reuses.

use std::collections::HashMap;

use crate::description::{InputShape, Packed};
use crate::kernel::Channel;
use crate::lane::Lane;
use crate::network::Network;
use crate::schedule::Buffer;

/// The buffers of one shard's passes. They grow as needed and carry nothing from one pass to the next.
#[derive(Default)]
pub struct Workspace {
    /// Values and gradients, as the schedule places them.
    pub(crate) buffers: Vec<Vec<Lane>>,
    /// What follows each layer: what batch norms measured, and what follows from that.
    pub(crate) channels: Vec<Vec<Channel>>,
    pub(crate) moments: Vec<Vec<Moments>>,
    /// Which values' gradients have been begun in this backward pass.
    pub(crate) begun: Vec<bool>,
    pub(crate) scratch: Scratch,
    /// Hears of every operation before it runs.
    listener: Option<Listener>,
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
    pub(crate) target: Vec<Lane>,
    /// One lane per existing weight.
    pub(crate) totals: Vec<Lane>,
    /// Two lanes per channel.
    pub(crate) sums: Vec<Lane>,
}

impl Workspace {
    /// Buffers for passes over `network`, or over any other network of the same model.
    pub fn new(network: &Network) -> Self {
        let outputs = network.description().layers.iter().map(|layer| layer.geometry.outputs());
        let channels = outputs.clone().map(|outputs| vec![Channel::default(); outputs]).collect();
        let moments = outputs.map(|outputs| vec![Moments::default(); outputs]).collect();
        Self { channels, moments, ..Self::default() }
    }

    /// Calls `listener` with the name of every operation before it runs and with `end` after the last one of
    /// a pass: for profiles of a step.
    pub fn listen(&mut self, listener: impl FnMut(&str) + Send + 'static) {
        self.listener = Some(Box::new(listener));
    }

    /// Tells the listener what comes next; `name` is made only for one.
    pub(crate) fn hear(&mut self, name: impl FnOnce() -> String) {
        if let Some(listener) = &mut self.listener {
            listener(&name());
        }
    }

    /// Makes room for values and gradients of `groups` groups.
    pub(crate) fn make_room(&mut self, buffers: &[Buffer], groups: usize) {
        if self.buffers.len() < buffers.len() {
            self.buffers.resize(buffers.len(), vec![]);
        }
        for (room, buffer) in self.buffers.iter_mut().zip(buffers) {
            make_room(room, buffer.lanes * if buffer.single { 1 } else { groups });
        }
    }
}

/// Lets the buffer have at least this length, whatever it holds.
pub(crate) fn make_room(buffer: &mut Vec<Lane>, lanes: usize) {
    if buffer.len() < lanes {
        buffer.resize(lanes, Lane::ZERO);
    }
}

/// Gives the buffer a length and fills it with zeros.
pub(crate) fn clear(buffer: &mut Vec<Lane>, lanes: usize) {
    buffer.clear();
    buffer.resize(lanes, Lane::ZERO);
}

/// Packed pixels with zeros around them, a buffer for each layout. Packing writes pixels only, so that
/// nothing is ever cleared again; a network has a layout for each shape of its values, which is little beside
/// the values themselves.
#[derive(Debug, Default)]
pub(crate) struct PackedBuffer(HashMap<(Packed, InputShape), Vec<Lane>>);

impl PackedBuffer {
    /// The buffer for pixels of `shape` in the layout `packed`: zeros around them, anything in their places.
    pub(crate) fn prepare(&mut self, packed: Packed, shape: InputShape) -> &mut [Lane] {
        self.0.entry((packed, shape)).or_insert_with(|| vec![Lane::ZERO; packed.len()])
    }
}
