//! A Parquet file under construction.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

use super::atomic::Part;
use super::{DataError, Result, atomic};

/// Writes a Parquet file, whole or not at all. Dropped before
/// [`ParquetOut::finish`], it leaves nothing.
pub(super) struct ParquetOut {
    path: PathBuf,
    schema: Arc<Schema>,
    writer: ArrowWriter<BufWriter<Part>>,
}

/// What the files of this program have in common: compressed with zstd at this level, without dictionaries,
/// with these keys and values in their metadata.
pub(super) fn properties(level: i32, keys: &[(&str, String)]) -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(level).expect("a level of zstd");
    let keys = keys.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
    WriterProperties::builder()
        .set_created_by(concat!("spfde version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(keys.collect()))
        .set_compression(Compression::ZSTD(level))
        .set_offset_index_disabled(true)
        // Readers refuse dictionaries of text, since they can stand for any amount of memory.
        .set_dictionary_enabled(false)
}

impl ParquetOut {
    /// Starts the file `path`.
    pub(super) fn create(path: &Path, schema: Arc<Schema>, properties: WriterProperties) -> Result<Self> {
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let file = atomic::create(path)?;
        let writer = ArrowWriter::try_new_with_options(file, Arc::clone(&schema), options)
            .map_err(DataError::writing(path, "start the file"))?;
        Ok(Self { path: path.to_owned(), schema, writer })
    }

    /// Writes a row group.
    ///
    /// # Panics
    /// If the columns are not those of the schema, or differ in length.
    pub(super) fn write_group(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .expect("columns are those of the schema and equally long");
        let written = self.writer.write(&batch).and_then(|()| self.writer.flush());
        written.map_err(DataError::writing(&self.path, "write rows"))
    }

    /// Makes the file durable under its name; its length, and its BLAKE3 in hexadecimal.
    pub(super) fn finish(self) -> Result<(u64, String)> {
        let file = self.writer.into_inner().map_err(DataError::writing(&self.path, "finish the file"))?;
        atomic::commit(file)
    }
}
