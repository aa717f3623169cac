//! A table of results as one Parquet file, with columns that only its writer knows.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::atomic::AtomicFile;
use super::error::{DataError, Result};

/// The values of a column; any may be missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Whole numbers, 64 bits with a sign.
    Integer(Vec<Option<i64>>),
    /// Numbers, 64 bits.
    Number(Vec<Option<f64>>),
    /// Texts.
    Text(Vec<Option<String>>),
}

/// Writes the file `path`, whole or not at all: named columns, all equally long.
///
/// # Errors
/// If the file cannot be written.
///
/// # Panics
/// If the columns differ in length, or two have the same name.
pub fn write(path: &Path, columns: Vec<(String, Values)>) -> Result<()> {
    let arrays = columns.into_iter().map(|(name, values)| {
        let array: ArrayRef = match values {
            Values::Integer(values) => Arc::new(Int64Array::from(values)),
            Values::Number(values) => Arc::new(Float64Array::from(values)),
            Values::Text(values) => Arc::new(StringArray::from(values)),
        };
        (name, array, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(arrays).expect("columns are equally long");
    let error = DataError::writing(path, "write the table");
    let level = ZstdLevel::try_new(3).expect("3 is a level");
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let mut file = AtomicFile::create(path)?;
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).map_err(error)?;
    writer.write(&batch).map_err(error)?;
    // Not `into_inner`, which makes a text of the system's error.
    writer.close().map_err(error)?;
    file.commit()
}
