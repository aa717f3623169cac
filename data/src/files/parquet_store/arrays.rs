//! Columns to Arrow arrays and back.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::schema;
use crate::files::error::Result;
use crate::table::{Cells, Column, ColumnType, Columns};

/// What is the same for all numbers that may not be missing: their types here and in Arrow.
macro_rules! numbers {
    ($($kind:ident: $type:ident,)+) => {
        /// The Arrow type of a column.
        pub(super) fn data_type(kind: ColumnType) -> DataType {
            match kind {
                ColumnType::Bool => DataType::Boolean,
                ColumnType::F64 => DataType::Float64,
                ColumnType::Text => DataType::Utf8,
                $(ColumnType::$kind => $type::DATA_TYPE,)+
            }
        }

        /// The cells of a column as an Arrow array.
        pub(super) fn to_array(cells: &Cells) -> ArrayRef {
            match cells {
                Cells::Bool(values) => Arc::new(BooleanArray::from(values.clone())),
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
        Some(array) if !column.nullable && array.null_count() > 0 => {
            Err(schema::nulls(path, column.name, array.null_count()))
        }
        Some(array) => Ok(from_array(column.kind, array)),
    });
    Ok(Columns { cells: cells.collect::<Result<_>>()?, rows: batch.num_rows() })
}
