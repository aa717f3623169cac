//! `spfde replay --follow`: a run is replayed while another process trains it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use spfde_data::files::recording::FollowedEnd;
use spfde_data::rows::{CensoredRow, EpochRow};
use spfde_data::words::{are, counted};
use spfde_flow::Observer;

use super::end_at_once;
use crate::app::App;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::replay::{self, Record, Replayed};
use crate::report::replay::{CLAIM, line};
use crate::session::Options;
use crate::terminal::{remark, say};

/// Replays a run while it goes on; what was found, and what was recorded of its epochs.
pub(super) fn follow(
    record: &Record,
    experiment: &Experiment,
    options: Options,
    app: &App,
) -> Result<(Replayed, Vec<EpochRow>), Error> {
    announce(record);
    say(CLAIM);
    let options = Options { observer: Arc::new(Lines::default()), ..options };
    let (replayed, end) = replay::follow(record, experiment, options, app.build())?;
    end_at_once();
    end.iter().for_each(|end| tell(record, end));
    // The run may have been resumed by now: what has been found is good all the same.
    let recorded = Record::open(record.run().path())
        .and_then(|record| Ok(record.recorded_epochs()?))
        .unwrap_or_else(|error| {
            remark(format_args!("what was recorded cannot be shown beside it: {error}"));
            Vec::new()
        });
    Ok((replayed, recorded))
}

/// Says what is followed.
pub(super) fn announce(record: &Record) {
    let manifest = record.run().manifest();
    let (reached, epochs) = (manifest.epochs_reached, manifest.epochs);
    let run = record.run().path().display();
    let epochs = counted(epochs, "epoch");
    remark(format_args!("following {run}: {reached} of {epochs} {} recorded so far", are(reached)));
}

/// Says how a followed run ended, if not as it should.
pub(super) fn tell(record: &Record, end: &FollowedEnd) {
    if end.finished {
        return;
    }
    let (run, epochs) = (record.run().path().display(), record.run().manifest().epochs);
    let why = end.stopped.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let recorded = end.epochs;
    let epochs = counted(epochs, "epoch");
    remark(format_args!("{run} was interrupted{why}: {recorded} of {epochs} {} recorded", are(recorded)));
}

/// What has come of an epoch.
type Half = (Option<EpochRow>, Option<CensoredRow>);

/// Prints a line for each epoch.
#[derive(Default)]
struct Lines(Mutex<BTreeMap<u32, Half>>);

impl Lines {
    fn take(&self, epoch: u32, costs: Option<&EpochRow>, lacking: Option<&CensoredRow>) {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let half = halves.entry(epoch).or_default();
        *half = (half.0.take().or(costs.cloned()), half.1.take().or(lacking.cloned()));
        // In order: an epoch waits for the one before it.
        while let Some(first) = halves.first_entry() {
            let (Some(costs), Some(lacking)) = first.get() else { break };
            say(line(costs, lacking));
            first.remove();
        }
    }
}

impl Observer for Lines {
    fn epoch(&self, row: &EpochRow) {
        self.take(row.epoch, Some(row), None);
    }

    fn censored(&self, row: &CensoredRow) {
        self.take(row.epoch, None, Some(row));
    }
}
