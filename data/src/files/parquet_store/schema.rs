//! How the columns of a stream stand in Parquet: types, the check of what a file has, arrays and back.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, PrimitiveArray, RecordBatch,
    StringArray, UInt64Array, downcast_integer_array,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Int8Type, Schema, UInt16Type, UInt32Type,
    UInt64Type,
};
use spfde_parquet_guard::ParquetFile;

use crate::files::{DataError, Result, seal};
use crate::rows::SCHEMA_VERSION;
use crate::{Cells, Column, ColumnType, Columns};

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
    seal::check_version(file.path(), KEY_SCHEMA, version.parse().map_err(is_no_number)?, SCHEMA_VERSION)?;
    match key(file, KEY_STREAM, stream)? {
        found if found == stream => Ok(()),
        found => Err(DataError::value(file.path(), KEY_STREAM, found, stream)),
    }
}

/// The value of a key of the metadata, which has to be there.
fn key<'a>(file: &'a ParquetFile, key: &str, expected: impl Display) -> Result<&'a str> {
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
pub(crate) fn check_type(
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

/// Checks that a column lacks no value.
pub(crate) fn check_nulls(path: &Path, column: &str, array: &dyn Array) -> Result<()> {
    match array.null_count() {
        0 => Ok(()),
        count => {
            let what = format!("column {column} lacks {count} of its values");
            Err(DataError::refused(path, what, "every row needs one"))
        }
    }
}

/// Takes the values of a column of whole numbers, whatever their width, up to the first that does not lie
/// between 0 and `most`: its row and value.
///
/// # Panics
/// If the column has another type.
pub(crate) fn whole_numbers(array: &ArrayRef, most: u64, mut take: impl FnMut(u64)) -> Option<(usize, i128)> {
    downcast_integer_array!(
        array => array.values().iter().map(|value| i128::from(*value)).enumerate().find(|(_, value)| {
            let fitting = u64::try_from(*value).ok().filter(|value| *value <= most);
            fitting.map(&mut take).is_none()
        }),
        other => unreachable!("the column was checked to hold whole numbers, not {other}")
    )
}

/// What is the same for all numbers that may not be missing: their types here and in Arrow.
macro_rules! numbers {
    ($($kind:ident: $type:ident,)+) => {
        /// The Arrow type of a column.
        fn data_type(kind: ColumnType) -> DataType {
            match kind {
                ColumnType::Bool => DataType::Boolean,
                ColumnType::MaybeF32 => DataType::Float32,
                ColumnType::MaybeU64 => DataType::UInt64,
                ColumnType::F64 => DataType::Float64,
                ColumnType::Text => DataType::Utf8,
                $(ColumnType::$kind => $type::DATA_TYPE,)+
            }
        }

        /// The cells of a column as an Arrow array.
        pub(super) fn to_array(cells: &Cells) -> ArrayRef {
            match cells {
                Cells::Bool(values) => Arc::new(BooleanArray::from(values.clone())),
                Cells::MaybeF32(values) => Arc::new(Float32Array::from(values.clone())),
                Cells::MaybeU64(values) => Arc::new(UInt64Array::from(values.clone())),
                Cells::F64(values) => Arc::new(Float64Array::from(values.clone())),
                Cells::Text(values) => Arc::new(StringArray::from_iter_values(values)),
                $(Cells::$kind(values) => {
                    Arc::new(PrimitiveArray::<$type>::new(values.clone().into(), None))
                })+
            }
        }

        /// The cells of an Arrow array, whose type and missing values have been checked before.
        fn from_array(kind: ColumnType, array: &ArrayRef) -> Cells {
            match kind {
                ColumnType::Bool => Cells::Bool(array.as_boolean().values().iter().collect()),
                ColumnType::MaybeF32 => {
                    Cells::MaybeF32(array.as_primitive::<Float32Type>().iter().collect())
                }
                ColumnType::MaybeU64 => Cells::MaybeU64(array.as_primitive::<UInt64Type>().iter().collect()),
                ColumnType::F64 => Cells::F64(array.as_primitive::<Float64Type>().iter().collect()),
                ColumnType::Text => {
                    Cells::Text(array.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
                }
                $(ColumnType::$kind => Cells::$kind(array.as_primitive::<$type>().values().to_vec()),)+
            }
        }
    };
}

numbers! {
    I8: Int8Type,
    U16: UInt16Type,
    U32: UInt32Type,
    U64: UInt64Type,
    F32: Float32Type,
}

/// The columns of a batch in the order of `columns`; the file's schema has been compared before.
pub(super) fn from_batch(path: &Path, batch: &RecordBatch, columns: &[Column]) -> Result<Columns> {
    let cells = columns.iter().map(|column| match batch.column_by_name(column.name) {
        // The schema was compared before: only columns that came later may be missing.
        None => Ok(Cells::defaults(column.kind, batch.num_rows())),
        Some(array) => {
            let checked = if column.nullable { Ok(()) } else { check_nulls(path, column.name, array) };
            checked.map(|()| from_array(column.kind, array))
        }
    });
    Ok(Columns { cells: cells.collect::<Result<_>>()?, rows: batch.num_rows() })
}
