//! The scores of a recorded run as a grid reads them.

use std::ops::Range;
use std::sync::Arc;

use spfde_data::rows::ScoreRow;
use spfde_data::scores::{ScoreColumns, ScoreSource};
use spfde_data::segment::{Extent, Recording, RecordingError};
use spfde_data::table::{Cells, Column, Columns, Record, Row};

use crate::recorded::Limits;

/// The recorded scores of a run, each segment a part.
pub struct RecordedScores {
    recording: Arc<dyn Recording>,
    samples: u32,
    columns: Vec<Column>,
}

/// The columns that say whether a sample was right; the others are read only if a policy looks at them.
const RIGHT: [&str; 4] = ["epoch", "step", "sample", "correct"];

impl RecordedScores {
    /// The stream `scores` of a run on a data set of so many samples. `losses`: whether a policy will look at
    /// more of a score than whether it was right.
    pub fn new(recording: Arc<dyn Recording>, samples: u32, losses: bool) -> Self {
        let wanted = |column: &Column| losses || RIGHT.contains(&column.name);
        Self { recording, samples, columns: ScoreRow::columns().into_iter().filter(wanted).collect() }
    }

    /// The columns of a batch.
    fn columns(&self, batch: Columns) -> ScoreColumns {
        let mut rows = ScoreColumns::default();
        for (column, cells) in self.columns.iter().zip(batch.cells) {
            match (column.name, cells) {
                ("epoch", Cells::U32(epochs)) => rows.epochs = epochs,
                ("step", Cells::U32(steps)) => rows.steps = steps.into_iter().map(u64::from).collect(),
                ("sample", Cells::U32(samples)) => rows.slots = samples,
                ("correct", Cells::Bool(correct)) => rows.correct = correct,
                ("loss", Cells::F32(losses)) => rows.losses = losses,
                ("error_norm", Cells::F32(norms)) => rows.error_norms = norms,
                ("trained", Cells::Bool(trained)) => rows.trained = trained,
                (name, other) => panic!("the column {name} was asked for with its type, not as {other:?}"),
            }
        }
        rows
    }
}

impl ScoreSource for RecordedScores {
    fn samples(&self) -> u32 {
        self.samples
    }

    fn sample(&self, slot: u32) -> u32 {
        slot
    }

    fn epochs(&self) -> u32 {
        self.recording.epochs()
    }

    fn extent(&self) -> Extent {
        self.recording.extent()
    }

    fn look(&self) -> Result<Extent, RecordingError> {
        self.recording.look()
    }

    fn parts(&self, epoch: u32) -> Range<usize> {
        let segments = |epoch| self.recording.segments(ScoreRow::STREAM, epoch);
        let from = (0..epoch).map(segments).sum();
        from..from + segments(epoch)
    }

    fn read(&self, part: usize, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<(), RecordingError> {
        let (mut epoch, mut segment) = (0, part);
        loop {
            let segments = self.recording.segments(ScoreRow::STREAM, epoch);
            if segment < segments {
                break;
            }
            segment -= segments;
            epoch += 1;
            assert!(epoch < self.epochs(), "only parts that there are can be read");
        }
        let open = self.recording.open(ScoreRow::STREAM, &self.columns, epoch, segment)?;
        let limits = Limits { samples: self.samples, weights: Vec::new() };
        for batch in limits.checked(self.columns.clone(), open) {
            visit(&self.columns(batch?));
        }
        Ok(())
    }
}
