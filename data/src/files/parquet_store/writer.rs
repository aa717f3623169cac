//! Writes one segment: rows in, a durable Parquet file out.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{arrays, schema};
use crate::files::atomic::AtomicFile;
use crate::files::error::{DataError, Result};
use crate::files::hashing::Hashing;
use crate::rows::SCHEMA_VERSION;
use crate::segment::{Segment, SegmentWriter, StorageError};
use crate::table::{Cells, Column, ColumnType, Columns};

/// Rows of a row group: what is held in memory until it is compressed.
pub(super) const GROUP_ROWS: usize = 1 << 16;

/// A segment under construction.
pub(super) struct ParquetWriter {
    columns: Vec<Column>,
    schema: Arc<Schema>,
    writer: ArrowWriter<Hashing<AtomicFile>>,
    /// Rows of the row group that is not full yet. The groups do not depend on how rows were appended.
    group: Columns,
    path: PathBuf,
    segment: Segment,
}

impl ParquetWriter {
    /// Starts the file of `segment` at `path`.
    pub(super) fn create(path: PathBuf, columns: &[Column], segment: Segment) -> Result<Self> {
        let schema = schema::arrow_schema(columns);
        let options = ArrowWriterOptions::new()
            .with_properties(properties(columns, &segment.stream))
            .with_skip_arrow_metadata(true);
        let file = Hashing::new(AtomicFile::create(&path)?);
        let writer = ArrowWriter::try_new_with_options(file, Arc::clone(&schema), options)
            .map_err(DataError::writing(&path, "start the file"))?;
        Ok(Self { group: Columns::new(columns), columns: columns.to_vec(), schema, writer, path, segment })
    }

    fn write(&mut self, rows: &Columns) -> Result<()> {
        assert_eq!(
            rows.cells.len(),
            self.columns.len(),
            "rows of stream {} have its columns",
            self.segment.stream
        );
        self.check_epoch(rows)?;
        let mut from = 0;
        while from < rows.rows {
            let until = rows.rows.min(from + GROUP_ROWS - self.group.rows);
            for (group, cells) in self.group.cells.iter_mut().zip(&rows.cells) {
                group.extend(cells, from, until);
            }
            self.group.rows += until - from;
            from = until;
            if self.group.rows == GROUP_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Every row belongs to the segment's epoch: readers find rows by the name of the file.
    fn check_epoch(&self, rows: &Columns) -> Result<()> {
        let Some(Cells::U32(epochs)) = rows.cells.first() else {
            panic!("the first column of stream {} is the epoch", self.segment.stream);
        };
        match epochs.iter().position(|epoch| *epoch != self.segment.epoch) {
            Some(row) => Err(DataError::Epoch {
                path: self.path.clone(),
                row: self.segment.rows + self.group.rows as u64 + row as u64,
                found: epochs[row],
                expected: self.segment.epoch,
            }),
            None => Ok(()),
        }
    }

    /// Compresses and writes the rows held.
    fn flush(&mut self) -> Result<()> {
        let arrays = self.group.cells.iter().map(arrays::to_array).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .expect("columns are those of the schema and equally long");
        self.segment.rows += self.group.rows as u64;
        self.group = Columns::new(&self.columns);
        self.writer
            .write(&batch)
            .and_then(|()| self.writer.flush())
            .map_err(DataError::writing(&self.path, "write rows"))
    }

    fn close(mut self) -> Result<Segment> {
        if self.group.rows > 0 {
            self.flush()?;
        }
        let file = self.writer.into_inner().map_err(DataError::writing(&self.path, "finish the file"))?;
        let (file, bytes, blake3) = file.into_parts();
        file.commit()?;
        Ok(Segment { bytes, blake3, ..self.segment })
    }
}

impl SegmentWriter for ParquetWriter {
    fn append(&mut self, rows: &Columns) -> Result<(), StorageError> {
        Ok(self.write(rows)?)
    }

    fn finish(self: Box<Self>) -> Result<Segment, StorageError> {
        Ok(self.close()?)
    }
}

/// How the columns are encoded: whole numbers as differences, floats byte by byte, all compressed with zstd.
fn properties(columns: &[Column], stream: &str) -> WriterProperties {
    let level = ZstdLevel::try_new(3).expect("3 is a level");
    let keys = vec![
        KeyValue::new(schema::KEY_SCHEMA.to_owned(), SCHEMA_VERSION.to_string()),
        KeyValue::new(schema::KEY_STREAM.to_owned(), stream.to_owned()),
    ];
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("spfde version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(keys))
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        // Readers refuse dictionaries of text, since they can stand for any amount of memory.
        .set_dictionary_enabled(false);
    for column in columns {
        let encoding = match column.kind {
            ColumnType::I8 | ColumnType::U16 | ColumnType::U32 | ColumnType::U64 => {
                Encoding::DELTA_BINARY_PACKED
            }
            ColumnType::F32 | ColumnType::F64 => Encoding::BYTE_STREAM_SPLIT,
            ColumnType::Bool | ColumnType::Text => Encoding::PLAIN,
        };
        properties = properties.set_column_encoding(ColumnPath::from(column.name), encoding);
    }
    properties.build()
}
