//! Where finished rows go: the seam between the dataflow, which knows no files, and whatever stores them.

use crate::table::{Column, Columns};

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

/// Why something could not be stored: names the file and what was tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{path}: cannot {action}: {reason}")]
pub struct StorageError {
    /// The file or directory.
    pub path: String,
    /// What was tried, such as `write rows`.
    pub action: String,
    /// The cause in the system's words.
    pub reason: String,
}

/// A segment under construction. Dropped before [`SegmentWriter::finish`], it leaves nothing that counts.
pub trait SegmentWriter {
    /// Appends rows, in their order.
    fn append(&mut self, rows: &Columns) -> Result<(), StorageError>;
    /// Makes the segment durable under its final name.
    fn finish(self: Box<Self>) -> Result<Segment, StorageError>;
}

/// Opens segments.
pub trait SegmentStore: Send + Sync {
    /// Starts the segment of `stream` for one epoch and worker.
    fn create(
        &self,
        stream: &str,
        columns: &[Column],
        epoch: u32,
        worker: u32,
    ) -> Result<Box<dyn SegmentWriter>, StorageError>;
}

/// The only commit point: what has not been named here does not exist.
pub trait Commit: Send + Sync {
    /// Adds the finished segments of `epoch`; when it returns they count, after a power loss too.
    fn commit(&self, epoch: u32, segments: Vec<Segment>) -> Result<(), StorageError>;
}
