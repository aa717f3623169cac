//! What the columns of a table hold.

use std::collections::{BTreeMap, BTreeSet};

use super::Asked;
use super::source::{Cell, Source};
use crate::files::{DataError, Result};
use crate::{counted, visible};

/// Different texts of a column: each becomes a column of its own.
const TEXTS_LIMIT: usize = 256;
/// Columns, those made of texts included.
const COLUMNS_LIMIT: usize = 1 << 16;
/// Missing values that are named where many are missing.
const NAMED: usize = 10;

/// A column that is learned from.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// The different texts by their places; none in a column of numbers.
    pub(super) texts: BTreeMap<String, usize>,
}

impl Column {
    /// Numbers that a value becomes.
    pub(super) fn width(&self) -> usize {
        self.texts.len().max(1)
    }

    /// The names of these numbers: that of the column, with `=` and the text if it has texts. What acts upon
    /// a terminal is escaped.
    pub(super) fn names(&self) -> Vec<String> {
        let escaped = |name: &str| visible(name).into_owned();
        match self.texts.is_empty() {
            true => vec![escaped(&self.name)],
            false => self.texts.keys().map(|text| escaped(&format!("{}={text}", self.name))).collect(),
        }
    }
}

/// The columns that are learned from, in the order of the first table.
///
/// # Errors
/// If a value is missing, there are none, or too many.
pub(super) fn columns(train: &[Source], asked: &Asked) -> Result<Vec<Column>> {
    let first = &train[0];
    for name in std::iter::once(&asked.label).chain(&asked.drop) {
        first.place(name)?;
    }
    // Where pandas writes the numbers of rows.
    let is_index = |name: &String| name.is_empty() || name.starts_with("__index_level_");
    let is_left_out = |name: &String| *name == asked.label || asked.drop.contains(name) || is_index(name);
    let names: Vec<&str> =
        first.columns().iter().filter(|name| !is_left_out(name)).map(String::as_str).collect();
    if names.is_empty() {
        let what = format!("has no columns beside {}", visible(&asked.label));
        return Err(DataError::refused(first.path(), what, "there is nothing to learn from"));
    }
    // What is a number in every row, and what is not; then the texts of the latter.
    let mut has_texts = vec![false; names.len()];
    for source in train {
        source.visit(&names, |_, cells| {
            for (has_texts, cell) in has_texts.iter_mut().zip(cells) {
                *has_texts |= matches!(cell, Cell::Text(_));
            }
            Ok(())
        })?;
    }
    let mut texts = vec![BTreeSet::new(); names.len()];
    for source in train.iter().filter(|_| has_texts.contains(&true)) {
        source.visit(&names, |_, cells| {
            let columns = texts.iter_mut().zip(cells).zip(&has_texts).zip(&names);
            for (((texts, cell), _), name) in columns.filter(|((_, has_texts), _)| **has_texts) {
                if let Cell::Text(text) | Cell::Number(_, text) = cell
                    && !texts.contains(*text)
                {
                    texts.insert((*text).to_owned());
                }
                if texts.len() > TEXTS_LIMIT {
                    let what =
                        format!("column {} has more than {TEXTS_LIMIT} different texts", visible(name));
                    let remedy = "leave it out with --drop, or make numbers of it";
                    return Err(DataError::refused(source.path(), what, remedy));
                }
            }
            Ok(())
        })?;
    }
    let columns = names.iter().zip(texts).map(|(name, texts)| Column {
        name: (*name).to_owned(),
        texts: texts.into_iter().zip(0..).collect(),
    });
    let columns: Vec<Column> = columns.collect();
    let width: usize = columns.iter().map(Column::width).sum();
    DataError::limit(first.path(), "number of columns", width as u64, COLUMNS_LIMIT as u64)?;
    Ok(columns)
}

/// Refuses a table that lacks values, and names them.
pub(super) fn check_missing(source: &Source, names: &[&str], label: &str) -> Result<()> {
    let names: Vec<&str> = names.iter().copied().chain([label]).collect();
    let (mut count, mut named) = (0_usize, Vec::new());
    source.visit(&names, |row, cells| {
        for (name, _) in names.iter().zip(cells).filter(|(_, cell)| matches!(cell, Cell::Missing)) {
            count += 1;
            if named.len() < NAMED {
                named.push(format!("{row}, column {}", visible(name)));
            }
        }
        Ok(())
    })?;
    if count == 0 {
        return Ok(());
    }
    let more = if count > named.len() { ", …" } else { "" };
    let what = format!("lacks {}: {}{more}", counted(count, "value"), named.join("; "));
    Err(DataError::refused(
        source.path(),
        what,
        "fill them, remove the rows, or leave out columns with --drop",
    ))
}
