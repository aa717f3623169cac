//! Parquet files that may be damaged or hostile: opened with one bound on memory, checked before anything is
//! decoded.
//!
//! A file is in memory whole (its compressed bytes, up to [`FILE_LIMIT`]), so that what was hashed is what is
//! decoded; or only its end, and then row group by row group ([`ParquetFile::parse_end`]). Rows are decoded
//! in batches. What the Parquet library can be made to hold beside that is bounded by [`MEMORY_LIMIT`], by
//! checks before it looks: the length, the counts and the depth of the footer when a file is opened, the
//! claims, encodings and compression of the pages of the columns that are asked for when they are. Compressed
//! pages are Snappy, Zstandard, Gzip, Brotli or LZ4; what decompresses to more than it claims is refused
//! before the library sees it.
//! Panics of the library on damaged files become errors.
//!
//! ```no_run
//! use std::path::Path;
//! use spfde_parquet_guard::ParquetFile;
//! let path = Path::new("scores.parquet");
//! let file = ParquetFile::parse(path, std::fs::read(path)?)?;
//! for batch in file.batches(0..file.groups(), &["sample", "loss"], 8192)? {
//!     println!("{} rows", batch?.num_rows());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod batches;
mod codecs;
mod error;
mod footer;
mod pages;
mod part;
mod thrift;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, FooterTail, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

pub use batches::Batches;
use batches::guard;
pub use error::Error;
use error::Fault;
use pages::{Claims, damaged};
use part::Part;

/// The result of reading a file.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Bytes of a Parquet file: it is held in memory while it is read.
pub const FILE_LIMIT: u64 = 4 << 30;

/// Bytes that a file can make the Parquet library hold at a time, beside its own bytes: for its footer, or
/// for the pages of a batch. The tables of a run stay below 16 MiB.
pub const MEMORY_LIMIT: u64 = 256 << 20;

/// Bytes of a footer; a thousand row groups of ten columns take 1.5 MB. Reading the worst that is passed on
/// takes 104 MB, 25 times as much (`tests/footers`).
const FOOTER_LIMIT: u64 = MEMORY_LIMIT / 64;

/// Bytes at the end of a file in which its footer lies.
pub const END_BYTES: u64 = FOOTER_LIMIT + 8;

/// Bytes of variable length that a batch may come to: a value may be as long as a page, whose bytes it shares
/// with no other.
const BATCH_LIMIT: u64 = MEMORY_LIMIT / 4;

/// Rows for each byte of a file. Runs of equal values take next to nothing, so that a few bytes could stand
/// for more rows than a user can wait for. The files of a run stay a hundred times below.
const ROWS_PER_BYTE: u64 = 1 << 16;

/// An open Parquet file whose footer is plausible.
#[derive(Debug)]
pub struct ParquetFile {
    path: PathBuf,
    bytes: Part,
    metadata: ArrowReaderMetadata,
    rows: u64,
}

impl ParquetFile {
    /// Reads the footer in the bytes of a file; `path` is for messages.
    ///
    /// # Errors
    /// If it is no Parquet file, or its footer claims what cannot be.
    pub fn parse(path: &Path, bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let length = bytes.len() as u64;
        Self::parse_end(path, length, bytes)
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        self.bytes.length
    }

    /// Rows that the file declares.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The value of a key of the metadata, if it is there.
    ///
    /// # Errors
    /// If it is there twice.
    pub fn key(&self, key: &str) -> Result<Option<&str>> {
        let entries = self.metadata.metadata().file_metadata().key_value_metadata();
        let mut entries = entries.into_iter().flatten().filter(|entry| entry.key == key);
        let entry = entries.next();
        if entries.next().is_some() {
            return Err(Fault::twice("key", key).of(&self.path));
        }
        Ok(entry.and_then(|entry| entry.value.as_deref()))
    }

    /// How many row groups there are.
    pub fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// Rows that a row group declares; `None` if there is no such group.
    pub fn group_rows(&self, group: usize) -> Option<u64> {
        self.metadata.metadata().row_groups().get(group).map(|group| group.num_rows() as u64)
    }

    /// How many rows the file declares before a row group.
    pub fn first_row(&self, group: usize) -> u64 {
        (0..group).filter_map(|before| self.group_rows(before)).sum()
    }

