//! Parquet files that may be damaged or hostile: opened with limits, checked before anything is decoded.
//!
//! A file is read into memory whole (its compressed bytes, up to [`FILE_LIMIT`]), so that what was hashed is what
//! is decoded. Rows are decoded in batches. What the Parquet library reserves is bounded by checks here: the
//! counts and the depth of the footer, the claims and encodings of every page, what the columns of a batch take together.
//! Panics of the library on damaged files become errors.

mod footer;
mod format;
mod pages;
mod thrift;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};

use super::error::{DataError, Result};
use super::read_limited::read_limited;
use pages::{Claims, PAGE_LIMIT, PageFault};

/// Bytes of a Parquet file: it is held in memory while it is read.
pub(super) const FILE_LIMIT: u64 = 4 << 30;

/// Bytes of a footer; a thousand row groups of ten columns take 1.5 MB. Reading the worst that [`footer::check`] passes takes
/// 104 MB, 25 times as much (`tests/declared_sizes`).
const FOOTER_LIMIT: u64 = 4 << 20;

/// Nested types have no place in the files read here, so that a schema is a list of columns.
const COLUMN_LIMIT: u64 = 1 << 12;

/// Rows for each byte of a file. Runs of equal values take next to nothing, so that a few bytes could stand for more
/// rows than anybody can wait for; the files of a run stay a hundred times below.
const ROWS_PER_BYTE: u64 = 1 << 16;

/// Bytes of the pages that the columns of a batch hold at the same time, each a page and a dictionary: a page of a few bytes
/// may become [`PAGE_LIMIT`], and a table has a dozen columns. The tables of a run stay below 16 MiB.
const TOGETHER_LIMIT: u64 = 256 << 20;

/// Bytes of variable length that a batch may come to: a value may be as long as a page, whose bytes it shares with nobody.
const BATCH_BYTES: u64 = 64 << 20;

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

    /// Checks counts, and the pages of the wanted columns (all of them by default); returns the rows that the row groups
    /// declare, and what the pages claim.
    fn check(&self, wanted: Option<&[&str]>) -> Result<(u64, Vec<Claims>)> {
        let damaged = || DataError::ParquetDamaged { path: self.path.clone(), action: "read the row groups" };
        let (mut rows, mut walked) = (0_u64, 0);
        let mut claims = vec![Claims::default(); self.metadata.parquet_schema().num_columns()];
        for group in self.metadata.metadata().row_groups() {
            let declared = u64::try_from(group.num_rows()).map_err(|_| damaged())?;
            rows = rows.checked_add(declared).ok_or_else(damaged)?;
            for (column, claims) in group.columns().iter().zip(&mut claims) {
                let root = column.column_path().parts().first().map_or("", String::as_str);
                if wanted.is_some_and(|wanted| !wanted.contains(&root)) {
                    continue;
                }
                let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
                let start = usize::try_from(start).map_err(|_| damaged())?;
                let length = usize::try_from(column.compressed_size()).map_err(|_| damaged())?;
                let end = start.checked_add(length).ok_or_else(damaged)?;
                let chunk = self.bytes.get(start..end).ok_or_else(damaged)?;
                // Every column has its own part of the file: many that share one would take longer to walk over than to read.
                walked += length;
                if walked > self.bytes.len() {
                    return Err(damaged());
                }
                let checked = pages::check(chunk, column.column_type());
                *claims =
                    claims.and(checked.map_err(|fault| self.fault(&column.column_path().string(), fault))?);
            }
        }
        let limit = (self.bytes.len() as u64).saturating_mul(ROWS_PER_BYTE);
        DataError::limit(&self.path, "number of rows", rows, limit)?;
        if i64::try_from(rows) != Ok(self.metadata.metadata().file_metadata().num_rows()) {
            return Err(damaged());
        }
        Ok((rows, claims))
    }

    /// What is wrong with the pages of a column.
    fn fault(&self, column: &str, fault: PageFault) -> DataError {
        let path = self.path.clone();
        let too_large = |what: &str, found, limit| DataError::TooLarge {
            path: self.path.clone(),
            field: format!("{what} of column {column}"),
            found,
            limit,
        };
        match fault {
            PageFault::Broken => DataError::ParquetDamaged { path, action: "read the row groups" },
            PageFault::TooLarge(found) => too_large("page size", found, PAGE_LIMIT),
            PageFault::Dictionary { values, limit } => {
                too_large("number of dictionary values", values, limit)
            }
            PageFault::Expands => DataError::Dictionary { path, column: column.to_owned() },
        }
    }

    /// Checks what the pages of the named columns claim together; returns how many rows a batch of at most `batch` can have.
    fn batch_rows(&self, columns: &[&str], batch: usize) -> Result<usize> {
        let schema = self.metadata.parquet_schema();
        let named = |leaf: &usize| columns.contains(&schema.get_column_root(*leaf).name());
        let (mut together, mut rows) = (0_u64, batch);
        for leaf in (0..schema.num_columns()).filter(named) {
            let Claims { dictionary, page, total } = self.claims[leaf];
            together = together.saturating_add(dictionary + page);
            if schema.column(leaf).physical_type() == Type::BYTE_ARRAY && total > BATCH_BYTES {
                // No value is longer than its page.
                rows = rows.min(usize::try_from(BATCH_BYTES / page.max(1)).unwrap_or(usize::MAX).max(1));
            }
        }
        DataError::limit(&self.path, "size of the pages of a batch", together, TOGETHER_LIMIT)?;
        Ok(rows)
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
        Ok(Batches { path: self.path.clone(), reader: Some(reader), left: rows, declared: rows })
    }
}

/// The rows of a file, batch by batch. Ends with an error unless there are as many as declared.
pub(super) struct Batches {
    path: PathBuf,
    /// `None` after the end or an error.
    reader: Option<ParquetRecordBatchReader>,
    left: u64,
    declared: u64,
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
fn guard<T>(
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
