//! A part of a file that is in memory, for a library that reads files anywhere.

use std::ops::Range;
use std::path::Path;

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::error::Fault;
use crate::{ParquetFile, check_groups, place, read_footer};

/// A part of a file.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Where it begins.
    pub(crate) start: u64,
    pub(crate) bytes: Bytes,
    /// Bytes of the whole file.
    pub(crate) length: u64,
}

impl Part {
    /// The bytes from the places `range` of the file, as far as they are in this part.
    pub(crate) fn slice(&self, range: Range<u64>) -> Option<Bytes> {
        let [start, end] = [range.start, range.end].map(|place| place.checked_sub(self.start));
        let range = usize::try_from(start?).ok()?..usize::try_from(end?).ok()?;
        (range.start <= range.end && range.end <= self.bytes.len()).then(|| self.bytes.slice(range))
    }
}

impl ParquetFile {
    /// As [`ParquetFile::parse`], of a file of so many bytes from its `end`: its last
    /// [`END_BYTES`](crate::END_BYTES), or all of it. Its rows are read by [`ParquetFile::with_part`].
    ///
    /// # Errors
    /// As [`ParquetFile::parse`].
    pub fn parse_end(path: &Path, length: u64, end: impl Into<Bytes>) -> crate::Result<Self> {
        let bytes = end.into();
        let bytes = Part { start: length - bytes.len() as u64, bytes, length };
        let open = || {
            let metadata = read_footer(&bytes)?;
            let rows = check_groups(&metadata, length)?;
            Ok((metadata, rows))
        };
        let (metadata, rows) = open().map_err(|fault: Fault| fault.of(path))?;
        Ok(Self { path: path.to_owned(), bytes, metadata, rows })
    }

    /// Where in the file the named columns of a row group lie, and what is between them.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn place(&self, group: usize, columns: &[&str]) -> Range<u64> {
        let schema = self.metadata.parquet_schema();
        let named = |leaf: &usize| columns.contains(&schema.get_column_root(*leaf).name());
        let chunk = |leaf| self.metadata.metadata().row_group(group).column(leaf);
        let places = (0..schema.num_columns()).filter(named).filter_map(|leaf| place(chunk(leaf)));
        let joined = places.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end));
        joined.map_or(0..0, |all| all.start as u64..all.end as u64)
    }

    /// The same file, of which the `bytes` from the place `start` on are in memory, and no others.
    pub fn with_part(&self, start: u64, bytes: impl Into<Bytes>) -> Self {
        let bytes = Part { start, bytes: bytes.into(), length: self.bytes.length };
        Self { path: self.path.clone(), bytes, metadata: self.metadata.clone(), rows: self.rows }
    }
}

impl Length for Part {
    fn len(&self) -> u64 {
        self.length
    }
}

/// Words as those for the bytes of a whole file.
fn beyond(start: u64, length: impl std::fmt::Display, end: u64) -> ParquetError {
    ParquetError::EOF(format!(
        "Expected to read {length} bytes at offset {start}, while file has length {end}"
    ))
}

impl ChunkReader for Part {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let end = self.start + self.bytes.len() as u64;
        self.slice(start..end).map(Bytes::reader).ok_or_else(|| beyond(start, "any", self.length))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.saturating_add(length as u64);
        self.slice(start..end).ok_or_else(|| beyond(start, length, self.length))
    }
}
