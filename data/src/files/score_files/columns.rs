//! The columns of score files, of whatever width, as plain numbers.

use std::path::Path;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, downcast_integer_array,
};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use spfde_parquet_guard::ParquetFile;

use super::{EPOCH_LIMIT, SAMPLE_LIMIT};
use crate::files::error::{DataError, Result};
use crate::files::parquet_store::{check_type, nulls};
use crate::scores::ScoreColumns;

pub(super) const SAMPLE: &str = "sample";
pub(super) const EPOCH: &str = "epoch";
const STEP: &str = "step";
const CORRECT: &str = "correct";
pub(super) const LOSS: &str = "loss";

/// The columns that every score file has.
pub(super) const REQUIRED: [&str; 4] = [SAMPLE, EPOCH, STEP, CORRECT];

/// Checks that a file has the columns, with types that can be read.
pub(super) fn check(file: &ParquetFile, losses: bool) -> Result<()> {
    for name in [SAMPLE, EPOCH, STEP] {
        check_type(file, name, "Int64 or another integer", DataType::is_integer)?;
    }
    check_type(file, CORRECT, "Boolean, or an integer that is 0 or 1", |kind| {
        kind.is_integer() || *kind == DataType::Boolean
    })?;
    if losses {
        check_type(file, LOSS, "Float32 or Float64", is_loss)?;
    }
    Ok(())
}

fn is_loss(kind: &DataType) -> bool {
    matches!(kind, DataType::Float32 | DataType::Float64)
}

/// Replaces `rows` by those of a batch, which begins at row `first` of the file. The slots are samples still.
pub(super) fn decode(
    path: &Path,
    first: u64,
    batch: &RecordBatch,
    losses: bool,
    rows: &mut ScoreColumns,
) -> Result<()> {
    samples(path, first, batch, &mut rows.slots)?;
    epochs(path, first, batch, &mut rows.epochs)?;
    rows.steps.clear();
    whole(path, first, batch, STEP, u64::MAX, |step| rows.steps.push(step))?;
    rows.correct.clear();
    let correct = column(path, batch, CORRECT)?;
    match correct.data_type() {
        DataType::Boolean => rows.correct.extend(correct.as_boolean().values().iter()),
        _ => whole(path, first, batch, CORRECT, 1, |value| rows.correct.push(value == 1))?,
    }
    rows.losses.clear();
    finite(path, first, batch)?;
    if losses {
        let column = column(path, batch, LOSS)?;
        match column.data_type() {
            DataType::Float32 => rows.losses.extend_from_slice(column.as_primitive::<Float32Type>().values()),
            _ => {
                rows.losses
                    .extend(column.as_primitive::<Float64Type>().values().iter().map(|loss| *loss as f32));
            }
        }
    } else {
        rows.losses.resize(rows.slots.len(), f32::NAN);
    }
    Ok(())
}

/// Whether a file has losses, whoever looks at them.
pub(super) fn has_losses(file: &ParquetFile) -> bool {
    let field = file.schema().field_with_name(LOSS);
    field.is_ok_and(|field| is_loss(field.data_type()))
}

/// Checks the losses of a batch, as far as there are some: they are finite, also as numbers of 32 bits.
fn finite(path: &Path, first: u64, batch: &RecordBatch) -> Result<()> {
    let Some(array) = batch.column_by_name(LOSS) else { return Ok(()) };
    let bad = match array.data_type() {
        DataType::Float32 => not_finite::<Float32Type>(array, |loss| loss),
        _ => not_finite::<Float64Type>(array, |loss| loss as f32),
    };
    match bad {
        None => Ok(()),
        Some((at, found)) => {
            let what = format!("row {}: {LOSS}", first + at as u64);
            let remedy =
                "a training that comes to another has diverged; leave out what it recorded from there on";
            Err(DataError::unfit(path, what, found, "a finite number", remedy))
        }
    }
}

/// The first value that is not finite as a number of 32 bits, and its row.
fn not_finite<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    single: fn(T::Native) -> f32,
) -> Option<(usize, String)> {
    let values = array.as_primitive::<T>().values();
    let row = (0..values.len()).find(|row| !single(values[*row]).is_finite() && array.is_valid(*row))?;
    Some((row, format!("{:?}", values[row])))
}

/// Replaces `samples` by those of a batch.
pub(super) fn samples(path: &Path, first: u64, batch: &RecordBatch, samples: &mut Vec<u32>) -> Result<()> {
    samples.clear();
    whole(path, first, batch, SAMPLE, u64::from(SAMPLE_LIMIT), |sample| samples.push(sample as u32))
}

/// Replaces `epochs` by those of a batch.
pub(super) fn epochs(path: &Path, first: u64, batch: &RecordBatch, epochs: &mut Vec<u32>) -> Result<()> {
    epochs.clear();
    whole(path, first, batch, EPOCH, u64::from(EPOCH_LIMIT), |epoch| epochs.push(epoch as u32))
}

/// A column without missing values.
fn column<'a>(path: &Path, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let array = batch.column_by_name(name).expect("the schema was checked before");
    match array.null_count() {
        0 => Ok(array),
        count => Err(nulls(path, name, count)),
    }
}

/// Hands every value of a column of whole numbers to `take`, which must lie between 0 and `limit`.
fn whole(
    path: &Path,
    first: u64,
    batch: &RecordBatch,
    name: &str,
    limit: u64,
    take: impl FnMut(u64),
) -> Result<()> {
    let array = column(path, batch, name)?;
    let bad = downcast_integer_array!(
        array => values(array, limit, take),
        other => unreachable!("column {name} was checked to be a whole number, not {other}")
    );
    match bad {
        None => Ok(()),
        Some((at, found)) => {
            let what = format!("row {}: {name}", first + at as u64);
            Err(DataError::unfit(path, what, found, format_args!("0 to {limit}"), ""))
        }
    }
}

/// Takes values up to the first that does not lie between 0 and `limit`: its row and value.
fn values<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    limit: u64,
    mut take: impl FnMut(u64),
) -> Option<(usize, i128)>
where
    T::Native: Into<i128> + TryInto<u64>,
{
    for (at, value) in array.values().iter().enumerate() {
        match (*value).try_into() {
            Ok(value) if value <= limit => take(value),
            _ => return Some((at, (*value).into())),
        }
    }
    None
}
