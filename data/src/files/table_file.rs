//! A table of results as one Parquet file, with columns that only its writer knows.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use spfde_parquet_guard::{FILE_LIMIT, ParquetFile};

use super::parquet_out::{ParquetOut, properties};
use super::parquet_store::check_type;
use super::{DataError, Result, read_limited};

/// The values of a column; any may be missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Whole numbers, 64 bits with a sign.
    Integer(Vec<Option<i64>>),
    /// Numbers, 64 bits.
    Number(Vec<Option<f64>>),
    /// Texts.
    Text(Vec<Option<String>>),
    /// Truth values.
    Boolean(Vec<Option<bool>>),
}

impl Values {
    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "a column without rows is nothing special")]
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }

    /// The value in a row, for messages.
    pub(crate) fn shown(&self, row: usize) -> String {
        let shown = match self {
            Self::Integer(values) => values[row].map(|value| value.to_string()),
            Self::Number(values) => values[row].map(|value| value.to_string()),
            Self::Text(values) => values[row].as_ref().map(|value| format!("{value:?}")),
            Self::Boolean(values) => values[row].map(|value| value.to_string()),
        };
        shown.unwrap_or_else(|| "missing".to_owned())
    }
}

/// Named columns, all equally long.
pub type Columns = Vec<(String, Values)>;

/// Writes the file `path`, whole or not at all.
///
/// # Errors
/// If the file cannot be written.
///
/// # Panics
/// If the columns differ in length, or two have the same name.
pub fn write(path: &Path, columns: Columns) -> Result<()> {
    write_groups(path, [columns])
}

/// As [`write()`], row group by row group, all of columns with the same names and types; nothing without any.
///
/// # Errors
/// As [`write()`].
///
/// # Panics
/// As [`write()`], and if another group has other columns.
pub fn write_groups(path: &Path, groups: impl IntoIterator<Item = Columns>) -> Result<()> {
    let mut groups = groups.into_iter();
    let Some(first) = groups.next() else { return Ok(()) };
    let (fields, arrays) = fields_and_arrays(first);
    let schema = Arc::new(Schema::new(fields.clone()));
    let mut file = ParquetOut::create(path, schema, properties(3, &[]).build())?;
    file.write_group(arrays)?;
    for columns in groups {
        let (found, arrays) = fields_and_arrays(columns);
        assert_eq!(found, fields, "all row groups have the same columns");
        file.write_group(arrays)?;
    }
    file.finish()?;
    Ok(())
}

fn fields_and_arrays(columns: Columns) -> (Vec<Field>, Vec<ArrayRef>) {
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (name, values) in columns {
        let array: ArrayRef = match values {
            Values::Integer(values) => Arc::new(Int64Array::from(values)),
            Values::Number(values) => Arc::new(Float64Array::from(values)),
            Values::Text(values) => Arc::new(StringArray::from(values)),
            Values::Boolean(values) => Arc::new(BooleanArray::from(values)),
        };
        assert!(fields.iter().all(|field| *field.name() != name), "{name} is the name of one column");
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    (fields, arrays)
}

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1 << 16;

/// Shows the values of the columns `names` of the file `path` to `visit`, some rows at a time, in the order
/// of the names; whole numbers of any width.
///
/// # Errors
/// If the file is damaged, or lacks one of the columns.
pub fn read(path: &Path, names: &[&str], mut visit: impl FnMut(Vec<Values>)) -> Result<()> {
    let file = ParquetFile::parse(path, read_limited(path, FILE_LIMIT)?)?;
    for name in names {
        check_type(&file, name, "a number, a text or a truth value", |kind| {
            kind.is_integer() || kind.is_floating() || matches!(kind, DataType::Boolean | DataType::Utf8)
        })?;
    }
    for batch in file.batches(0..file.groups(), names, BATCH_ROWS)? {
        let batch = batch?;
        let column = |name: &&str| {
            let array = batch.column_by_name(name).expect("the schema was checked before");
            let to =
                |kind| cast(array, &kind).map_err(|error| DataError::refused(path, error.to_string(), ""));
            let text = |text: Option<&str>| text.map(str::to_owned);
            Ok(match array.data_type() {
                DataType::Boolean => Values::Boolean(array.as_boolean().iter().collect()),
                DataType::Utf8 => Values::Text(array.as_string::<i32>().iter().map(text).collect()),
                kind if kind.is_integer() => {
                    Values::Integer(to(DataType::Int64)?.as_primitive::<Int64Type>().iter().collect())
                }
                _ => Values::Number(to(DataType::Float64)?.as_primitive::<Float64Type>().iter().collect()),
            })
        };
        visit(names.iter().map(column).collect::<Result<_>>()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::Decimal128Array;

    use super::*;

    #[test]
    fn a_dot_in_the_name_of_a_column_is_a_part_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.parquet");
        let whole = |value| Values::Integer(vec![Some(value)]);
        let columns = [("mask", 1), ("mask.sparsity", 2), ("mask.sparsity.of", 3)];
        write(&path, columns.map(|(name, value)| (name.to_owned(), whole(value))).into()).unwrap();
        read(&path, &["mask.sparsity", "mask"], |columns| assert_eq!(columns, [whole(2), whole(1)])).unwrap();
        let error = read(&path, &["mask.soft"], |_| ()).unwrap_err().to_string();
        assert!(error.contains("has no column mask.soft"), "{error}");
    }

    /// As numbers of 64 bits they would lose digits.
    #[test]
    fn decimals_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.parquet");
        let array: ArrayRef = Arc::new(Decimal128Array::from(vec![1, 2]));
        let schema = Arc::new(Schema::new(vec![Field::new("x", array.data_type().clone(), true)]));
        let mut file = ParquetOut::create(&path, schema, properties(3, &[]).build()).unwrap();
        file.write_group(vec![array]).unwrap();
        file.finish().unwrap();
        let error = read(&path, &["x"], |_| ()).unwrap_err().to_string();
        assert!(error.contains("column x is of type Decimal128("), "{error}");
    }
}
