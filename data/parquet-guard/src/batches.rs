//! The rows of a file, and the Parquet library's panics on damaged ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::errors::ParquetError;

use crate::Result;
use crate::error::Fault;

/// The rows of a file, batch by batch. Ends with an error unless there are as many as declared, and after an
/// error.
pub struct Batches {
    path: PathBuf,
    /// `None` after the end or an error.
    reader: Option<ParquetRecordBatchReader>,
    found: u64,
    declared: u64,
}

impl Batches {
    /// What `reader` decodes of the file `path`, of which so many rows are `declared`.
    pub(crate) fn new(path: &Path, reader: ParquetRecordBatchReader, declared: u64) -> Self {
        Self { path: path.to_owned(), reader: Some(reader), found: 0, declared }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.reader.take()?;
        let next = || reader.next().transpose().map_err(ParquetError::from);
        let batch = match guard("read rows", next) {
            Ok(batch) => batch,
            Err(fault) => return Some(Err(fault.of(&self.path))),
        };
        self.found += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        let (found, expected) = (self.found, self.declared);
        if found > expected || batch.is_none() && found < expected {
            return Some(Err(Fault(format!(
                "number of rows is {found}; expected {expected}; the file was changed or is damaged"
            ))
            .of(&self.path)));
        }
        self.reader = batch.is_some().then_some(reader);
        batch.map(Ok)
    }
}

/// Runs the Parquet library on a file; its panics on damaged bytes become errors, too.
pub(crate) fn guard<T>(action: &str, work: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => {
            done.map_err(|source| Fault(format!("cannot {action}: {source}; is it a complete Parquet file?")))
        }
        Err(_) => Err(Fault::damaged(action)),
    }
}
