//! The rows of a table, from CSV or Parquet.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, Float64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use spfde_parquet_guard::ParquetFile;

use crate::files::import::labels::Labels;
use crate::files::{DataError, Result};
use crate::visible;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 1 << 13;

/// A value of a row.
pub(super) enum Cell<'a> {
    Missing,
    /// A number, and the text that it was read from, if there was one.
    Number(f64, &'a str),
    Text(&'a str),
}

/// Where a row is.
pub(super) struct Row {
    number: usize,
    /// Of a file of text, from 1.
    line: Option<u64>,
}

impl Display for Row {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "row {}", self.number)?;
        self.line.map_or(Ok(()), |line| write!(formatter, " (line {line})"))
    }
}

/// An open table.
pub(super) struct Source {
    path: PathBuf,
    columns: Vec<String>,
    content: Content,
}

enum Content {
    Csv { bytes: Vec<u8>, delimiter: u8 },
    Parquet(ParquetFile),
}

impl Source {
    /// Opens a table; whether it is Parquet is seen from its first bytes, or its name.
    ///
    /// # Errors
    /// If it is damaged, or has a column twice.
    pub(super) fn open(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let is_parquet =
            bytes.starts_with(b"PAR1") || path.extension().is_some_and(|ending| ending == "parquet");
        let (columns, content): (Vec<String>, _) = if is_parquet {
            let file = ParquetFile::parse(path, bytes)?;
            (
                file.schema().fields().iter().map(|field| field.name().clone()).collect(),
                Content::Parquet(file),
            )
        } else {
            let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let count = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
            // A comma, unless another is there more often.
            let delimiter = [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',');
            let mut reader = reader(&bytes, delimiter);
            let columns = reader.headers().map_err(|error| unreadable(path, &error))?;
            (columns.iter().map(str::to_owned).collect(), Content::Csv { delimiter, bytes })
        };
        let mut sorted: Vec<&String> = columns.iter().collect();
        sorted.sort();
        if let Some([name, _]) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let what = format!("has column {} twice", visible(name));
            return Err(DataError::refused(path, what, "which of the two counts is nowhere said"));
        }
        Ok(Self { path: path.to_owned(), columns, content })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The place of a column.
    ///
    /// # Errors
    /// If there is no such column.
    pub(super) fn place(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| {
            let near = crate::nearest(name, self.columns.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!(", but {}", visible(&near)));
            let what = format!("has no column {}{near}", visible(name));
            DataError::refused(&self.path, what, "the first line of a table has the names of its columns")
        })
    }

    /// Shows the values of these columns to `visit`, row by row.
    ///
    /// # Errors
    /// If the table is damaged or lacks a column; the first of `visit`.
    pub(super) fn visit(
        &self,
        names: &[&str],
        mut visit: impl FnMut(&Row, &[Cell]) -> Result<()>,
    ) -> Result<()> {
        let places = names.iter().map(|name| self.place(name)).collect::<Result<Vec<usize>>>()?;
        match &self.content {
            Content::Csv { bytes, delimiter } => {
                let (mut reader, mut record) = (reader(bytes, *delimiter), csv::StringRecord::new());
                let mut number = 0;
                while reader.read_record(&mut record).map_err(|error| unreadable(&self.path, &error))? {
                    let cells: Vec<Cell> = places.iter().map(|place| cell(&record[*place])).collect();
                    let line = record.position().map(csv::Position::line);
                    visit(&Row { number, line }, &cells)?;
                    number += 1;
                }
                Ok(())
            }
            Content::Parquet(file) => visit_parquet(file, names, visit),
        }
    }

    /// The labels in a column that lacks none.
    ///
    /// # Errors
    /// If they are numbers with fractions.
    pub(super) fn labels(&self, name: &str) -> Result<Labels> {
        let (mut numbers, mut texts, mut fraction) = (Vec::new(), Vec::new(), None);
        let mut has_texts = false;
        self.visit(&[name], |row, cells| {
            match cells[0] {
                Cell::Number(number, text) => {
                    let whole = number as i64;
                    if whole as f64 != number && fraction.is_none() {
                        fraction = Some(format!("{row}: column {} is {number}", visible(name)));
                    }
                    numbers.push(whole);
                    texts.push(text.to_owned());
                }
                Cell::Text(text) => {
                    has_texts = true;
                    texts.push(text.to_owned());
                }
                Cell::Missing => unreachable!("missing labels were looked for"),
            }
            Ok(())
        })?;
        match fraction {
            _ if has_texts => Ok(Labels::Texts(texts)),
            None => Ok(Labels::Numbers(numbers)),
            Some(what) => {
                let remedy = "labels are whole numbers or texts: is it the right column?";
                Err(DataError::refused(&self.path, what, remedy))
            }
        }
    }
}

fn reader(bytes: &[u8], delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(bytes)
}

fn unreadable(path: &Path, error: &csv::Error) -> DataError {
    let what = format!("cannot be read: {}", visible(&error.to_string()));
    DataError::refused(path, what, "is it a table as CSV, with the names of the columns in its first line?")
}

/// A value in a file of text.
fn cell(text: &str) -> Cell<'_> {
    if ["", "na", "n/a", "nan", "null", "none", "?"].contains(&text.to_ascii_lowercase().as_str()) {
        return Cell::Missing;
    }
    text.parse().map_or(Cell::Text(text), |number| Cell::Number(number, text))
}

/// The values of a column in a batch.
enum Values {
    Numbers(Float64Array),
    Texts(StringArray),
}

fn visit_parquet(
    file: &ParquetFile,
    names: &[&str],
    mut visit: impl FnMut(&Row, &[Cell]) -> Result<()>,
) -> Result<()> {
    for name in names {
        let kind = file.schema().field_with_name(name).map(|field| field.data_type().clone());
        let kind = kind.expect("the columns were looked for");
        if !(kind.is_integer() || kind.is_floating() || matches!(kind, DataType::Boolean | DataType::Utf8)) {
            let (what, found) = (format!("column {}", visible(name)), format!("of type {kind}"));
            let expected = "a number, a text or a truth value";
            return Err(DataError::unfit(file.path(), what, found, expected, "leave it out with --drop"));
        }
    }
    let mut number = 0;
    for batch in file.batches(0..file.groups(), names, BATCH_ROWS)? {
        let batch = batch?;
        let values = |name: &&str| match batch[*name].as_string_opt::<i32>() {
            Some(texts) => Ok(Values::Texts(texts.clone())),
            None => cast(&batch[*name], &DataType::Float64)
                .map(|numbers| Values::Numbers(numbers.as_primitive::<Float64Type>().clone()))
                .map_err(|error| DataError::refused(file.path(), error.to_string(), "")),
        };
        let values = names.iter().map(values).collect::<Result<Vec<Values>>>()?;
        for row in 0..batch.num_rows() {
            let cells: Vec<Cell> = values.iter().map(|values| cell_of(values, row)).collect();
            visit(&Row { number, line: None }, &cells)?;
            number += 1;
        }
    }
    Ok(())
}

/// The value in a row of a batch.
fn cell_of(values: &Values, row: usize) -> Cell<'_> {
    match values {
        Values::Numbers(numbers) if numbers.is_null(row) || numbers.value(row).is_nan() => Cell::Missing,
        Values::Numbers(numbers) => Cell::Number(numbers.value(row), ""),
        Values::Texts(texts) if texts.is_null(row) => Cell::Missing,
        Values::Texts(texts) => Cell::Text(texts.value(row)),
    }
}
