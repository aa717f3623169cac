//! The front apart from the rest: from inputs to entries, and on from there.

use crate::entries::{Entries, Packing};
use crate::kernel::Stored;
use crate::lane::{Activations, samples_in};
use crate::network::Network;
use crate::operation::Pass;
use crate::shard::{Score, Shard, Wanted};
use crate::workspace::Workspace;

/// Numbers of a sample that are copied before those of the next, so that the lanes between them stay in the
/// first-level cache.
const RUN: usize = 256;

impl Network {
    /// The front of the blocks that are frozen now, in operations.
    pub fn front(&self) -> usize {
        self.front
    }

    /// The entries of the first `samples` samples of `inputs`.
    ///
    /// # Panics
    /// If the inputs have another shape than the network's or too few lanes.
    pub fn enter(
        &self,
        workspace: &mut Workspace,
        inputs: &Activations,
        samples: usize,
        packing: Packing,
    ) -> Vec<Vec<u8>> {
        self.run_front(workspace, inputs, samples, packing, None)
    }

    /// Carries entries of an earlier, shorter front on to that of the blocks that are frozen now.
    ///
    /// # Panics
    /// If they are of no front of fewer frozen blocks of this network.
    pub fn extend(&self, workspace: &mut Workspace, entries: &Entries<'_>) -> Vec<Vec<u8>> {
        let (none, samples) = (Activations::default((0, 0, 0, 0, 0)), entries.entries.len());
        self.run_front(workspace, &none, samples, entries.packing, Some(entries))
    }

    fn run_front(
        &self,
        workspace: &mut Workspace,
        inputs: &Activations,
        samples: usize,
        packing: Packing,
        entries: Option<&Entries<'_>>,
    ) -> Vec<Vec<u8>> {
        let labels = vec![0; samples];
        let shard = Shard { inputs, labels: &labels, weights: &[], noise: &[], batch_samples: samples };
        let (front, inputs) = (self.front(), entries.is_none().then_some(inputs));
        let bytes = self.description.front_numbers(front) * packing.bytes(self.storage);
        let mut made = vec![vec![0; bytes]; samples];
        in_storage!(self.storage, S => {
            if let Some(mut pass) = self.pass::<S>(workspace, inputs, &shard, &self.fronting, &self.frozen) {
                self.run_up_to(front, &mut pass, entries);
                save(&pass, front, packing, &mut made);
            }
        });
        made
    }

    /// As [`Network::train_shard_for`], behind the front: from what it has handed on of the samples. The
    /// shard's inputs do not matter. With [`Packing::Exact`] all that is written has the same bits.
    ///
    /// # Panics
    /// As [`Network::train_shard_for`]; if the entries are not of [`Network::front`], or of as many samples;
    /// if gradients of frozen layers are wanted.
    pub fn train_shard_behind(
        &self,
        workspace: &mut Workspace,
        shard: &Shard<'_>,
        entries: &Entries<'_>,
        wanted: Wanted<'_>,
    ) -> Vec<Score> {
        assert_eq!(entries.front, self.front(), "entries of the front as it is");
        assert_eq!(entries.entries.len(), shard.labels.len(), "one entry per sample");
        assert!(wanted.observed.is_empty(), "frozen layers are not run");
        self.train(workspace, shard, Some(entries), wanted)
    }
}

impl Entries<'_> {
    /// Brings what the front handed on of a group of samples to where the pass reads it.
    pub(super) fn load<S: Stored>(&self, pass: &mut Pass<'_, S>, group: usize) {
        let description = pass.description;
        let (lanes, bytes) = (pass.lanes(), if S::IS_HALF || self.packing == Packing::F16 { 2 } else { 4 });
        let entries = &self.entries[group * lanes..][..samples_in(group, pass.samples, lanes)];
        let length = description.front_numbers(self.front) * bytes;
        assert!(entries.iter().all(|entry| entry.len() == length), "entries of a front of this network");
        let mut first = 0;
        for value in description.handed_on(self.front) {
            let (start, count) = (pass.start(value, group) * lanes, description.shapes[value].len());
            let mut numbers = pass.take_value(value);
            let into = &mut numbers[start..start + count * lanes];
            if entries.len() < lanes {
                into.fill(S::default());
            }
            let of = first..first + count * bytes;
            match (S::IS_HALF, self.packing) {
                (true, _) => load(into, lanes, entries, of, |bytes| {
                    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
                }),
                (false, Packing::Exact) => load(into, lanes, entries, of, f32::from_le_bytes),
                (false, Packing::F16) => {
                    load(into, lanes, entries, of, |bytes| half::f16::from_le_bytes(bytes).to_f32());
                }
            }
            pass.put_value(value, numbers);
            first += count * bytes;
        }
    }
}

/// Takes numbers of a group, a sample in each lane, out of the given bytes of each entry.
fn load<S: Stored, const N: usize>(
    into: &mut [S],
    lanes: usize,
    entries: &[&[u8]],
    bytes: std::ops::Range<usize>,
    read: impl Fn([u8; N]) -> f32,
) {
    for (run, into) in into.chunks_mut(RUN * lanes).enumerate() {
        for (lane, entry) in entries.iter().enumerate() {
            let from = &entry[bytes.clone()].as_chunks::<N>().0[run * RUN..];
            let into = into[lane..].iter_mut().step_by(lanes);
            into.zip(from).for_each(|(into, bytes)| *into = S::of(read(*bytes)));
        }
    }
}

/// Writes what the front of a pass hands on to the entries of its samples.
fn save<S: Stored>(pass: &Pass<'_, S>, front: usize, packing: Packing, entries: &mut [Vec<u8>]) {
    let mut first = 0;
    for value in pass.description.handed_on(front) {
        let (numbers, lanes) = (pass.value(value), pass.lanes());
        let bytes = match (S::IS_HALF, packing) {
            (true, _) => save_as(numbers, lanes, entries, first, |number| {
                ((number.to_bits() >> 16) as u16).to_le_bytes()
            }),
            (false, Packing::Exact) => save_as(numbers, lanes, entries, first, f32::to_le_bytes),
            (false, Packing::F16) => save_as(numbers, lanes, entries, first, |number| {
                // What is finite stays so.
                let most = half::f16::MAX.to_f32();
                let number = if number.is_finite() { number.clamp(-most, most) } else { number };
                half::f16::from_f32(number).to_le_bytes()
            }),
        };
        first += pass.description.shapes[value].len() * bytes;
    }
}

/// Writes numbers of all groups to the entries of their samples, from byte `first` of each on; the bytes of a
/// number.
fn save_as<S: Stored, const N: usize>(
    numbers: &[S],
    lanes: usize,
    entries: &mut [Vec<u8>],
    first: usize,
    write: impl Fn(f32) -> [u8; N],
) -> usize {
    let groups = entries.len().div_ceil(lanes);
    let count = numbers.len() / groups / lanes;
    for (entries, numbers) in entries.chunks_mut(lanes).zip(numbers.chunks_exact(count * lanes)) {
        for (run, numbers) in numbers.chunks(RUN * lanes).enumerate() {
            for (lane, entry) in entries.iter_mut().enumerate() {
                let into = entry[first..first + count * N].as_chunks_mut::<N>().0[run * RUN..].iter_mut();
                let numbers = numbers[lane..].iter().step_by(lanes);
                into.zip(numbers).for_each(|(into, number)| *into = write(number.get()));
            }
        }
    }
    N
}
