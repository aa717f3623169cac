//! Norms of gradients in Parquet files, written by any trainer, so that its freezing can be judged, too.
//!
//! The columns are `epoch`, `step`, `layer`, `name`, `l2`, `l1` and `nonzero`; others are ignored. A row is a
//! layer's gradient at a step, and the weights of the layer that were not 0 then. A layer that was frozen has
//! none. Every row needs a value in each column; norms are finite.

use std::path::{Path, PathBuf};

use super::layout::files_below;
use super::plausible::score_rows_limit;
use super::table_file::{self, Values};
use super::{DataError, Result};
use crate::{GradientRow, LayerShape, Row};

/// The columns that are read.
const COLUMNS: [&str; 7] = ["epoch", "step", "layer", "name", "l2", "l1", "nonzero"];

/// The greatest number an epoch may have: every epoch up to the last is decided.
const EPOCH_LIMIT: i64 = 9_999;

/// What was recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Norms {
    /// The rows by epoch, step and layer; the first epoch that occurs is epoch 0.
    pub rows: Vec<GradientRow>,
    /// The first epoch, as the files number it.
    pub first_epoch: u32,
    /// Epochs from the first to the last that occurs.
    pub epochs: u32,
    /// Files.
    pub files: usize,
}

/// Reads all files `*.parquet` in `directory` and below it, of a network of these `layers`.
///
/// # Errors
/// If there is none, one is damaged or lacks a column or a value; if a number is out of range, a norm is not
/// finite, a layer has another name than among `layers`, or a step has two rows of one; if there are more
/// than 128 rows for each byte, beside a million.
pub fn read(directory: &Path, layers: &[LayerShape]) -> Result<Norms> {
    let files: Vec<PathBuf> = files_below(directory, u32::MAX).collect::<Result<_>>()?;
    let is_table = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "parquet");
    let files: Vec<PathBuf> = files.into_iter().filter(is_table).collect();
    let length = |file: &PathBuf| file.metadata().map_or(0, |metadata| metadata.len());
    let limit = score_rows_limit(files.iter().map(length).sum());
    let mut rows: Vec<GradientRow> = Vec::new();
    for path in &files {
        let (mut wrong, mut first) = (None, 0);
        table_file::read(path, &COLUMNS, |columns| {
            let count = columns.first().map_or(0, Values::len);
            let within = DataError::limit(path, "number of rows", (rows.len() + count) as u64, limit);
            let added = within.and_then(|()| add(path, first, &columns, layers, &mut rows));
            first += count;
            // The first says most.
            wrong = wrong.take().or(added.err());
        })?;
        wrong.map_or(Ok(()), Err)?;
    }
    rows.sort_by_key(Row::order);
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        let remedy = "the files of gradients are Parquet, such as spfde_recorder.py writes them";
        return Err(DataError::refused(directory, "has no rows of gradients", remedy));
    };
    let (first_epoch, epochs) = (first.epoch, last.epoch - first.epoch + 1);
    if let Some(pair) = rows.windows(2).find(|pair| pair[0].order() == pair[1].order()) {
        let GradientRow { epoch, step, layer, .. } = pair[0];
        let what = format!("there are two rows of epoch {epoch}, step {step}, layer {layer}");
        let remedy = "a training that went on after an interruption has recorded steps twice: remove the \
                      files of the first time";
        return Err(DataError::refused(directory, what, remedy));
    }
    rows.iter_mut().for_each(|row| row.epoch -= first_epoch);
    Ok(Norms { rows, first_epoch, epochs, files: files.len() })
}

/// Adds the rows of a batch, which begins at row `first` of the file.
fn add(
    path: &Path,
    first: usize,
    columns: &[Values],
    layers: &[LayerShape],
    rows: &mut Vec<GradientRow>,
) -> Result<()> {
    let wrong = |row: usize, column: &str, found: &str, expected: &str| {
        DataError::unfit(path, format!("row {}: {column}", first + row), found, expected, "")
    };
    for row in 0..columns.first().map_or(0, Values::len) {
        let whole = |column: usize, most: i64| match &columns[column] {
            Values::Integer(values) if values[row].is_some_and(|value| (0..=most).contains(&value)) => {
                Ok(values[row].unwrap_or_default())
            }
            other => {
                Err(wrong(row, COLUMNS[column], &other.shown(row), &format!("a number from 0 to {most}")))
            }
        };
        let norm = |column: usize| match &columns[column] {
            Values::Number(values)
                if values[row].is_some_and(|value| value >= 0.0 && (value as f32).is_finite()) =>
            {
                Ok(values[row].unwrap_or_default() as f32)
            }
            other => Err(wrong(row, COLUMNS[column], &other.shown(row), "a finite number, 0 or more")),
        };
        let layer = whole(2, layers.len() as i64 - 1)?;
        let shape = &layers[layer as usize];
        match &columns[3] {
            Values::Text(names) if names[row].as_deref() == Some(&*shape.name) => {}
            other => {
                let expected = format!("{:?}, as layer {layer} is called in the file of layers", shape.name);
                return Err(wrong(row, "name", &other.shown(row), &expected));
            }
        }
        rows.push(GradientRow {
            epoch: whole(0, EPOCH_LIMIT)? as u32,
            step: whole(1, u32::MAX.into())? as u32,
            layer: layer as u16,
            l2: norm(4)?,
            l1: norm(5)?,
            trained: true,
            nonzero: whole(6, shape.weights() as i64)? as u32,
        });
    }
    Ok(())
}
