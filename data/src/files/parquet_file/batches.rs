//! The rows of a file, and the Parquet library's panics on damaged ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::errors::ParquetError;

use crate::files::error::{DataError, Result};

/// The rows of a file, batch by batch. Ends with an error unless there are as many as declared.
pub(in crate::files) struct Batches {
    path: PathBuf,
    /// `None` after the end or an error.
    reader: Option<ParquetRecordBatchReader>,
    left: u64,
    declared: u64,
}

impl Batches {
    /// What `reader` decodes of the file `path`, of which so many rows are `declared`.
    pub(super) fn new(path: &Path, reader: ParquetRecordBatchReader, declared: u64) -> Self {
        Self { path: path.to_owned(), reader: Some(reader), left: declared, declared }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.reader.take()?;
        let batch = guard(&self.path, "read rows", || reader.next().transpose().map_err(ParquetError::from));
        let rows = match &batch {
            Ok(Some(batch)) => batch.num_rows() as u64,
            Ok(None) if self.left > 0 => {
                let found = self.declared - self.left;
                return Some(Err(DataError::Rows {
                    path: self.path.clone(),
                    found,
                    expected: self.declared,
                }));
            }
            Ok(None) => return None,
            Err(_) => return batch.transpose(),
        };
        let Some(left) = self.left.checked_sub(rows) else {
            let found = self.declared - self.left + rows;
            return Some(Err(DataError::Rows { path: self.path.clone(), found, expected: self.declared }));
        };
        self.left = left;
        self.reader = Some(reader);
        batch.transpose()
    }
}

/// Runs the Parquet library on a file; its panics on damaged bytes become errors, too.
pub(super) fn guard<T>(
    path: &Path,
    action: &'static str,
    work: impl FnOnce() -> parquet::errors::Result<T>,
) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(DataError::Parquet { path: path.to_owned(), action, source }),
        Err(_) => Err(DataError::ParquetDamaged { path: path.to_owned(), action }),
    }
}
