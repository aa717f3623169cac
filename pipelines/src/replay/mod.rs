//! Replaying a recorded run under other policies, or its own: the graph of training with the record as its
//! source.
//!
//! ```no_run
//! use spfde::configuration::Source;
//! let record = spfde::Record::open("runs/resnet20-0-1".as_ref())?;
//! let words = Source::from_words(&["sieve.policy=random".to_owned()])?;
//! let experiment = record.experiment(words.entries())?;
//! let replayed = spfde::replay(&record, &experiment, spfde::Options::default(), spfde::wire)?;
//! let lacking: u32 = replayed.censored.iter().map(|row| row.samples).sum();
//! # let _ = lacking; Ok::<(), spfde::Error>(())
//! ```

mod record;
mod streams;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use spfde_data::files::{FollowedEnd, ReplayOf, RunDirectory};
use spfde_data::{
    CensoredRow, Commit, Densities, EpochRow, GradientRow, LayerRow, MaskRow, Nowhere, ParameterError, Row,
    ScoreRow, SegmentStore, TimingRow, counted,
};
use spfde_flow::{Cause, Fault, Observer, Recorded, Services, Stop};

use crate::cluster::Network;
use crate::environment::beginning;
use crate::session::discard;
use crate::workers::{Ended, Panicked, execute};
use crate::{Build, Error, Experiment, Options, Result};

pub use record::Record;
pub(crate) use record::{Streams, rows};
pub(crate) use streams::streams;

/// The streams that every replay reads.
pub(crate) const STREAMS: [&str; 4] =
    [ScoreRow::STREAM, GradientRow::STREAM, LayerRow::STREAM, MaskRow::STREAM];

/// What a replay found.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The run directory that was written, if one was asked for.
    pub directory: Option<PathBuf>,
    /// What each epoch would have cost. Accuracy and loss are null.
    pub epochs: Vec<EpochRow>,
    /// What the record lacks of each.
    pub censored: Vec<CensoredRow>,
    /// How the run ended, if it was followed and has.
    pub end: Option<FollowedEnd>,
}

/// Replays `record` under the policies of `experiment`, which [`Record::experiment`] made: `build` wires the
/// graph, once on each worker.
///
/// With a directory in `options` the decisions and costs become a run of their own there, whole or not at
/// all: a replay that fails or is interrupted leaves nothing.
///
/// # Errors
/// If a policy is unknown or cannot be replayed, or the directory cannot be created, before any work; if the
/// record cannot be read; if a run that is followed ended before its first epoch, or went back and recorded
/// something else.
pub fn replay(
    record: &Record,
    experiment: &Experiment,
    options: Options,
    build: impl Build,
) -> Result<Replayed> {
    check(experiment)?;
    let (recording, followed) = streams(record, &STREAMS, &[experiment])?;
    let (settings, densities) = (experiment.settings(), experiment.densities());
    let path = options.directory.as_deref();
    let directory = path.map(|path| create(record, experiment, path, &options).map(Arc::new)).transpose()?;
    let (store, commit): (Arc<dyn SegmentStore>, Arc<dyn Commit>) = match &directory {
        Some(directory) => (Arc::new(directory.store()), Arc::clone(directory) as Arc<dyn Commit>),
        None => (Arc::new(Nowhere), Arc::new(Nowhere)),
    };
    let seen = Arc::new(Seen { also: options.observer, rows: Mutex::default() });
    let services = Services {
        store,
        commit,
        stop: Stop::when(options.interrupted),
        checkpoints: None,
        resumed: None,
        recorded: Some(Recorded { recording, densities, follows: record.is_followed }),
        prefix_cache: None,
        observer: Arc::clone(&seen) as Arc<dyn Observer>,
    };
    let Ended { done, panicked, .. } = execute(settings, services, Network::alone(options.workers), build);
    let fault = done.into_iter().flatten().min();
    let (epochs, censored) = seen.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let end = followed.and_then(|followed| followed.end());
    let last = end.as_ref().map_or(record.run().manifest(), |end| &end.manifest);
    let (wanted, recorded_early) = (last.epochs_reached, last.ended_early.clone());
    let early = match &fault {
        Some(Fault { cause: Cause::Enough(reason), .. }) => Some(reason.clone()),
        _ => None,
    };
    let failed = failure(panicked, fault.as_ref(), false).or_else(|| match epochs.len() as u32 {
        _ if wanted == 0 => Some(unrecorded(record)),
        committed if committed < wanted && early.is_none() => {
            Some(Error::Untraced { stage: "replay", committed, epochs: wanted })
        }
        _ => None,
    });
    if let Some(failed) = failed {
        return Err(match &directory {
            Some(directory) => discard(directory, failed),
            None => failed,
        });
    }
    if let Some(directory) = &directory {
        if let Some(FollowedEnd { manifest_blake3, .. }) = &end {
            directory.set_replay_of(replay_of(record, experiment, manifest_blake3, wanted))?;
        }
        let planned = counted(settings.epochs, "epoch");
        match early.or(recorded_early) {
            Some(reason) => directory.finish_early(reason)?,
            None if wanted == settings.epochs => directory.finish(None)?,
            None => directory.finish(Some(format!("the record ends after {wanted} of {planned}")))?,
        }
    }
    let directory = directory.map(|directory| directory.path().to_owned());
    Ok(Replayed { directory, epochs, censored, end })
}

