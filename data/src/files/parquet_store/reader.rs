//! Reads segments back: hash first, then columns, then rows in batches.

use std::ops::Range;
use std::path::Path;

use spfde_parquet_guard::{FILE_LIMIT, ParquetFile};

use super::{check_epoch, schema};
use crate::files::{DataError, Manifest, Result, check_length, check_recorded, inside, open, read_limited};
use crate::{Column, Columns, Row, Segment};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 1 << 13;

/// Opens a segment of the run directory `run` and reads the given columns of it, in batches of at most 8192
/// rows. Ends after an error.
///
/// The file must have the length, BLAKE3, stream and number of rows that `segment` records, and the columns
/// with their types; further columns are ignored, those of a later version among them. All rows are of the
/// segment's epoch.
///
/// # Panics
/// On reading, if the first column is not the epoch.
pub fn read_columns(
    run: &Path,
    segment: &Segment,
    columns: &[Column],
) -> Result<impl Iterator<Item = Result<Columns>> + use<>> {
    let path = inside(run, &segment.path)?;
    parse_columns(&path, read_limited(&path, FILE_LIMIT)?, segment, columns)
}

/// [`read_columns`] of the bytes of a file; `path` is for messages.
pub fn parse_columns(
    path: &Path,
    bytes: Vec<u8>,
    segment: &Segment,
    columns: &[Column],
) -> Result<impl Iterator<Item = Result<Columns>> + use<>> {
    check_recorded(path, &bytes, segment.bytes, &segment.blake3)?;
    let file = ParquetFile::parse(path, bytes)?;
    schema::check_keys(&file, &segment.stream)?;
    DataError::same(path, "number of rows", file.rows(), segment.rows)?;
    schema::check_columns(&file, columns)?;
    let there = |name: &&str| file.schema().field_with_name(name).is_ok();
    let names: Vec<&str> = columns.iter().map(|column| column.name).filter(there).collect();
    let batches = file.batches(0..file.groups(), &names, BATCH_ROWS)?;
    let (path, columns, epoch) = (path.to_owned(), columns.to_vec(), segment.epoch);
    let (mut batches, mut first) = (Some(batches), 0);
    Ok(std::iter::from_fn(move || {
        let batch = batches.as_mut()?.next()?.map_err(DataError::from);
        let rows = batch.and_then(|batch| {
            let rows = schema::from_batch(&path, &batch, &columns)?;
            check_epoch(&path, first, &rows, epoch)?;
            first += rows.rows as u64;
            Ok(rows)
        });
        batches.take_if(|_| rows.is_err());
        Some(rows)
    }))
}

/// How long the file of a segment of the run directory `run` is, without reading it.
///
/// # Errors
/// If it is not as long as `segment` records, or cannot be opened.
pub fn stored_bytes(run: &Path, segment: &Segment) -> Result<u64> {
    let path = inside(run, &segment.path)?;
    let (_, found) = open(&path)?;
    check_length(&path, found, segment.bytes)?;
    Ok(found)
}

/// The rows of a stream in the given epochs: epoch by epoch, within one worker by worker, in batches.
///
/// One segment at a time is in memory. Within an epoch each worker's rows are in their order, but those of
/// several workers are not merged.
pub fn read_stream<R: Row>(
    run: &Path,
    manifest: &Manifest,
    epochs: Range<u32>,
) -> impl Iterator<Item = Result<Columns>> + use<R> {
    let run = run.to_owned();
    let segments = manifest.segments_of(R::STREAM, epochs).to_vec();
    segments.into_iter().flat_map(move |segment| -> Box<dyn Iterator<Item = Result<Columns>>> {
        match read_columns(&run, &segment, &R::columns()) {
            Ok(reader) => Box::new(reader),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    })
}
