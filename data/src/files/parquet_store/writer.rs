//! Writes one segment: rows in, a durable Parquet file out.

use std::path::PathBuf;

use parquet::basic::Encoding;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{check_epoch, schema};
use crate::files::DataError;
use crate::files::parquet_out::{self, ParquetOut};
use crate::rows::SCHEMA_VERSION;
use crate::segment::Result;
use crate::{Column, ColumnType, Columns, Segment, SegmentWriter};

/// Rows of a row group: what is held in memory until it is compressed.
pub(super) const GROUP_ROWS: usize = 1 << 16;

/// A segment under construction.
pub(super) struct ParquetWriter {
    columns: Vec<Column>,
    file: ParquetOut,
    /// Rows of the row group that is not full yet. The groups do not depend on how rows were appended.
    group: Columns,
    path: PathBuf,
    segment: Segment,
}

impl ParquetWriter {
    /// Starts the file of `segment` at `path`.
    pub(super) fn create(path: PathBuf, columns: &[Column], segment: Segment) -> Result<Self, DataError> {
        let properties = properties(columns, &segment.stream);
        let file = ParquetOut::create(&path, schema::arrow_schema(columns), properties)?;
        Ok(Self { group: Columns::new(columns), columns: columns.to_vec(), file, path, segment })
    }

    /// Compresses and writes the rows held.
    fn flush(&mut self) -> Result<(), DataError> {
        let arrays = self.group.cells.iter().map(schema::to_array).collect();
        self.segment.rows += self.group.rows as u64;
        self.group = Columns::new(&self.columns);
        self.file.write_group(arrays)
    }
}

impl SegmentWriter for ParquetWriter {
    fn append(&mut self, rows: &Columns) -> Result<()> {
        let stream = &self.segment.stream;
        assert_eq!(rows.cells.len(), self.columns.len(), "rows of stream {stream} have its columns");
        let first = self.segment.rows + self.group.rows as u64;
        check_epoch(&self.path, first, rows, self.segment.epoch)?;
        let mut from = 0;
        while from < rows.rows {
            let until = rows.rows.min(from + GROUP_ROWS - self.group.rows);
            self.group.append(rows, from..until);
            from = until;
            if self.group.rows == GROUP_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Segment> {
        if self.group.rows > 0 {
            self.flush()?;
        }
        let (bytes, blake3) = self.file.finish()?;
        Ok(Segment { bytes, blake3, ..self.segment })
    }
}

/// How the columns are encoded: whole numbers as differences, floats byte by byte.
fn properties(columns: &[Column], stream: &str) -> WriterProperties {
    let keys = [(schema::KEY_SCHEMA, SCHEMA_VERSION.to_string()), (schema::KEY_STREAM, stream.to_owned())];
    let mut properties = parquet_out::properties(3, &keys).set_statistics_enabled(EnabledStatistics::Chunk);
    for column in columns {
        let encoding = match column.kind {
            ColumnType::I8 | ColumnType::U16 | ColumnType::U32 | ColumnType::U64 | ColumnType::MaybeU64 => {
                Encoding::DELTA_BINARY_PACKED
            }
            ColumnType::F32 | ColumnType::MaybeF32 | ColumnType::F64 => Encoding::BYTE_STREAM_SPLIT,
            ColumnType::Bool | ColumnType::Text => Encoding::PLAIN,
        };
        properties = properties.set_column_encoding(ColumnPath::from(column.name), encoding);
    }
    properties.build()
}