/// Why nothing is kept of work that counts only if it is whole, a replay or a `bench`, if it failed. An early
/// end is a success.
pub(crate) fn failure(panicked: Option<Panicked>, fault: Option<&Fault>, bench: bool) -> Option<Error> {
    let (reason, interrupted) = match (panicked, fault) {
        (Some((worker, message)), _) => (format!("worker {worker} failed: {message}"), false),
        (None, Some(Fault { cause: Cause::Interrupted, .. })) if bench => ("interrupted".to_owned(), true),
        (None, Some(Fault { cause: Cause::Enough(_), .. }) | None) => return None,
        (None, Some(fault)) => (fault.to_string(), fault.cause == Cause::Interrupted),
    };
    Some(Error::Unkept { reason, bench, interrupted })
}

/// Where a replay comes from: the manifest of a run, by its BLAKE3, and how many epochs it names.
fn replay_of(record: &Record, experiment: &Experiment, manifest: &str, epochs: u32) -> ReplayOf {
    let (path, manifest) = (record.run().path().display().to_string(), manifest.to_owned());
    ReplayOf { path, manifest, epochs, densities: experiment.densities() }
}

/// A run that ended before anything of it was recorded.
pub(crate) fn unrecorded(record: &Record) -> Error {
    let run = record.run().path().display();
    Error::no_replay(format!("{run}: was interrupted before its first epoch was recorded"), false)
}

/// What cannot be replayed.
pub(crate) fn check(experiment: &Experiment) -> Result<(), ParameterError> {
    if let Some((key, name)) = experiment.unknown().iter().next() {
        let reason = format!(
            "the run's policy {name} is none of the registered ones; choose another, or replay with the \
             program that it belongs to"
        );
        return Err(ParameterError::contradiction(key, reason));
    }
    let mask = &experiment.settings().policies.mask;
    if experiment.densities() == Densities::Scheduled && !mask.is_scheduled() {
        let reason = format!(
            "the densities of \"{}\" depend on weights, which no trace has; choose a policy with a \
             schedule, or leave the keys of the mask out: then the recorded masks count",
            mask.name()
        );
        return Err(ParameterError::contradiction("mask.policy", reason));
    }
    Ok(())
}

fn create(record: &Record, experiment: &Experiment, path: &Path, options: &Options) -> Result<RunDirectory> {
    let run = record.run();
    let replay_of = replay_of(record, experiment, run.manifest_blake3(), record.epochs_reached());
    let mut beginning = beginning(experiment, options.workers, 1);
    beginning.manifest.replay_of = Some(replay_of);
    beginning.manifest.data_set = run.manifest().data_set.clone();
    Ok(RunDirectory::create(path, &beginning)?)
}

/// Keeps the rows of the table, and lets another observer look on.
struct Seen {
    also: Arc<dyn Observer>,
    rows: Mutex<(Vec<EpochRow>, Vec<CensoredRow>)>,
}

impl Observer for Seen {
    fn epoch(&self, row: &EpochRow) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).0.push(row.clone());
        self.also.epoch(row);
    }

    fn censored(&self, row: &CensoredRow) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).1.push(row.clone());
        self.also.censored(row);
    }

    fn timing(&self, row: &TimingRow) {
        self.also.timing(row);
    }
}
