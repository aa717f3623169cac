//! Segments as tests read them: whole, and without a manifest that records them.

use std::path::Path;

use spfde_data::files::Result;
use spfde_data::files::parquet_store::read_columns;
use spfde_data::segment::Segment;
use spfde_data::table::Row;
use spfde_parquet_guard::ParquetFile;

/// All rows of a segment of the run directory `run`.
///
/// # Errors
/// As of [`read_columns`].
pub fn read_segment<R: Row>(run: &Path, segment: &Segment) -> Result<Vec<R>> {
    let mut rows = Vec::new();
    for batch in read_columns(run, segment, &R::columns())? {
        rows.extend(batch?.into_rows::<R>());
    }
    Ok(rows)
}

/// What a manifest records of a segment with these bytes.
///
/// # Errors
/// If they are no Parquet file.
pub fn describe(path: &Path, bytes: &[u8], stream: &str, epoch: u32) -> Result<Segment> {
    Ok(Segment {
        stream: stream.to_owned(),
        epoch,
        worker: 0,
        path: spfde_data::files::layout::segment_path(stream, epoch, 0),
        rows: ParquetFile::parse(path, bytes.to_vec())?.rows(),
        bytes: bytes.len() as u64,
        blake3: blake3::hash(bytes).to_hex().to_string(),
    })
}
