//! Tables of numbers, as CSV or Parquet: a row is a sample, a column holds the labels, the others are what is
//! learned from.
//!
//! Numbers are kept as f32. A column with texts becomes several, one for each different text of the training
//! rows: 1 where it stands, or else 0. A row is an image of one row and one channel.

mod columns;
mod source;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use columns::{Column, check_missing, columns};
use source::{Cell, Source};

use super::labels::{self, Labels};
use super::parts::Parts;
use super::{CONTENT_LIMIT, Found, Imported, Options};
use crate::files::data_set::empty;
use crate::files::{DataError, Result, read_limited};
use crate::{Images, Pixels, visible};

/// Endings of the names of tables.
pub const ENDINGS: [&str; 4] = ["csv", "tsv", "txt", "parquet"];

/// Bytes of the names of all columns; above it the data set has none, for its footers have a limit, too.
const NAMES_LIMIT: usize = 1 << 20;

/// What the columns are.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The column of the labels: whole numbers or texts.
    pub label: String,
    /// Columns that are left out.
    pub drop: Vec<String>,
}

/// Imports the tables in `files`.
///
/// # Errors
/// If a table is damaged, lacks a column or a value, or has what is no number where numbers stand.
pub fn import(files: &Parts, asked: &Asked, options: &Options) -> Result<Imported> {
    let open = |path: &PathBuf| Source::open(path, read_limited(path, CONTENT_LIMIT)?);
    let open = |paths: &[PathBuf]| paths.iter().map(open).collect::<Result<Vec<Source>>>();
    let (train, test) = (open(&files.train)?, open(&files.test)?);
    from_sources(&train, &test, files, asked, options)
}

/// As [`import`], from the bytes of one table, which is split.
///
/// # Errors
/// As [`import`].
pub fn parse(path: &Path, bytes: Vec<u8>, asked: &Asked, options: &Options) -> Result<Imported> {
    let files = Parts { train: vec![path.to_owned()], ..Parts::default() };
    from_sources(&[Source::open(path, bytes)?], &[], &files, asked, options)
}

fn from_sources(
    train: &[Source],
    test: &[Source],
    files: &Parts,
    asked: &Asked,
    options: &Options,
) -> Result<Imported> {
    let place = train.first().expect("there is a table to train on").path().to_owned();
    let columns = columns(train, asked)?;
    let part = |sources: &[Source]| -> Result<(Images, Labels)> {
        let (mut numbers, mut labels) = (Vec::new(), None);
        for source in sources {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            check_missing(source, &names, &asked.label)?;
            encode(source, &columns, &mut numbers)?;
            labels = Some(labels::joined(source.path(), labels, source.labels(&asked.label)?)?);
        }
        let width = columns.iter().map(Column::width).sum();
        let pixels = Pixels::F32(numbers);
        Ok((Images { channels: 1, height: 1, width, pixels, labels: Vec::new() }, labels.unwrap_or_default()))
    };
    let (mut train, labels) = part(train)?;
    if labels.len() == 0 {
        return Err(empty(&place));
    }
    let (test, test_labels) = part(test)?;
    let test_place = files.test.first().unwrap_or(&place);
    if !files.test.is_empty() && test_labels.len() == 0 {
        return Err(empty(test_place));
    }
    let classes = labels::classes((&place, &labels), (test_place, &test_labels), None)?;
    train.labels = classes.train;
    let has_test = !classes.test.is_empty();
    let test = has_test.then_some(Images { labels: classes.test, ..test });
    let mut notes = files.notes();
    let texts = columns.iter().filter(|column| !column.texts.is_empty());
    let texts: Vec<String> =
        texts.map(|column| format!("{} ({})", visible(&column.name), column.texts.len())).collect();
    if !texts.is_empty() {
        let texts = texts.join(", ");
        notes.push(format!("columns of texts became one column for each different text: {texts}"));
    }
    let taken = files.taken(["training rows", "test rows"]);
    let found =
        Found { place, train, test, classes: classes.count, class_names: classes.names, taken, notes };
    let mut imported = found.finish(options)?;
    let names: Vec<String> = columns.iter().flat_map(Column::names).collect();
    if names.iter().map(String::len).sum::<usize>() <= NAMES_LIMIT {
        imported.set.column_names = names;
    }
    Ok(imported)
}

/// Appends the numbers of a table.
fn encode(source: &Source, columns: &[Column], into: &mut Vec<f32>) -> Result<()> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    source.visit(&names, |row, cells| {
        for (column, cell) in columns.iter().zip(cells) {
            let unfit = |found: &str, expected: &str| {
                let what = format!("{row}: column {}", visible(&column.name));
                DataError::value(source.path(), what, found, expected)
            };
            match (column.texts.is_empty(), cell) {
                (true, Cell::Number(number, text)) => {
                    let value = *number as f32;
                    if !value.is_finite() {
                        let found = if text.is_empty() { number.to_string() } else { text.to_string() };
                        return Err(unfit(&found, "a finite number of 32 bits"));
                    }
                    into.push(value);
                }
                (true, Cell::Text(text)) => return Err(unfit(text, "a number, as in the other rows")),
                (false, Cell::Number(_, text) | Cell::Text(text)) => {
                    let Some(place) = column.texts.get(*text) else {
                        return Err(unfit(text, "one of the texts of the training rows"));
                    };
                    into.extend((0..column.texts.len()).map(|other| if other == *place { 1.0 } else { 0.0 }));
                }
                (_, Cell::Missing) => return Err(unfit("", "a value")),
            }
        }
        let bytes = 4 * into.len() as u64;
        DataError::limit(source.path(), "bytes of all rows", bytes, CONTENT_LIMIT)
    })
}
