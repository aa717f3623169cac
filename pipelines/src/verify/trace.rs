//! The recorded streams, read row by row.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use spfde_data::files::DataError;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::read_columns;
use spfde_data::rows::EpochRow;
use spfde_data::segment::Segment;
use spfde_data::table::Row;
use spfde_data::words::counted;

use super::Findings;

/// The recorded streams of a run.
pub(super) struct Trace<'a> {
    pub(super) run: &'a Path,
    pub(super) manifest: &'a Manifest,
    /// By stream and epoch, then in the order of the workers.
    segments: BTreeMap<(&'a str, u32), Vec<&'a Segment>>,
}

impl<'a> Trace<'a> {
    /// Those of the run in the directory `run`, which `manifest` names.
    pub(super) fn new(run: &'a Path, manifest: &'a Manifest) -> Self {
        let mut segments: BTreeMap<(&str, u32), Vec<&Segment>> = BTreeMap::new();
        for segment in &manifest.segments {
            segments.entry((&segment.stream, segment.epoch)).or_default().push(segment);
        }
        segments.values_mut().for_each(|segments| segments.sort_by_key(|segment| segment.worker));
        Self { run, manifest, segments }
    }

    /// Shows every row of an epoch to `visit`: worker by worker, the rows of each in their order. What rows about the same
    /// weight, layer or sample add up to is in order therefore: they are one worker's.
    pub(super) fn visit<R: Row>(&self, epoch: u32, mut visit: impl FnMut(R)) -> Result<(), DataError> {
        for segment in self.segments::<R>(epoch) {
            for batch in read_columns(self.run, segment, &R::columns())? {
                let batch = batch?;
                (0..batch.rows).for_each(|row| visit(R::get(&batch, row)));
            }
        }
        Ok(())
    }

    fn segments<R: Row>(&self, epoch: u32) -> impl Iterator<Item = &'a Segment> {
        self.segments.get(&(R::STREAM, epoch)).into_iter().flatten().copied()
    }

    /// How many rows of a stream an epoch has.
    pub(super) fn count<R: Row>(&self, epoch: u32) -> u64 {
        self.segments::<R>(epoch).map(|segment| segment.rows).sum()
    }

    /// The rows of an epoch in their order, of all workers, if there are as many as `expected`; otherwise how many.
    pub(super) fn rows<R: Row>(&self, epoch: u32, expected: usize) -> Result<Result<Vec<R>, u64>, DataError> {
        let count = self.count::<R>(epoch);
        if count != expected as u64 {
            return Ok(Err(count));
        }
        let mut rows = Vec::new();
        self.visit(epoch, |row| rows.push(row))?;
        rows.sort_by_key(Row::order);
        Ok(Ok(rows))
    }

    /// The rows of an epoch of a stream that has one for each of so many layers, in their order; `layer` tells whose a row
    /// is.
    pub(super) fn by_layer<R: Row>(
        &self,
        epoch: u32,
        layers: usize,
        layer: impl Fn(&R) -> u16,
        findings: &mut Findings,
    ) -> Result<Option<Vec<R>>, DataError> {
        let stream = R::STREAM;
        match self.rows::<R>(epoch, layers)? {
            Ok(rows) if rows.iter().map(|row| usize::from(layer(row))).eq(0..layers) => Ok(Some(rows)),
            Ok(_) => {
                findings.push(|| format!("{stream}: epoch {epoch}: the rows are not one for each layer"));
                Ok(None)
            }
            Err(count) => {
                findings.push(|| {
                    format!(
                        "{stream}: epoch {epoch} has {}, expected one for each layer",
                        counted(count, "row")
                    )
                });
                Ok(None)
            }
        }
    }

    /// The row of an epoch.
    pub(super) fn epoch(&self, epoch: u32, findings: &mut Findings) -> Result<Option<EpochRow>, DataError> {
        match self.rows::<EpochRow>(epoch, 1)? {
            Ok(rows) => Ok(rows.into_iter().next()),
            Err(count) => {
                findings.push(|| format!("epochs: epoch {epoch} has {}, expected 1", counted(count, "row")));
                Ok(None)
            }
        }
    }

    /// Whether this is a replay: it has decisions and costs, but no scores, norms and layers.
    pub(super) fn is_replay(&self) -> bool {
        self.manifest.replay_of.is_some()
    }

    /// The committed epochs.
    pub(super) fn epochs(&self) -> Range<u32> {
        0..self.manifest.epochs_reached
    }
}
