//! Where finished rows go: the seam between the dataflow, which knows no files, and whatever stores them.

use crate::{Column, Columns};

/// A finished piece of a stream: the rows of one epoch that one worker owns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Segment {
    /// The stream, such as `scores`.
    pub stream: String,
    /// The epoch of every row inside.
    pub epoch: u32,
    /// The worker that wrote it.
    pub worker: u32,
    /// File, relative to the run directory, with `/` between its parts.
    pub path: String,
    /// How many rows it holds.
    pub rows: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// BLAKE3 of the whole file, in hexadecimal.
    pub blake3: String,
}

/// Why something could not be stored or read: names the file, what was tried, and the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{0}")]
pub struct StorageError(pub String);

/// The result of storing or reading something.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// A segment under construction, wherever it goes.
pub type Writer = Box<dyn SegmentWriter>;

/// A segment under construction. Dropped before [`SegmentWriter::finish`], it leaves nothing that counts.
pub trait SegmentWriter {
    /// Appends rows, in their order.
    fn append(&mut self, rows: &Columns) -> Result<()>;
    /// Makes the segment durable under its final name.
    fn finish(self: Box<Self>) -> Result<Segment>;
}

/// Opens segments.
pub trait SegmentStore: Send + Sync {
    /// Starts the segment of `stream` for one epoch and worker.
    fn create(&self, stream: &str, columns: &[Column], epoch: u32, worker: u32) -> Result<Writer>;
}

/// A file from which a run can go on: the weights, or the part of a table that one worker wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Checkpoint {
    /// The epoch at whose start the run goes on from it.
    pub epoch: u32,
    /// File, relative to the run directory, with `/` between its parts.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// BLAKE3 of the whole file, in hexadecimal.
    pub blake3: String,
    /// How many rows it holds; `None` for weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl From<Segment> for Checkpoint {
    fn from(segment: Segment) -> Self {
        let Segment { epoch, path, bytes, blake3, rows, .. } = segment;
        Self { epoch, path, bytes, blake3, rows: Some(rows) }
    }
}

/// An epoch all of whose files are finished.
#[derive(Clone, Debug, Default)]
pub struct CompleteEpoch {
    /// Which, from 0.
    pub epoch: u32,
    /// Its segments.
    pub segments: Vec<Segment>,
    /// The files from which the run can go on after it; empty without a checkpoint.
    pub checkpoint: Vec<Checkpoint>,
    /// The weights after it, if it is the best on the validation set so far.
    pub best: Option<Checkpoint>,
    /// Why it is the last one, if it is before the configured end: the run is finished then.
    pub ended_early: Option<String>,
    /// The most bytes of memory that the process which commits has had so far, if that is known.
    pub peak_memory_bytes: Option<u64>,
}

/// The only commit point: what has not been named here does not exist.
pub trait Commit: Send + Sync {
    /// Adds what there is of an epoch; when it returns all of it counts, after a power loss too.
    fn commit_epoch(&self, complete: CompleteEpoch) -> Result<()>;
}

/// Keeps bytes outside of memory that can be computed anew: nothing of it outlives the process.
pub trait Scratch: Send {
    /// Writes bytes from a place on, over what is there.
    fn write(&mut self, place: u64, bytes: &[u8]) -> Result<()>;
    /// Reads as many bytes from a place as were written there.
    fn read(&mut self, place: u64, into: &mut [u8]) -> Result<()>;
}

/// Why a recorded stream cannot be read: names the file or the stream, what is wrong, and what to do.
pub use StorageError as RecordingError;

/// A recorded segment that is being read.
pub struct RecordedSegment {
    /// The file, for messages.
    pub path: String,
    /// Its rows in their order, a batch at a time; ends after an error.
    pub batches: Box<dyn Iterator<Item = Result<Columns>>>,
}

/// How much there is of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Epochs that can be read, from 0.
    pub epochs: u32,
    /// Whether no more will come.
    pub complete: bool,
}

/// Where recorded rows come from: the counterpart of [`SegmentStore`]. Only what was committed exists.
///
/// A reader holds one segment at a time, so memory does not depend on the length of the trace.
pub trait Recording: Send + Sync {
    /// How many epochs there are to read, from 0. Of a record that goes on there may be more later.
    fn epochs(&self) -> u32;
    /// How much the latest [`Recording::look`] found.
    fn extent(&self) -> Extent {
        Extent { epochs: self.epochs(), complete: true }
    }
    /// Looks how much there is by now: never less than before, and nothing more once it was complete.
    ///
    /// # Errors
    /// If the record cannot be looked at, or is not any more what it was.
    fn look(&self) -> Result<Extent> {
        Ok(self.extent())
    }
    /// How many segments `stream` has in `epoch`. They may be read in any order, by any worker.
    fn segments(&self, stream: &str, epoch: u32) -> usize;
    /// Starts reading one of them: all its columns of the names and types given.
    ///
    /// # Errors
    /// If the file is missing, is not what was committed, or lacks a column.
    fn open(&self, stream: &str, columns: &[Column], epoch: u32, segment: usize) -> Result<RecordedSegment>;
}

/// Whose weights the costs of a replay count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Densities {
    /// Those that the recorded mask deltas add up to.
    Recorded,
    /// As many as the density schedule of the mask policy says, which does not say which ones they would be.
    Scheduled,
}
