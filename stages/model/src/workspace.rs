//! Buffers that one pass after another reuses.

mod packed_buffer;
mod statistics;

pub(crate) use packed_buffer::PackedBuffer;
pub(crate) use statistics::Statistics;

use crate::lane::Lane;
use crate::network::Network;
use crate::schedule::Buffer;

/// The buffers of one shard's passes. They grow as needed and carry nothing from one pass to the next.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Values and gradients, as the schedule places them.
    pub(crate) buffers: Vec<Vec<Lane>>,
    /// What batch norms measured and what follows from it, by layer.
    pub(crate) statistics: Vec<Statistics>,
    /// Which values' gradients have been begun in this backward pass.
    pub(crate) begun: Vec<bool>,
    pub(crate) scratch: Scratch,
    pub(crate) listener: Listener,
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
    /// Two sums per channel over groups and lanes.
    pub(crate) moments: Vec<[f64; 2]>,
}

/// Hears of every operation before it runs.
#[derive(Default)]
pub(crate) struct Listener(Option<Callback>);

type Callback = Box<dyn FnMut(&str) + Send>;

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Listener" } else { "no listener" })
    }
}

impl Listener {
    /// Tells what comes next; `name` is made only for a listener.
    pub(crate) fn hear(&mut self, name: impl FnOnce() -> String) {
        if let Some(listener) = &mut self.0 {
            listener(&name());
        }
    }
}

impl Workspace {
    /// Buffers for passes over `network`, or over any other network of the same model.
    pub fn new(network: &Network) -> Self {
        let statistics = network.layer_channels().map(Statistics::new).collect();
        Self { statistics, ..Self::default() }
    }

    /// Calls `listener` with the name of every operation before it runs and with `end` after the last one of
    /// a pass: for profiles of a step.
    pub fn listen(&mut self, listener: impl FnMut(&str) + Send + 'static) {
        self.listener = Listener(Some(Box::new(listener)));
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
