//! Parquet files that may be damaged or hostile: opened with limits, checked before anything is decoded.
//!
//! A file is read into memory whole (its compressed bytes, up to [`FILE_LIMIT`]), so that what was hashed is what
//! is decoded. Rows are decoded in batches. What the Parquet library reserves is bounded by checks here: the
//! counts and the depth of the footer, the claims and encodings of every page, what the columns of a batch take together.
//! Panics of the library on damaged files become errors.

mod batches;
mod claims;
mod footer;
mod format;
mod pages;
mod thrift;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};

use super::error::{DataError, Result};
use super::read_limited::read_limited;
pub(super) use batches::Batches;
use batches::guard;
use pages::Claims;

/// Bytes of a Parquet file: it is held in memory while it is read.
pub(super) const FILE_LIMIT: u64 = 4 << 30;

/// Bytes of a footer; a thousand row groups of ten columns take 1.5 MB. Reading the worst that [`footer::check`] passes takes
/// 104 MB, 25 times as much (`tests/declared_sizes`).
const FOOTER_LIMIT: u64 = 4 << 20;

/// Nested types have no place in the files read here, so that a schema is a list of columns.
const COLUMN_LIMIT: u64 = 1 << 12;

/// An open Parquet file whose footer and page sizes are plausible.
#[derive(Debug)]
pub(super) struct ParquetFile {
    path: PathBuf,
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    rows: u64,
    /// What the pages of each leaf column claim; nothing for those that nobody wants.
    claims: Vec<Claims>,
}

impl ParquetFile {
    /// Reads and checks the file `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::parse(path, Bytes::from(read_limited(path, FILE_LIMIT)?))
    }

    /// Reads the file `path` for the named columns: others may be whatever they are. What `check` says of the schema comes
    /// before what is wrong with the pages.
    pub(super) fn open_columns(
        path: &Path,
        columns: &[&str],
        check: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        Self::parse_columns(path, Bytes::from(read_limited(path, FILE_LIMIT)?), Some(columns), check)
    }

    /// Checks the bytes of a file; `path` is for messages.
    pub(super) fn parse(path: &Path, bytes: Bytes) -> Result<Self> {
        Self::parse_columns(path, bytes, None, |_| Ok(()))
    }

    /// As [`ParquetFile::open_columns`], of the bytes of a file.
    pub(super) fn parse_columns(
        path: &Path,
        bytes: Bytes,
        wanted: Option<&[&str]>,
        check: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        let footer = bytes.len().checked_sub(8).and_then(|start| bytes[start..].try_into().ok());
        let metadata = guard(path, "read the footer", || {
            let tail: &[u8; 8] =
                footer.as_ref().ok_or(ParquetError::EOF("shorter than 8 bytes".to_owned()))?;
            Ok(FooterTail::try_new(tail)?.metadata_length() as u64)
        })
        .and_then(|length| {
            DataError::limit(path, "footer length", length, FOOTER_LIMIT)?;
            // A footer longer than the file is left to the library.
            let end = bytes.len() - 8;
            let start = end.checked_sub(length as usize);
            start.map_or(Ok(()), |start| footer::check(&bytes[start..end]).map_err(|fault| fault.of(path)))
        })
        .and_then(|()| {
            guard(path, "read the footer", || {
                let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes)?;
                // The schema is what Parquet says; a second one hidden in the metadata is not consulted.
                let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
                ArrowReaderMetadata::try_new(Arc::new(metadata), options)
            })
        })?;
        let columns = metadata.parquet_schema().num_columns() as u64;
        DataError::limit(path, "number of columns", columns, COLUMN_LIMIT)?;
        let mut names = BTreeSet::new();
        let fields = metadata.schema().fields().iter().map(|field| field.name());
        let mut matters = fields.filter(|name| wanted.is_none_or(|wanted| wanted.contains(&name.as_str())));
        if let Some(name) = matters.find(|name| !names.insert(*name)) {
            let what = format!("column {name}");
            return Err(DataError::Repeated { path: path.to_owned(), what });
        }
        let mut file = Self { path: path.to_owned(), bytes, metadata, rows: 0, claims: Vec::new() };
        check(&file)?;
        (file.rows, file.claims) = file.check(wanted)?;
        Ok(file)
    }

    /// The file, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Rows that the file declares.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The value of a key of the metadata.
    pub(super) fn key(&self, key: &'static str, expected: &str) -> Result<&str> {
        let entries = self.metadata.metadata().file_metadata().key_value_metadata();
        let mut entries = entries.into_iter().flatten().filter(|entry| entry.key == key);
        let entry = entries.next();
        if entries.next().is_some() {
            return Err(DataError::Repeated { path: self.path.clone(), what: format!("key {key}") });
        }
        entry.and_then(|entry| entry.value.as_deref()).ok_or_else(|| DataError::Metadata {
            path: self.path.clone(),
            key,
            expected: expected.to_owned(),
        })
    }

    /// Rows that a row group declares; `None` if there is no such group.
    pub(super) fn group_rows(&self, group: usize) -> Option<u64> {
        let group = self.metadata.metadata().row_groups().get(group)?;
        Some(u64::try_from(group.num_rows()).expect("the counts were checked"))
    }

    /// How many rows there are before a row group.
    ///
    /// # Panics
    /// If there is no such group.
    pub(super) fn first_row(&self, group: usize) -> u64 {
        (0..group)
            .map(|before| self.group_rows(before).expect("only groups that there are are asked for"))
            .sum()
    }

    /// How many row groups there are.
    pub(super) fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// Decodes the named columns, at most `batch` rows at a time; the columns of the batches come in the file's order.
    pub(super) fn batches(&self, columns: &[&str], batch: usize) -> Result<Batches> {
        self.decode((0..self.groups()).collect(), self.rows, columns, batch)
    }

    /// As [`Self::batches`], of one row group.
    ///
    /// # Panics
    /// If there is no such group.
    pub(super) fn group_batches(&self, group: usize, columns: &[&str], batch: usize) -> Result<Batches> {
        let rows = self.group_rows(group).expect("only groups that there are can be read");
        self.decode(vec![group], rows, columns, batch)
    }

    fn decode(&self, groups: Vec<usize>, rows: u64, columns: &[&str], batch: usize) -> Result<Batches> {
        let batch = self.batch_rows(columns, batch)?;
        let reader = guard(&self.path, "read rows", || {
            let builder =
                ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone());
            let projection = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder.with_projection(projection).with_row_groups(groups).with_batch_size(batch).build()
        })?;
        Ok(Batches::new(&self.path, reader, rows))
    }
}
