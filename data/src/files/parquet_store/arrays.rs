//! Columns to Arrow arrays and back.

use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int8Array, RecordBatch, StringArray,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{Float32Type, Float64Type, Int8Type, UInt16Type, UInt32Type, UInt64Type};

use super::schema;
use crate::files::error::Result;
use crate::table::{Cells, Column, ColumnType, Columns};

/// The cells of a column as an Arrow array.
pub(super) fn to_array(cells: &Cells) -> ArrayRef {
    match cells {
        Cells::Bool(values) => Arc::new(BooleanArray::from(values.clone())),
        Cells::I8(values) => Arc::new(Int8Array::from(values.clone())),
        Cells::U16(values) => Arc::new(UInt16Array::from(values.clone())),
        Cells::U32(values) => Arc::new(UInt32Array::from(values.clone())),
        Cells::U64(values) => Arc::new(UInt64Array::from(values.clone())),
        Cells::F32(values) => Arc::new(Float32Array::from(values.clone())),
        Cells::F64(values) => Arc::new(Float64Array::from(values.clone())),
        Cells::Text(values) => Arc::new(StringArray::from_iter_values(values)),
    }
}

/// The columns of a batch in the order of `columns`; the file's schema has been compared before.
pub(super) fn from_batch(path: &Path, batch: &RecordBatch, columns: &[Column]) -> Result<Columns> {
    let cells = columns.iter().map(|column| {
        let Some(array) = batch.column_by_name(column.name) else {
            // The schema was compared before: only columns that came later may be missing.
            return Ok(Cells::defaults(column.kind, batch.num_rows()));
        };
        if !column.nullable && array.null_count() > 0 {
            return Err(schema::nulls(path, column.name, array.null_count()));
        }
        Ok(match column.kind {
            ColumnType::Bool => Cells::Bool(array.as_boolean().values().iter().collect()),
            ColumnType::I8 => Cells::I8(array.as_primitive::<Int8Type>().values().to_vec()),
            ColumnType::U16 => Cells::U16(array.as_primitive::<UInt16Type>().values().to_vec()),
            ColumnType::U32 => Cells::U32(array.as_primitive::<UInt32Type>().values().to_vec()),
            ColumnType::U64 => Cells::U64(array.as_primitive::<UInt64Type>().values().to_vec()),
            ColumnType::F32 => Cells::F32(array.as_primitive::<Float32Type>().values().to_vec()),
            ColumnType::F64 => Cells::F64(array.as_primitive::<Float64Type>().iter().collect()),
            ColumnType::Text => {
                let text = array.as_string::<i32>();
                Cells::Text((0..text.len()).map(|row| text.value(row).to_owned()).collect())
            }
        })
    });
    Ok(Columns { cells: cells.collect::<Result<_>>()?, rows: batch.num_rows() })
}