    /// Decodes the named columns of some row groups, at most `batch` rows at a time; the columns of the
    /// batches come in the file's order.
    ///
    /// # Errors
    /// If one comes twice, or their pages are damaged or claim more than [`MEMORY_LIMIT`].
    ///
    /// # Panics
    /// If there are no such groups, or their bytes are not in memory.
    pub fn batches(&self, groups: Range<usize>, columns: &[&str], batch: usize) -> Result<Batches> {
        let rows = self.first_row(groups.end) - self.first_row(groups.start);
        let open = || {
            let batch = self.batch_rows(groups.clone(), columns, batch)?;
            guard("read rows", || {
                let (bytes, metadata) = (self.bytes.clone(), self.metadata.clone());
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata);
                let schema = builder.parquet_schema();
                // By the names of whole columns: as a path, a name with a dot would lead into another one.
                let fields = schema.root_schema().get_fields();
                let named = |root: &usize| columns.contains(&fields[*root].name());
                let projection = ProjectionMask::roots(schema, (0..fields.len()).filter(named));
                let builder = builder.with_projection(projection).with_batch_size(batch);
                builder.with_row_groups(groups.collect()).build()
            })
        };
        let reader = open().map_err(|fault| fault.of(&self.path))?;
        Ok(Batches::new(&self.path, reader, rows))
    }

    /// Checks what the pages of the named columns claim, each and together; returns how many rows a batch of
    /// at most `batch` can have.
    fn batch_rows(&self, groups: Range<usize>, columns: &[&str], batch: usize) -> Result<usize, Fault> {
        let schema = self.metadata.parquet_schema();
        for name in columns {
            if self.schema().fields().iter().filter(|field| field.name() == name).count() > 1 {
                return Err(Fault::twice("column", name));
            }
        }
        let named = |leaf: &usize| columns.contains(&schema.get_column_root(*leaf).name());
        let (mut together, mut scratch, mut rows) = (0_u64, 0, batch);
        for leaf in (0..schema.num_columns()).filter(named) {
            let mut claims = Claims::default();
            for group in groups.clone() {
                let column = self.metadata.metadata().row_group(group).column(leaf);
                let place = place(column).expect("places were checked");
                let chunk = self.bytes.slice(place.start as u64..place.end as u64);
                let chunk = &*chunk.expect("the groups are in memory");
                let (name, kind) = (column.column_path().string(), column.column_type());
                claims.add(chunk, &name, kind, column.compression())?;
            }
            together = together.saturating_add(claims.dictionary + claims.page);
            scratch = scratch.max(claims.scratch);
            if schema.column(leaf).physical_type() != Type::BYTE_ARRAY {
                continue;
            }
            // No value is longer than its page; one in a dictionary may be meant by every row.
            let mut longest = if claims.total > BATCH_LIMIT { claims.page } else { 0 };
            if claims.dictionary > 0 {
                for group in groups.clone() {
                    longest = longest.max(self.longest_in_dictionary(group, leaf)?);
                }
            }
            let most = BATCH_LIMIT / longest.max(1);
            rows = rows.min(usize::try_from(most).unwrap_or(usize::MAX).max(1));
        }
        // Pages are decompressed one after the other.
        Fault::limit("size of the pages of a batch", together.saturating_add(scratch), MEMORY_LIMIT)?;
        Ok(rows)
    }

    /// Bytes of the longest value in the dictionary of a column, whose pages were checked; 0 if it has none.
    fn longest_in_dictionary(&self, group: usize, leaf: usize) -> Result<u64, Fault> {
        let group = self.metadata.metadata().row_group(group);
        guard("read a dictionary", || {
            let (bytes, column) = (Arc::new(self.bytes.clone()), group.column(leaf));
            let mut pages = SerializedPageReader::new(bytes, column, group.num_rows() as usize, None)?;
            // It comes first.
            let Some(Page::DictionaryPage { buf, .. }) = pages.get_next_page()? else { return Ok(0) };
            let (mut rest, mut longest) = (&buf[..], 0);
            while let Some((length, values)) = rest.split_first_chunk() {
                let length = u32::from_le_bytes(*length);
                longest = longest.max(u64::from(length));
                rest = values.get(length as usize..).unwrap_or_default();
            }
            Ok(longest)
        })
    }
}

/// Reads the footer of a file, once it is known to claim no more than there can be.
fn read_footer(part: &Part) -> Result<ArrowReaderMetadata, Fault> {
    const ACTION: &str = "read the footer";
    let bytes = &part.bytes;
    let length = guard(ACTION, || {
        let tail = bytes.last_chunk().ok_or(ParquetError::EOF("shorter than 8 bytes".to_owned()))?;
        Ok(FooterTail::try_new(tail)?.metadata_length() as u64)
    })?;
    Fault::limit("footer length", length, FOOTER_LIMIT)?;
    let end = bytes.len() - 8;
    // A footer longer than the file is left to the library.
    if let Some(start) = end.checked_sub(length as usize) {
        footer::check(&bytes[start..end])?;
    }
    guard(ACTION, || {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(part)?;
        // The schema is what Parquet says; a second one hidden in the metadata is not consulted.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        ArrowReaderMetadata::try_new(Arc::new(metadata), options)
    })
}

/// Checks the places and counts of all row groups in a file of so many `bytes`; returns the rows that they
/// declare.
fn check_groups(metadata: &ArrowReaderMetadata, bytes: u64) -> Result<u64, Fault> {
    let groups = metadata.metadata().row_groups();
    let rows = sum(groups.iter().map(|group| u64::try_from(group.num_rows()).ok()))?;
    Fault::limit("number of rows", rows, bytes.saturating_mul(ROWS_PER_BYTE))?;
    // Every column has its own part of the file: many that share one would take longer to walk over than to
    // read.
    let chunks = groups.iter().flat_map(RowGroupMetaData::columns);
    let places = chunks.map(|chunk| place(chunk).filter(|place| place.end as u64 <= bytes));
    let length = sum(places.map(|place| place.map(|place| place.len() as u64)))?;
    let is_total = i64::try_from(rows) == Ok(metadata.metadata().file_metadata().num_rows());
    if length <= bytes && is_total { Ok(rows) } else { Err(damaged()) }
}

/// The sum of numbers, if all of them are there and it has 64 bits.
fn sum(mut numbers: impl Iterator<Item = Option<u64>>) -> Result<u64, Fault> {
    numbers.try_fold(0_u64, |sum, number| sum.checked_add(number?)).ok_or_else(damaged)
}

/// Where the pages of a chunk lie in the file.
fn place(chunk: &ColumnChunkMetaData) -> Option<Range<usize>> {
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let start = usize::try_from(start).ok()?;
    Some(start..start.checked_add(usize::try_from(chunk.compressed_size()).ok()?)?)
}
