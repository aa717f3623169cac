//! A run that is ready to go on.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use spfde_data::files::{Manifest, RunDirectory};
use spfde_data::{EpochRow, TimingRow};
use spfde_flow::Snapshot;

use crate::cluster::{Invitation, Meeting};
use crate::error::UNWRITTEN;
use crate::replay::rows;
use crate::session::{Place, work_on};
use crate::{Build, Error, Experiment, Options, Result, checkpoint};

/// Bytes, as they are written, of what a run's description tells of the last times that it went on, some 400
/// each: half of what is read of a description.
const RESUMED: usize = 1 << 19;

/// A run that ended before its last epoch, ready to go on.
pub struct Unfinished {
    pub(super) experiment: Experiment,
    pub(super) held: Held,
    pub(super) notes: Vec<String>,
}

/// Who holds the run.
pub(super) enum Held {
    /// This process; everything that it goes on from is read and checked.
    Here(Arc<RunDirectory>, Option<Box<Snapshot>>),
    /// Process 0 of the processes that go on with it together, which says from where.
    ByFirst(PathBuf),
}

impl Unfinished {
    /// The experiment.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The epoch at whose start it goes on; 0 if [`Self::joins`], since it is process 0 that knows.
    pub fn epoch(&self) -> u32 {
        match &self.held {
            Held::Here(_, snapshot) => snapshot.as_deref().map_or(0, Snapshot::epoch),
            Held::ByFirst(_) => 0,
        }
    }

    /// Whether process 0 holds the run, and this one goes on with it together with that.
    pub fn joins(&self) -> bool {
        matches!(self.held, Held::ByFirst(_))
    }

    /// What is worth knowing: what differs from the run's beginning, which checkpoints could not be used.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What was recorded of the epochs before: their costs and accuracies, and the times they took. Nothing
    /// where it is process 0 that knows.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn before(&self) -> Result<(Vec<EpochRow>, Vec<TimingRow>)> {
        let Held::Here(directory, _) = &self.held else { return Ok(Default::default()) };
        let (run, manifest, epochs) = (directory.path(), directory.manifest(), 0..self.epoch());
        Ok((rows(run, &manifest, epochs.clone())?, rows(run, &manifest, epochs)?))
    }

    /// Trains to the end. Trace and weights have the same bits as those of a run that was never interrupted,
    /// for any number of workers and processes before and now. `options.directory` has no effect.
    ///
    /// # Errors
    /// As [`run`](crate::run).
    ///
    /// # Panics
    /// If `options.cluster` is not that of the process for which the run was opened: process 0 calls
    /// [`Resumed::open`](super::Resumed::open), the others [`Resumed::join`](super::Resumed::join).
    pub fn run(self, options: Options, build: impl Build) -> Result<PathBuf> {
        let Self { experiment, held, .. } = self;
        let meeting = Meeting::new("spfde resume", options.workers, &experiment);
        let (directory, snapshot) = match held {
            Held::Here(directory, snapshot) => (directory, snapshot.map(|snapshot| *snapshot)),
            Held::ByFirst(path) => {
                let cluster = options.cluster.clone().filter(|cluster| !cluster.is_first());
                let cluster = cluster.expect("only a process that is not the first joins a run");
                // Process 0 says from which checkpoint.
                let prepare = |invitation: &Invitation, member| {
                    let read = |epoch: u32| -> Result<Snapshot> {
                        Ok(checkpoint::read(&path, &Manifest::read(&path)?, epoch, experiment.settings())?)
                    };
                    let snapshot = (invitation.epoch > 0).then(|| read(invitation.epoch)).transpose()?;
                    Ok::<_, Error>((member, snapshot))
                };
                let joined = cluster.join(&meeting, Some(&path), &options.interrupted, prepare);
                let (network, (member, snapshot)) = joined?;
                let place = Place::Joined(member);
                return work_on(&experiment, place, snapshot, network, options, build);
            }
        };
        assert!(options.is_first(), "only process 0 holds a run that several go on with");
        let start = snapshot.as_ref().map_or(0, Snapshot::epoch);
        let network = options.network(&meeting, &directory, start).map_err(|error| {
            let written = directory.finish(Some(error.to_string()));
            error.and(UNWRITTEN, written)
        })?;
        let now = crate::environment::environment(&experiment, options.workers, options.processes());
        // Of a beginning that cannot be read nothing is known.
        let environment = RunDirectory::open(directory.path()).and_then(|run| run.environment()).ok();
        let mut environment = environment.filter(Json::is_object).unwrap_or_else(|| json!({}));
        let mut before = match environment["resumed"].take() {
            Json::Array(before) => before,
            _ => Vec::new(),
        };
        before.push(json!({ "epoch": start, "environment": now }));
        while before.len() > 1 && serde_json::to_string_pretty(&before).map_or(0, |text| text.len()) > RESUMED
        {
            before.remove(0);
        }
        environment["resumed"] = Json::Array(before);
        directory.write_environment(&environment)?;
        work_on(&experiment, Place::Held(directory), snapshot, network, options, build)
    }
}
