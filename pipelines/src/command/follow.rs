//! `spfde replay --follow`: a run is replayed while another process trains it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use spfde_data::files::recording::FollowedEnd;
use spfde_data::rows::{CensoredRow, EpochRow};
use spfde_data::words::{are, counted};
use spfde_flow::Observer;

use super::replay::Replay;
use super::{end_at_once, interruptible};
use crate::command::Program;
use crate::configuration::Source;
use crate::error::Error;
use crate::replay::{Record, follow};
use crate::report::replay::{CLAIM, Case, line, sums};
use crate::session::Options;
use crate::terminal::{remark, say, say_all};
use crate::verify;

impl Replay {
    /// Replays a run while it goes on.
    pub(super) fn follow(&self, program: &Program, run: &str, settings: &Source) -> Result<(), Error> {
        let record = Record::open_unfinished(Path::new(run))?.knowing(&program.registry);
        let experiment = record.experiment(settings.entries())?;
        experiment.configuration().notes().iter().for_each(remark);
        announce(&record);
        say(CLAIM);
        let options = Options {
            directory: self.out.clone(),
            workers: self.workers(),
            observer: Arc::new(Lines::default()),
            interrupted: interruptible("stopping; once more to stop at once"),
            cluster: None,
        };
        let (replayed, end) = follow(&record, &experiment, options, program.build())?;
        end_at_once();
        end.iter().for_each(|end| tell(&record, end));
        // The run may have been resumed by now: what has been found is good all the same.
        let recorded = Record::open(record.run().path())
            .and_then(|record| Ok(record.recorded_epochs()?))
            .unwrap_or_else(|error| {
                remark(format_args!("what was recorded cannot be shown beside it: {error}"));
                Vec::new()
            });
        let case = Case { name: run.to_owned(), replayed, recorded };
        say("");
        say_all(sums(&case));
        if let Some(directory) = &case.replayed.directory {
            let sound = verify::verify(directory)?;
            say(format!("run directory: {} (verified: {sound})", directory.display()));
        }
        Ok(())
    }
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

/// Prints a line for each epoch.
#[derive(Default)]
struct Lines(Mutex<BTreeMap<u32, Half>>);

/// What has come of an epoch.
#[derive(Default)]
struct Half {
    costs: Option<EpochRow>,
    censored: Option<CensoredRow>,
}

impl Lines {
    fn take(&self, epoch: u32, add: impl FnOnce(&mut Half)) {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        add(halves.entry(epoch).or_default());
        // In order: an epoch waits for the one before it.
        while let Some(first) = halves.first_entry() {
            let Half { costs: Some(costs), censored: Some(censored) } = first.get() else { break };
            say(line(costs, censored));
            first.remove();
        }
    }
}

impl Observer for Lines {
    fn epoch(&self, row: &EpochRow) {
        self.take(row.epoch, |half| half.costs = Some(row.clone()));
    }

    fn censored(&self, row: &CensoredRow) {
        self.take(row.epoch, |half| half.censored = Some(row.clone()));
    }
}
