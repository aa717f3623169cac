//! How the columns of a stream stand in Parquet: types, and the check of what a file has.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use spfde_parquet_guard::ParquetFile;

use super::arrays::data_type;
use crate::files::error::{DataError, Result};
use crate::files::version;
use crate::rows::SCHEMA_VERSION;
use crate::table::Column;

/// Key of the version of names and types.
pub(super) const KEY_SCHEMA: &str = "spfde.schema";
/// Key of the stream's name.
pub(super) const KEY_STREAM: &str = "spfde.stream";

/// The schema of a stream's files.
pub(super) fn arrow_schema(columns: &[Column]) -> Arc<Schema> {
    let field = |column: &Column| Field::new(column.name, data_type(column.kind), column.nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Checks that a file is of a known version and of a stream.
pub(super) fn check_keys(file: &ParquetFile, stream: &str) -> Result<()> {
    let version = key(file, KEY_SCHEMA, format_args!("a version up to {SCHEMA_VERSION}"))?;
    let is_no_number = |_| DataError::value(file.path(), KEY_SCHEMA, version, "a version number");
    version::check(file.path(), KEY_SCHEMA, version.parse().map_err(is_no_number)?, SCHEMA_VERSION)?;
    match key(file, KEY_STREAM, stream)? {
        found if found == stream => Ok(()),
        found => Err(DataError::value(file.path(), KEY_STREAM, found, stream)),
    }
}

/// The value of a key of the metadata, which has to be there.
pub(in crate::files) fn key<'a>(file: &'a ParquetFile, key: &str, expected: impl Display) -> Result<&'a str> {
    let what = || format!("metadata has no key {key}");
    let missing = || DataError::unfit(file.path(), what(), "", expected, "the file was not written by spfde");
    file.key(key)?.ok_or_else(missing)
}

/// Checks that a file has the given columns with their types. Others may stand beside them: later versions
/// add.
pub(super) fn check_columns(file: &ParquetFile, columns: &[Column]) -> Result<()> {
    columns.iter().try_for_each(|column| {
        let expected = data_type(column.kind);
        let lacks = file.schema().field_with_name(column.name).is_err();
        match column.added && lacks {
            true => Ok(()),
            false => check_type(file, column.name, &expected, |kind| *kind == expected),
        }
    })
}

/// Checks that a file has a column of a type that `fits`.
pub(in crate::files) fn check_type(
    file: &ParquetFile,
    column: &str,
    expected: impl Display,
    fits: impl FnOnce(&DataType) -> bool,
) -> Result<()> {
    match file.schema().field_with_name(column) {
        Err(_) => {
            let (what, expected) = (format!("has no column {column}"), format!("one of type {expected}"));
            Err(DataError::unfit(file.path(), what, "", expected, ""))
        }
        Ok(field) if fits(field.data_type()) => Ok(()),
        Ok(field) => {
            let (what, found) = (format!("column {column}"), format!("of type {}", field.data_type()));
            Err(DataError::unfit(file.path(), what, found, expected, ""))
        }
    }
}

/// That a column lacks values.
pub(in crate::files) fn nulls(path: &Path, column: &str, count: usize) -> DataError {
    DataError::refused(path, format!("column {column} lacks {count} of its values"), "every row needs one")
}
