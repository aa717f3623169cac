//! The recorded streams, read row by row, and what is found wrong in them.

use std::fmt::Display;
use std::path::Path;

use spfde_data::files::parquet_store::read_columns;
use spfde_data::files::{DataError, Manifest};
use spfde_data::{Architecture, Row, counted};
use spfde_flow::Observe;

use crate::{Error, Result};

/// An epoch of a run that is checked.
pub(super) struct Epoch<'a> {
    pub(super) trace: &'a Trace<'a>,
    pub(super) number: u32,
    pub(super) findings: &'a mut Findings,
}

/// The recorded streams of a run, and what the run was asked for.
pub(super) struct Trace<'a> {
    pub(super) run: &'a Path,
    pub(super) manifest: &'a Manifest,
    pub(super) architecture: &'a Architecture,
    pub(super) observe: Observe,
}

impl Epoch<'_> {
    /// Tells what is wrong with a stream in this epoch.
    pub(super) fn find(&mut self, stream: &str, what: impl Display) {
        self.findings.push(format_args!("{stream}: epoch {}: {what}", self.number + 1));
    }

    /// Shows every row of the epoch to `visit`: worker by worker, the rows of each in their order.
    /// One worker writes all rows about a weight, a layer or a sample, so those come in order.
    pub(super) fn visit<R: Row>(&mut self, mut visit: impl FnMut(&mut Self, R)) -> Result<(), DataError> {
        let trace = self.trace;
        for segment in trace.manifest.segments_at(R::STREAM, self.number) {
            for batch in read_columns(trace.run, segment, &R::columns())? {
                let batch = batch?;
                (0..batch.rows).for_each(|row| visit(self, R::get(&mut batch.cells.iter(), row)));
            }
        }
        Ok(())
    }

    /// The rows of a stream that has `expected` of them, one for each `of`; `None` with a finding if it has
    /// more or fewer, which are not read then.
    fn rows<R: Row>(&mut self, expected: usize, of: &str) -> Result<Option<Vec<R>>, DataError> {
        let (stream, epoch) = (R::STREAM, self.number);
        let segments = self.trace.manifest.segments_at(stream, epoch);
        let count: u64 = segments.iter().map(|segment| segment.rows).sum();
        if count != expected as u64 {
            let found = counted(count, "row");
            self.findings.push(format_args!("{stream}: epoch {} has {found}, expected {of}", epoch + 1));
            return Ok(None);
        }
        let mut rows = Vec::new();
        self.visit(|_, row| rows.push(row))?;
        rows.sort_by_key(Row::order);
        Ok(Some(rows))
    }

    /// The row of a stream that has one in every epoch.
    pub(super) fn row<R: Row>(&mut self) -> Result<Option<R>, DataError> {
        Ok(self.rows(1, "1")?.and_then(|rows| rows.into_iter().next()))
    }

    /// The rows of a stream that has one for each layer, in forward order; `layer` tells whose a row is.
    pub(super) fn by_layer<R: Row>(&mut self, layer: fn(&R) -> u16) -> Result<Option<Vec<R>>, DataError> {
        let layers = self.trace.architecture.layers.len();
        let Some(rows) = self.rows::<R>(layers, "one for each layer")? else { return Ok(None) };
        if rows.iter().map(|row| usize::from(layer(row))).eq(0..layers) {
            return Ok(Some(rows));
        }
        self.find(R::STREAM, "the rows are not one for each layer");
        Ok(None)
    }
}

/// Findings that are put into words: a file in which everything is wrong has as many as it has rows.
const MOST_TOLD: usize = 50;

/// What was found wrong: how much, and the first of it in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    told: Vec<String>,
    count: usize,
    /// What could not be checked, and why.
    pub(super) unchecked: Option<String>,
}

impl Findings {
    /// An error with the findings, of what is in `directory`, if there are some.
    pub(super) fn refuse(&self, directory: &Path) -> Result<()> {
        let Some(first) = self.told.first().cloned() else { return Ok(()) };
        let (directory, told) = (directory.to_owned(), self.told.clone());
        Err(Error::Unsound { directory, findings: self.count, first, told })
    }

    /// Adds one; only the first few are put into words.
    pub(super) fn push(&mut self, words: impl Display) {
        self.count += 1;
        if self.told.len() < MOST_TOLD {
            self.told.push(words.to_string());
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first fifty, in words.
    pub fn told(&self) -> &[String] {
        &self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_told() {
        let mut findings = Findings::default();
        assert_eq!((findings.count(), findings.told()), (0, &[][..]));
        (0..1000).for_each(|number| findings.push(number));
        assert_eq!(findings.count(), 1000);
        assert_eq!(findings.told(), (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}
