//! The trace on disk: one Parquet file per stream, epoch and worker.
//!
//! `<run>/trace/<stream>/e00012-w00.parquet`, written under a temporary name and durable once finished. The
//! files are ordinary Parquet that any reader opens by glob. Two keys of the metadata say what a file is:
//! `spfde.schema`, the version of names and types, and `spfde.stream`. The same rows give the same bytes,
//! however they were appended.

mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

pub use reader::{parse_columns, read_columns, read_stream, stored_bytes};
pub(super) use schema::{check_nulls, check_type, whole_numbers};

use super::atomic;
use super::error::DataError;
use super::layout::{CHECKPOINT, TRACE, path_below};
pub use super::layout::{is_stream_name, segment_path};
use crate::segment::Result;
use crate::{Cells, Column, Columns, Segment, SegmentStore, Writer};

/// Writes segments below a run directory.
#[derive(Clone, Debug)]
pub struct ParquetStore {
    run: PathBuf,
    folder: &'static str,
}

impl ParquetStore {
    /// A store below the run directory `run`, which need not exist yet.
    pub fn new(run: &Path) -> Self {
        Self { run: run.to_owned(), folder: TRACE }
    }

    /// As [`ParquetStore::new`], for the tables of checkpoints: the segment of table t for epoch e holds its
    /// rows at the start of e.
    pub fn of_checkpoints(run: &Path) -> Self {
        Self { folder: CHECKPOINT, ..Self::new(run) }
    }
}

impl SegmentStore for ParquetStore {
    /// # Panics
    /// If `stream` is not a name of lowercase letters, digits, `_` and `-`, or the first column is not
    /// `epoch`.
    fn create(&self, stream: &str, columns: &[Column], epoch: u32, worker: u32) -> Result<Writer> {
        assert!(is_stream_name(stream), "{stream:?} is a stream's name: lowercase letters, digits, _ and -");
        let epoch_column = Column::of::<u32>("epoch", false);
        assert_eq!(columns.first(), Some(&epoch_column), "the first column of {stream} is the epoch");
        let path = path_below(self.folder, stream, epoch, worker);
        let file = self.run.join(&path);
        atomic::create_directory(&self.run.join(self.folder).join(stream))?;
        let (stream, blake3) = (stream.to_owned(), String::new());
        let segment = Segment { stream, epoch, worker, path, rows: 0, bytes: 0, blake3 };
        Ok(Box::new(writer::ParquetWriter::create(file, columns, segment)?))
    }
}

/// Checks that rows, the first of which is row `first` of the file `path`, are of `epoch`: readers find rows
/// by the name of the file.
///
/// # Panics
/// If their first column is not the epoch.
fn check_epoch(path: &Path, first: u64, rows: &Columns, epoch: u32) -> Result<(), DataError> {
    let Some(Cells::U32(epochs)) = rows.cells.first() else { panic!("the first column is the epoch") };
    match epochs.iter().position(|found| *found != epoch) {
        None => Ok(()),
        Some(row) => {
            let what = format!("row {}: epoch", first + row as u64);
            Err(DataError::unfit(path, what, epochs[row], format!("{epoch}, that of the segment"), ""))
        }
    }
}
