//! One worker's share of a recorded stream, batch by batch.

use std::sync::Arc;

use spfde_data::rows::{GradientRow, MaskRow, ScoreRow};
use spfde_data::segment::{RecordedSegment, Recording, RecordingError};
use spfde_data::table::Row;
use spfde_policy::Plan;

use super::check::Recorded;

/// This worker's share of one stream, and how far it has been read.
pub(crate) struct Reader<R> {
    recording: Arc<dyn Recording>,
    worker: usize,
    workers: usize,
    /// The next segment of the epoch that is being read.
    segment: usize,
    open: Option<RecordedSegment>,
    /// Rows of the open segment that have been read.
    row: u64,
    rows: std::marker::PhantomData<R>,
}

impl<R: Recorded> Reader<R> {
    /// Nothing has been read yet.
    pub(crate) fn new(recording: Arc<dyn Recording>, worker: usize, workers: usize) -> Self {
        let rows = std::marker::PhantomData;
        Self { recording, worker, workers, segment: 0, open: None, row: 0, rows }
    }

    /// Whether a segment falls to this worker: in turn, so that no worker reads all of a stream that one
    /// wrote, and streams begin at different workers.
    fn mine(&self, epoch: u32, segment: usize) -> bool {
        let first = match R::STREAM {
            ScoreRow::STREAM => 0,
            GradientRow::STREAM => 1,
            MaskRow::STREAM => 2,
            _ => 3,
        };
        (epoch as usize + segment + first) % self.workers == self.worker
    }

    /// The next few rows of `epoch`; `None` when this worker has read its share.
    pub(crate) fn next(&mut self, epoch: u32, plan: &Plan) -> Result<Option<Vec<R>>, RecordingError> {
        loop {
            if self.open.is_none() {
                let count = self.recording.segments(R::STREAM, epoch);
                let Some(segment) = (self.segment..count).find(|segment| self.mine(epoch, *segment)) else {
                    self.segment = 0;
                    return Ok(None);
                };
                self.segment = segment + 1;
                self.open = Some(self.recording.open(R::STREAM, &R::columns(), epoch, segment)?);
                self.row = 0;
            }
            let open = self.open.as_mut().expect("it was just opened");
            let Some(batch) = open.batches.next().transpose()? else {
                self.open = None;
                continue;
            };
            let rows = batch.into_rows::<R>();
            for row in &rows {
                if let Some(misfit) = row.misfit(plan) {
                    let place = format!("{}: row {}", open.path, self.row);
                    return Err(RecordingError(format!("{place}: {misfit}; the record is not of this run")));
                }
                self.row += 1;
            }
            return Ok(Some(rows));
        }
    }
}
