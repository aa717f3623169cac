//! The recorded streams, read row by row.

use std::fmt::Display;
use std::path::Path;

use spfde_data::files::parquet_store::read_columns;
use spfde_data::files::{DataError, Manifest};
use spfde_data::{Architecture, Row, counted};
use spfde_flow::Observe;

use super::Findings;

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
