//! How the columns of a stream stand in Parquet: types, and the check of what a file has.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use crate::files::error::{DataError, Result};
use crate::files::parquet_file::ParquetFile;
use crate::rows::SCHEMA_VERSION;
use crate::table::{Column, ColumnType};

/// Key of the version of names and types.
pub(super) const KEY_SCHEMA: &str = "spfde.schema";
/// Key of the stream's name.
pub(super) const KEY_STREAM: &str = "spfde.stream";

/// A column that a file has, of a type that streams can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundColumn {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub kind: ColumnType,
    /// Whether values may be missing.
    pub nullable: bool,
}

/// The Arrow type of a column.
fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Bool => DataType::Boolean,
        ColumnType::I8 => DataType::Int8,
        ColumnType::U16 => DataType::UInt16,
        ColumnType::U32 => DataType::UInt32,
        ColumnType::U64 => DataType::UInt64,
        ColumnType::F32 => DataType::Float32,
        ColumnType::F64 => DataType::Float64,
        ColumnType::Text => DataType::Utf8,
    }
}

/// The column type of an Arrow type; `None` for one that streams do not have.
fn column_type(kind: &DataType) -> Option<ColumnType> {
    Some(match kind {
        DataType::Boolean => ColumnType::Bool,
        DataType::Int8 => ColumnType::I8,
        DataType::UInt16 => ColumnType::U16,
        DataType::UInt32 => ColumnType::U32,
        DataType::UInt64 => ColumnType::U64,
        DataType::Float32 => ColumnType::F32,
        DataType::Float64 => ColumnType::F64,
        DataType::Utf8 => ColumnType::Text,
        _ => return None,
    })
}

/// The schema of a stream's files.
pub(super) fn arrow_schema(columns: &[Column]) -> Arc<Schema> {
    let field = |column: &Column| Field::new(column.name, data_type(column.kind), column.nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Checks that a file is of a known version and, if `stream` is given, of that stream.
pub(super) fn check_keys(file: &ParquetFile, stream: Option<&str>) -> Result<()> {
    let version = file.key(KEY_SCHEMA, &format!("a version up to {SCHEMA_VERSION}"))?;
    let found: u32 =
        version.parse().map_err(|_| value(file.path(), KEY_SCHEMA, version, "a version number"))?;
    if found > SCHEMA_VERSION || found == 0 {
        let path = file.path().to_owned();
        return Err(DataError::Version { path, field: KEY_SCHEMA, found, newest: SCHEMA_VERSION });
    }
    let found = file.key(KEY_STREAM, stream.unwrap_or("the name of a stream"))?;
    match stream {
        Some(expected) if found != expected => Err(value(file.path(), KEY_STREAM, found, expected)),
        _ => Ok(()),
    }
}

/// Checks that a file has the given columns with their types. Others may stand beside them: later versions add.
pub(super) fn check_columns(file: &ParquetFile, columns: &[Column]) -> Result<()> {
    for column in columns {
        let expected = data_type(column.kind);
        let Ok(field) = file.schema().field_with_name(column.name) else {
            if column.added {
                continue;
            }
            return Err(DataError::ColumnMissing {
                path: file.path().to_owned(),
                column: column.name.to_owned(),
                expected: expected.to_string(),
            });
        };
        if *field.data_type() != expected {
            return Err(DataError::ColumnType {
                path: file.path().to_owned(),
                column: column.name.to_owned(),
                found: field.data_type().to_string(),
                expected: expected.to_string(),
            });
        }
    }
    Ok(())
}

/// The columns of a file; one of a type that streams do not have is an error.
pub(super) fn found_columns(file: &ParquetFile) -> Result<Vec<FoundColumn>> {
    let found = |field: &Arc<Field>| {
        let kind = column_type(field.data_type()).ok_or_else(|| DataError::ColumnType {
            path: file.path().to_owned(),
            column: field.name().clone(),
            found: field.data_type().to_string(),
            expected: "Boolean, Int8, UInt16, UInt32, UInt64, Float32, Float64 or Utf8".to_owned(),
        })?;
        Ok(FoundColumn { name: field.name().clone(), kind, nullable: field.is_nullable() })
    };
    file.schema().fields().iter().map(found).collect()
}

fn value(path: &Path, field: &str, found: &str, expected: &str) -> DataError {
    DataError::Value {
        path: path.to_owned(),
        field: field.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}
