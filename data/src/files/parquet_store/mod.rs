//! The trace on disk: one Parquet file per stream, epoch and worker.
//!
//! `<run>/trace/<stream>/e00012-w00.parquet`, written under a temporary name and durable once finished. The files
//! are ordinary Parquet that any reader opens by glob. Two keys of the metadata say what a file is: `spfde.schema`,
//! the version of names and types, and `spfde.stream`. The same rows give the same bytes, however they were
//! appended.

mod arrays;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

pub use reader::{
    SegmentReader, columns_of, describe, parse_columns, read_columns, read_segment, read_stream, stored_bytes,
};
pub use schema::FoundColumn;

use super::checkpoint;
use super::held::{self, Held};
use crate::segment::{Segment, SegmentStore, SegmentWriter, StorageError};
use crate::table::{Column, ColumnType};

/// The folder of the trace within a run directory.
const TRACE: &str = "trace";

/// Writes segments below a run directory.
#[derive(Clone, Debug)]
pub struct ParquetStore {
    run: PathBuf,
    folder: &'static str,
    /// The run directory is one that is held: if it is gone, so is the run, and nothing is written in its place.
    held: Option<Held>,
}

impl ParquetStore {
    /// A store below the run directory `run`, which need not exist yet.
    pub fn new(run: &Path) -> Self {
        Self { run: run.to_owned(), folder: TRACE, held: None }
    }

    /// A store below a run directory that is held, for as long as it is the same.
    pub(in crate::files) fn of_held(run: &Path, held: Held) -> Self {
        Self { held: Some(held), ..Self::new(run) }
    }

    /// As [`ParquetStore::new`], for the tables of checkpoints.
    pub(in crate::files) fn of_checkpoints(run: &Path, held: Option<Held>) -> Self {
        Self { run: run.to_owned(), folder: checkpoint::FOLDER, held }
    }
}

impl SegmentStore for ParquetStore {
    /// # Panics
    /// If `stream` is not a name of lowercase letters, digits, `_` and `-`, or the first column is not `epoch`.
    fn create(
        &self,
        stream: &str,
        columns: &[Column],
        epoch: u32,
        worker: u32,
    ) -> Result<Box<dyn SegmentWriter>, StorageError> {
        assert!(is_stream_name(stream), "{stream:?} is a stream's name: lowercase letters, digits, _ and -");
        let first = columns.first().map(|column| (column.name, column.kind, column.nullable));
        assert_eq!(
            first,
            Some(("epoch", ColumnType::U32, false)),
            "the first column of {stream} is the epoch"
        );
        let path = path_below(self.folder, stream, epoch, worker);
        let file = self.run.join(&path);
        let directory = self.run.join(self.folder).join(stream);
        held::create_directory(self.held.as_ref(), &self.run, &directory)?;
        let segment = Segment {
            stream: stream.to_owned(),
            epoch,
            worker,
            path,
            rows: 0,
            bytes: 0,
            blake3: String::new(),
        };
        Ok(Box::new(writer::ParquetWriter::create(file, columns, segment)?))
    }
}

/// Where a segment lies, relative to the run directory.
pub fn segment_path(stream: &str, epoch: u32, worker: u32) -> String {
    path_below(TRACE, stream, epoch, worker)
}

pub(in crate::files) fn path_below(folder: &str, table: &str, epoch: u32, worker: u32) -> String {
    format!("{folder}/{table}/e{epoch:05}-w{worker:02}.parquet")
}

/// Whether a stream may have this name, which becomes a directory: 1 to 64 lowercase letters, digits, `_`, `-`.
pub fn is_stream_name(name: &str) -> bool {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}
