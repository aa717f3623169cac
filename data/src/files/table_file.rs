//! A table of results as one Parquet file, with columns that only its writer knows.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};

use super::error::Result;
use super::parquet_out::{ParquetOut, properties};

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
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (name, values) in columns {
        let array: ArrayRef = match values {
            Values::Integer(values) => Arc::new(Int64Array::from(values)),
            Values::Number(values) => Arc::new(Float64Array::from(values)),
            Values::Text(values) => Arc::new(StringArray::from(values)),
        };
        assert!(fields.iter().all(|field| *field.name() != name), "{name} is the name of one column");
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let mut file = ParquetOut::create(path, Arc::new(Schema::new(fields)), properties(3, &[]).build())?;
    file.write_group(arrays)?;
    file.finish()?;
    Ok(())
}
