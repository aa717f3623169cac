//! Keeps what is judged of a run, epoch by epoch, beside what was recorded of it.

use std::sync::{Arc, Mutex, PoisonError};

use spfde_data::rows::EpochRow;
use spfde_data::segment::{Recording, RecordingError};
use spfde_data::table::{Record, Row};
use spfde_flow::grid::{GridObserver, MemberCosts};

use super::{JudgeObserver, JudgedRun};

/// What has been found so far, beside what was recorded.
pub(super) struct Seen {
    recording: Arc<dyn Recording>,
    observer: Arc<dyn JudgeObserver>,
    so_far: Mutex<JudgedRun>,
}

impl Seen {
    /// Begins with a run of which nothing is judged; `observer` looks on.
    pub(super) fn new(
        judged: JudgedRun,
        recording: Arc<dyn Recording>,
        observer: Arc<dyn JudgeObserver>,
    ) -> Self {
        Self { recording, observer, so_far: Mutex::new(judged) }
    }

    /// The run as far as it is judged.
    pub(super) fn so_far(&self) -> JudgedRun {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The recorded costs of an epoch.
    fn recorded(&self, epoch: u32) -> Result<Vec<EpochRow>, RecordingError> {
        let mut rows = Vec::new();
        for segment in 0..self.recording.segments(EpochRow::STREAM, epoch) {
            let open = self.recording.open(EpochRow::STREAM, &EpochRow::columns(), epoch, segment)?;
            for batch in open.batches {
                rows.extend(batch?.into_rows::<EpochRow>());
            }
        }
        Ok(rows)
    }
}

impl GridObserver for Seen {
    fn epoch(&self, costs: &[MemberCosts]) -> Result<(), String> {
        let Some(first) = costs.first() else { return Ok(()) };
        let recorded = self.recorded(first.epoch.epoch).map_err(|error| error.to_string())?;
        let run = &mut *self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        run.recorded.extend(recorded);
        run.epochs = first.epoch.epoch + 1;
        run.found.costs.extend_from_slice(costs);
        self.observer.epoch(run, run.epochs >= self.recording.extent().epochs);
        Ok(())
    }
}
