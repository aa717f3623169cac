//! The columns of score files, of whatever width, as plain numbers.

use arrow::array::{ArrayRef, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use spfde_parquet_guard::ParquetFile;

use super::{EPOCH_LIMIT, SAMPLE_LIMIT, ScoreFile};
use crate::ScoreColumns;
use crate::files::parquet_store::{check_nulls, check_type, whole_numbers};
use crate::files::{DataError, Result};

pub(super) const SAMPLE: &str = "sample";
pub(super) const EPOCH: &str = "epoch";
pub(super) const STEP: &str = "step";
const CORRECT: &str = "correct";
const LOSS: &str = "loss";

/// The column of the class of each row's sample, which is read if it is asked for.
pub(super) const LABEL: &str = "label";

/// The columns that are read.
pub(super) fn names(losses: bool) -> &'static [&'static str] {
    let all = &[SAMPLE, EPOCH, STEP, CORRECT, LOSS];
    if losses { all } else { &all[..4] }
}

/// Bytes of the name of a sample.
const NAME_LIMIT: usize = 4096;

/// Checks that a file has the columns, or its path what they would say, with types that can be read; whether
/// its samples are texts.
pub(super) fn check(file: &ParquetFile, partitions: &[(&str, u64)], losses: bool) -> Result<bool> {
    let texts = file.schema().field_with_name(SAMPLE).is_ok_and(|field| is_text(field.data_type()));
    check_type(file, SAMPLE, "Int64 or another integer, or Utf8", |kind| kind.is_integer() || is_text(kind))?;
    for name in [EPOCH, STEP] {
        let is_partition = partitions.iter().any(|(known, _)| *known == name);
        if !is_partition || file.schema().field_with_name(name).is_ok() {
            check_type(file, name, "Int64 or another integer", DataType::is_integer)?;
        }
    }
    check_type(file, CORRECT, "Boolean, or an integer that is 0 or 1", |kind| {
        kind.is_integer() || *kind == DataType::Boolean
    })?;
    if losses {
        let is_loss = |kind: &DataType| matches!(kind, DataType::Float32 | DataType::Float64);
        check_type(file, LOSS, "Float32 or Float64", is_loss)?;
    }
    Ok(texts)
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A batch of the rows of a file, which begins at its row `first`.
pub(super) struct Batch<'a> {
    pub(super) file: &'a ScoreFile,
    pub(super) first: u64,
    pub(super) rows: &'a RecordBatch,
}

impl Batch<'_> {
    /// Replaces all of `rows` but the slots by what the batch says.
    pub(super) fn decode(&self, losses: bool, rows: &mut ScoreColumns) -> Result<()> {
        self.epochs(&mut rows.epochs)?;
        self.whole(STEP, u64::MAX, &mut rows.steps, |step| step)?;
        let correct = self.column(CORRECT)?;
        match correct.as_boolean_opt() {
            Some(correct) => rows.correct = correct.values().iter().collect(),
            None => self.whole(CORRECT, 1, &mut rows.correct, |value| value == 1)?,
        }
        rows.losses.clear();
        match losses {
            true => rows.losses.extend(self.finite_losses()?.values()),
            false => rows.losses.resize(rows.correct.len(), f32::NAN),
        }
        Ok(())
    }

    /// Replaces `samples` by those of the batch, which are numbers.
    pub(super) fn samples(&self, samples: &mut Vec<u32>) -> Result<()> {
        self.whole(SAMPLE, u64::from(SAMPLE_LIMIT), samples, |sample| sample as u32)
    }

    /// Shows the samples of the batch, which are texts, to `visit`.
    pub(super) fn texts(&self, mut visit: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let texts =
            cast(self.column(SAMPLE)?, &DataType::LargeUtf8).expect("samples were checked to be texts");
        for (row, text) in texts.as_string::<i64>().iter().flatten().enumerate() {
            if text.len() > NAME_LIMIT {
                let found = format_args!("a text of {} bytes", text.len());
                let expected = format_args!("at most {NAME_LIMIT}");
                return Err(DataError::unfit(&self.file.path, self.value(row, SAMPLE), found, expected, ""));
            }
            visit(text)?;
        }
        Ok(())
    }

    /// Replaces `epochs` by those of the batch.
    pub(super) fn epochs(&self, epochs: &mut Vec<u32>) -> Result<()> {
        self.whole(EPOCH, u64::from(EPOCH_LIMIT), epochs, |epoch| epoch as u32)
    }

    /// Replaces `labels` by those of the batch.
    pub(super) fn labels(&self, labels: &mut Vec<u16>) -> Result<()> {
        self.whole(LABEL, u64::from(u16::MAX), labels, |label| label as u16)
    }

    /// The losses as numbers of 32 bits: all of them are finite.
    fn finite_losses(&self) -> Result<PrimitiveArray<Float32Type>> {
        let array = self.column(LOSS)?;
        let losses = cast(array, &DataType::Float32).expect("losses were checked to be floats");
        let losses = losses.as_primitive::<Float32Type>();
        let Some(row) = losses.values().iter().position(|loss| !loss.is_finite()) else {
            return Ok(losses.clone());
        };
        let found = match array.as_primitive_opt::<Float64Type>() {
            Some(array) => format!("{:?}", array.value(row)),
            None => format!("{:?}", losses.value(row)),
        };
        let remedy = "the training has diverged: leave out what it recorded from there on, or choose a \
                      policy that reads no losses";
        Err(DataError::unfit(&self.file.path, self.value(row, LOSS), found, "a finite number", remedy))
    }

    /// What a message calls a value.
    pub(super) fn value(&self, row: usize, column: &str) -> String {
        format!("row {}: {column}", self.first + row as u64)
    }

    /// A column without missing values.
    fn column(&self, name: &str) -> Result<&ArrayRef> {
        let array = self.rows.column_by_name(name).expect("the schema was checked before");
        check_nulls(&self.file.path, name, array).map(|()| array)
    }

    /// Replaces `into` by the values of a column of whole numbers, which must lie between 0 and `limit`.
    fn whole<T>(&self, name: &str, limit: u64, into: &mut Vec<T>, make: fn(u64) -> T) -> Result<()> {
        into.clear();
        let partition = self.file.partitions.iter().rev().find(|(known, _)| *known == name);
        if let (None, Some((_, value))) = (self.rows.column_by_name(name), partition) {
            if *value > limit {
                let what = format!("{name} of its directory");
                return Err(DataError::unfit(&self.file.path, what, value, format_args!("0 to {limit}"), ""));
            }
            into.extend((0..self.rows.num_rows()).map(|_| make(*value)));
            return Ok(());
        }
        match whole_numbers(self.column(name)?, limit, |value| into.push(make(value))) {
            None => Ok(()),
            Some((row, found)) => {
                let expected = format_args!("0 to {limit}");
                Err(DataError::unfit(&self.file.path, self.value(row, name), found, expected, ""))
            }
        }
    }
}
