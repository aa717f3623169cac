//! The columns of score files, of whatever width, as plain numbers.

use std::path::Path;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, downcast_integer_array,
};
use arrow::compute::cast;
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

/// Whether a file has losses, even if the caller does not ask for them.
pub(super) fn has_losses(file: &ParquetFile) -> bool {
    let field = file.schema().field_with_name(LOSS);
    field.is_ok_and(|field| is_loss(field.data_type()))
}

/// A batch of the rows of the file `path`, which begins at its row `first`.
pub(super) struct Batch<'a> {
    pub(super) path: &'a Path,
    pub(super) first: u64,
    pub(super) rows: &'a RecordBatch,
}

impl Batch<'_> {
    /// Replaces `rows` by those of the batch. The slots are samples still.
    pub(super) fn decode(&self, losses: bool, rows: &mut ScoreColumns) -> Result<()> {
        self.samples(&mut rows.slots)?;
        self.epochs(&mut rows.epochs)?;
        self.whole(STEP, u64::MAX, &mut rows.steps, |step| step)?;
        let correct = self.column(CORRECT)?;
        match correct.as_boolean_opt() {
            Some(correct) => rows.correct = correct.values().iter().collect(),
            None => self.whole(CORRECT, 1, &mut rows.correct, |value| value == 1)?,
        }
        rows.losses.clear();
        let found = self.finite_losses()?;
        match losses {
            true => {
                self.column(LOSS)?;
                rows.losses.extend(found.iter().flat_map(|found| found.values()));
            }
            false => rows.losses.resize(rows.slots.len(), f32::NAN),
        }
        Ok(())
    }

    /// Replaces `samples` by those of the batch.
    pub(super) fn samples(&self, samples: &mut Vec<u32>) -> Result<()> {
        self.whole(SAMPLE, u64::from(SAMPLE_LIMIT), samples, |sample| sample as u32)
    }

    /// Replaces `epochs` by those of the batch.
    pub(super) fn epochs(&self, epochs: &mut Vec<u32>) -> Result<()> {
        self.whole(EPOCH, u64::from(EPOCH_LIMIT), epochs, |epoch| epoch as u32)
    }

    /// The losses, if there are some, as numbers of 32 bits: all that are there are finite.
    fn finite_losses(&self) -> Result<Option<PrimitiveArray<Float32Type>>> {
        let Some(array) = self.rows.column_by_name(LOSS) else { return Ok(None) };
        let losses = cast(array, &DataType::Float32).expect("losses were checked to be floats");
        let losses = losses.as_primitive::<Float32Type>();
        let bad = losses.iter().position(|loss| loss.is_some_and(|loss| !loss.is_finite()));
        let Some(row) = bad else { return Ok(Some(losses.clone())) };
        let found = match array.as_primitive_opt::<Float64Type>() {
            Some(array) => format!("{:?}", array.value(row)),
            None => format!("{:?}", losses.value(row)),
        };
        let remedy =
            "a training that comes to another has diverged; leave out what it recorded from there on";
        Err(DataError::unfit(self.path, self.value(row, LOSS), found, "a finite number", remedy))
    }

    /// What a message calls a value.
    fn value(&self, row: usize, column: &str) -> String {
        format!("row {}: {column}", self.first + row as u64)
    }

    /// A column without missing values.
    fn column(&self, name: &str) -> Result<&ArrayRef> {
        let array = self.rows.column_by_name(name).expect("the schema was checked before");
        match array.null_count() {
            0 => Ok(array),
            count => Err(nulls(self.path, name, count)),
        }
    }

    /// Replaces `into` by the values of a column of whole numbers, which must lie between 0 and `limit`.
    fn whole<T>(&self, name: &str, limit: u64, into: &mut Vec<T>, make: fn(u64) -> T) -> Result<()> {
        into.clear();
        let array = self.column(name)?;
        let bad = downcast_integer_array!(
            array => values(array, limit, |value| into.push(make(value))),
            other => unreachable!("column {name} was checked to be a whole number, not {other}")
        );
        match bad {
            None => Ok(()),
            Some((row, found)) => {
                let expected = format_args!("0 to {limit}");
                Err(DataError::unfit(self.path, self.value(row, name), found, expected, ""))
            }
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
