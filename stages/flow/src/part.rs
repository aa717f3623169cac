//! What a worker contributes to the reduce of one step, and how it travels.
//!
//! A [`Part`] is a container of its own: between the workers of a process only a reference travels, between
//! processes a header and the raw numbers, and the receiver reads them in place.

use std::io::Write;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::communication::Push;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message, Stamp};

use crate::Fault;
use crate::tree::Node;

/// The numbers of a part: shared within a process, read in place from a message of another.
#[derive(Clone)]
enum Values {
    Shared(Arc<Vec<f32>>),
    Received(Bytes),
}

/// What there is to know of a part besides its numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The first shard whose contributions are added up in it.
    pub start: usize,
    /// One past its last shard.
    pub end: usize,
    /// Sum of the samples' losses, unweighted.
    pub loss: f64,
    /// How many samples were right.
    pub correct: u32,
    /// How many samples there were.
    pub samples: u32,
    /// FLOPs of the frozen prefix that were not computed for them.
    pub cached_flops: u64,
    /// The most layers of which a shard computed dense gradients.
    pub dense_gradients: u64,
    /// Why there are no numbers: the step has to be refused.
    pub fault: Option<Fault>,
}

/// The sum of the contributions of a run of shards to one step.
#[derive(Clone)]
pub(crate) struct Part {
    to: Vec<usize>,
    /// What it covers, and the sums that are not part of the model.
    pub header: Header,
    values: Values,
}

impl Part {
    /// A part for all of `workers`.
    pub(crate) fn new(workers: usize, header: Header, values: Vec<f32>) -> Self {
        Self { to: (0..workers).collect(), header, values: Values::Shared(Arc::new(values)) }
    }

    /// The shards it covers.
    pub(crate) fn node(&self) -> Node {
        self.header.start..self.header.end
    }

    /// Its numbers.
    pub(crate) fn values(&self) -> &[f32] {
        match &self.values {
            Values::Shared(values) => values,
            Values::Received(bytes) => bytemuck::cast_slice(bytes),
        }
    }
}

impl Default for Part {
    fn default() -> Self {
        Self { to: Vec::new(), header: Header::default(), values: Values::Shared(Arc::default()) }
    }
}

impl Accountable for Part {
    fn record_count(&self) -> i64 {
        self.to.len() as i64
    }
}

/// Rounds up to a whole number of eight-byte words, the alignment that timely keeps.
const fn words(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}

impl ContainerBytes for Part {
    fn from_bytes(mut bytes: Bytes) -> Self {
        let lengths: [u64; 2] = bytemuck::pod_read_unaligned(&bytes.extract_to(16));
        let (header, values) = (lengths[0] as usize, lengths[1] as usize);
        let text = bytes.extract_to(words(header));
        let header =
            bincode::deserialize(&text[..header]).expect("a part written by the same version of spfde");
        let values = bytes.extract_to(values);
        let values = match bytemuck::try_cast_slice::<u8, f32>(&values) {
            Ok(_) => Values::Received(values),
            // Timely keeps words aligned where it keeps them at all; elsewhere they are copied.
            Err(_) => {
                let words = values.chunks_exact(size_of::<f32>());
                Values::Shared(Arc::new(words.map(bytemuck::pod_read_unaligned).collect()))
            }
        };
        Self { to: vec![0], header, values }
    }

    fn length_in_bytes(&self) -> usize {
        let header = bincode::serialized_size(&self.header).expect("a header has a size") as usize;
        16 + words(header) + words(size_of_val(self.values()))
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let header = bincode::serialize(&self.header).expect("a header can be written");
        let values: &[u8] = bytemuck::cast_slice(self.values());
        let mut put = |bytes: &[u8]| {
            let padding = words(bytes.len()) - bytes.len();
            let written = writer.write_all(bytes).and_then(|()| writer.write_all(&[0; 8][..padding]));
            written.expect("room was measured");
        };
        put(bytemuck::cast_slice(&[header.len() as u64, values.len() as u64]));
        put(&header);
        put(values);
    }
}

/// Sends a part to each worker it is for, without copying its numbers.
pub(crate) struct ToAll;

impl Distributor<Part> for ToAll {
    fn partition<T: Clone, P: Push<Message<T, Part>>>(
        &mut self,
        part: &mut Part,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        for to in std::mem::take(&mut part.to) {
            let mut message = Part { to: vec![to], header: part.header.clone(), values: part.values.clone() };
            Message::push_at(&mut message, stamp.clone(), &mut pushers[to]);
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Part>>>(&mut self, _: &Stamp<T>, _: &mut [P]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_wherever_they_lie() {
        let values: Vec<f32> = (0..40).map(|i| i as f32 * 0.7 - 3.0).collect();
        let part = Part::new(1, Header::default(), values.clone());
        for offset in 0..8 {
            let mut bytes = vec![0; offset];
            part.into_bytes(&mut bytes);
            let mut whole = timely::bytes::arc::BytesMut::from(bytes);
            drop(whole.extract_to(offset));
            let length = part.length_in_bytes();
            assert_eq!(Part::from_bytes(whole.extract_to(length)).values(), values, "{offset}");
        }
    }
    use crate::fault::Cause;
    use crate::tick::Tick;

    #[test]
    fn a_part_reads_back_as_it_was_written() {
        for length in 0..5 {
            let values: Vec<f32> = (0..length).map(|i| i as f32 * 0.3 - 0.4).collect();
            let fault = Fault {
                tick: Tick::new(1, 2),
                worker: 3,
                stage: "gradients".into(),
                cause: Cause::Panicked("seven".into()),
            };
            for fault in [None, Some(fault)] {
                let (start, end, cached_flops, dense_gradients) = (2, 4, 5, 6);
                let (loss, correct, samples) = (0.1, 7, 9);
                let header =
                    Header { start, end, loss, correct, samples, cached_flops, dense_gradients, fault };
                let part = Part::new(3, header.clone(), values.clone());
                let mut bytes = Vec::new();
                part.into_bytes(&mut bytes);
                assert_eq!(bytes.len(), part.length_in_bytes());
                let mut whole = timely::bytes::arc::BytesMut::from(bytes);
                let length = whole.len();
                let read = Part::from_bytes(whole.extract_to(length));
                assert_eq!((read.header.clone(), read.values(), read.node()), (header, &values[..], 2..4));
                assert_eq!((part.record_count(), read.record_count()), (3, 1));
            }
        }
    }
}
