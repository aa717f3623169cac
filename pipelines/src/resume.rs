//! Going on with a run that ended before its last epoch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::manifest::{DataSetRecord, MANIFEST_NAME, Manifest};
use spfde_data::files::parquet_store::read_stream;
use spfde_data::files::run_directory::{CONFIG_NAME, RunDirectory, read_config};
use spfde_data::files::{DataError, verify};
use spfde_data::parameter::{ParameterError, Value};
use spfde_data::rows::{EpochRow, TimingRow};
use spfde_data::table::Row;
use spfde_flow::{Run, Snapshot};

use crate::checkpoint::CheckpointFiles;
use crate::cluster::{Invitation, Meeting, Purpose};
use crate::configuration::{Configuration, Source, core};
use crate::error::Error;
use crate::experiment::Experiment;
use crate::session::{self, Options, Place};
use crate::workers::Crew;

/// What there is to go on with.
pub enum Resumed {
    /// Nothing: the run came to its end, after so many epochs.
    Finished(u32),
    /// A run, ready to go on.
    Unfinished(Box<Unfinished>),
}

/// A run that ended before its last epoch, ready to go on.
pub struct Unfinished {
    experiment: Experiment,
    held: Held,
    notes: Vec<String>,
}

/// Who holds the run.
enum Held {
    /// This process; everything that it goes on from is read and checked.
    Here(Arc<RunDirectory>, Option<Box<Snapshot>>),
    /// Process 0 of the processes that go on with it together, which says from where.
    ByFirst(PathBuf),
}

impl Resumed {
    /// Takes the run in `directory`. `prepare` makes the experiment of its configuration, as it did when the run began:
    /// it may put policies of its own into it.
    ///
    /// What is left over of the end is removed: unfinished files, and those that the manifest does not name. Training
    /// goes on from the last checkpoint that is sound; epochs that were committed after it are dropped, to be trained
    /// again with the same result. Without a checkpoint the run begins again.
    ///
    /// # Errors
    /// If there is no run, or another process has it; if its configuration or its data is not what it was; if a file
    /// that it would go on from is damaged: nothing is lost then.
    pub fn open(
        directory: &Path,
        prepare: impl FnOnce(Configuration) -> Result<Experiment, Error>,
    ) -> Result<Self, Error> {
        let recorded = match RunDirectory::open(directory) {
            Err(DataError::NotARun { .. }) if directory.join(CONFIG_NAME).is_file() => {
                return begin_again(directory, prepare);
            }
            recorded => recorded?,
        };
        if let Some(source) = &recorded.manifest().replay_of {
            let path = directory.join(MANIFEST_NAME);
            let expected = "none; a replay takes moments: start it again".to_owned();
            let (field, found) = ("replay_of".to_owned(), source.path.clone());
            return Err(DataError::Value { path, field, found, expected }.into());
        }
        if recorded.manifest().finished {
            return Ok(Self::Finished(recorded.manifest().epochs));
        }
        let held = RunDirectory::resume(directory)?;
        let entries = entries(directory, &recorded.config_unchanged()?)?;
        let environment = recorded.environment();
        let experiment = experiment(&entries, begun_in(&environment), prepare)?;
        let mut notes = match &environment {
            Ok(environment) => differences(environment, &experiment),
            Err(error) => {
                vec![format!("{error}; whether bits may differ from the run's beginning is unknown")]
            }
        };
        let manifest = held.manifest();
        check_data(directory, &manifest, &experiment)?;
        let epochs = experiment.settings().epochs;
        if manifest.epochs != epochs {
            let (path, found) = (directory.join(MANIFEST_NAME), manifest.epochs.to_string());
            let expected = format!("{epochs}, as config.toml says of train.epochs");
            return Err(DataError::Value { path, field: "epochs".to_owned(), found, expected }.into());
        }
        let snapshot = match latest(directory, &manifest, &experiment, &mut notes)? {
            Latest::Finished => {
                held.finish(None)?;
                return Ok(Self::Finished(epochs));
            }
            Latest::Beginning => None,
            Latest::Snapshot(snapshot) => Some(*snapshot),
        };
        let start = snapshot.as_ref().map_or(0, Snapshot::epoch);
        check_trace(directory, manifest, start)?;
        held.rewind(start)?;
        let held = Held::Here(Arc::new(held), snapshot.map(Box::new));
        Ok(Self::Unfinished(Box::new(Unfinished { experiment, held, notes })))
    }

    /// As [`Resumed::open`], for a process that goes on with the run together with process 0, which holds it, and says in
    /// [`Unfinished::run`] where it goes on.
    ///
    /// # Errors
    /// If there is no run; if its configuration or its data is not what it was.
    pub fn join(
        directory: &Path,
        prepare: impl FnOnce(Configuration) -> Result<Experiment, Error>,
    ) -> Result<Self, Error> {
        let mut notes = Vec::new();
        let experiment = match RunDirectory::open(directory) {
            Ok(recorded) => {
                let manifest = recorded.manifest();
                if manifest.finished || only_lacks_the_last_word(directory, manifest) {
                    return Ok(Self::Finished(manifest.epochs));
                }
                let entries = entries(directory, &recorded.config_unchanged()?)?;
                let environment = recorded.environment();
                let experiment = experiment(&entries, begun_in(&environment), prepare)?;
                if let Ok(environment) = environment {
                    notes = differences(&environment, &experiment);
                }
                check_data(directory, manifest, &experiment)?;
                experiment
            }
            // Process 0 begins it again.
            Err(DataError::NotARun { .. }) if directory.join(CONFIG_NAME).is_file() => {
                experiment(&entries(directory, &read_config(directory)?)?, None, prepare)?
            }
            Err(error) => return Err(error.into()),
        };
        let held = Held::ByFirst(directory.to_owned());
        Ok(Self::Unfinished(Box::new(Unfinished { experiment, held, notes })))
    }
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

    /// What was recorded of the epochs before: their costs and accuracies, and the times they took. Nothing where it is
    /// process 0 that knows.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn before(&self) -> Result<(Vec<EpochRow>, Vec<TimingRow>), Error> {
        let mut epochs = self.rows::<EpochRow>()?;
        epochs.sort_by_key(Row::order);
        Ok((epochs, self.rows::<TimingRow>()?))
    }

    fn rows<R: Row>(&self) -> Result<Vec<R>, DataError> {
        let Held::Here(directory, snapshot) = &self.held else { return Ok(Vec::new()) };
        let start = snapshot.as_deref().map_or(0, Snapshot::epoch);
        let mut rows = Vec::new();
        for batch in read_stream::<R>(directory.path(), &directory.manifest(), 0..start) {
            rows.extend(batch?.into_rows::<R>());
        }
        Ok(rows)
    }

    /// Trains to the end. Trace and weights have the same bits as those of a run that was never interrupted, for any
    /// number of workers and processes before and now. `options.directory` has no effect.
    ///
    /// # Errors
    /// As [`run`](crate::run).
    ///
    /// # Panics
    /// If `options.cluster` is not that of the process for which the run was opened: process 0 calls [`Resumed::open`], the
    /// others [`Resumed::join`].
    pub fn run(
        self,
        options: Options,
        build: impl Fn(&Run<'_>) + Send + Sync + 'static,
    ) -> Result<PathBuf, Error> {
        let Self { experiment, held, .. } = self;
        let meeting = Meeting::of(Purpose::Resume, &experiment, options.workers);
        let (cluster, interrupted) = (options.cluster.clone(), Arc::clone(&options.interrupted));
        let (directory, snapshot) = match held {
            Held::Here(directory, snapshot) => (directory, snapshot.map(|snapshot| *snapshot)),
            Held::ByFirst(path) => {
                let cluster = cluster.filter(|cluster| !cluster.is_first());
                let cluster = cluster.expect("only a process that is not the first joins a run");
                let (network, (member, snapshot)) =
                    cluster.join(&meeting, Some(&path), &interrupted, |invitation| {
                        let member = invitation.member(&cluster)?;
                        Ok((member, snapshot(&path, invitation, &experiment)?))
                    })?;
                let place = Place::Joined(Arc::new(member));
                return session::work_on(&experiment, place, snapshot, network, options, build);
            }
        };
        let now = session::environment(&experiment, options.workers, options.processes());
        // What cannot be read is only described anew.
        let environment = RunDirectory::open(directory.path()).and_then(|run| run.environment());
        let mut environment = environment.unwrap_or_else(|_| now.clone());
        let start = snapshot.as_ref().map_or(0, Snapshot::epoch);
        if let Some(fields) = environment.as_object_mut() {
            let before = fields.entry("resumed").or_insert_with(|| serde_json::json!([]));
            let entry = serde_json::json!({ "epoch": start, "environment": now });
            before.as_array_mut().into_iter().for_each(|list| list.push(entry.clone()));
        }
        directory.write_environment(&environment)?;
        let crew = match cluster {
            None => Crew::from(options.workers),
            Some(cluster) => {
                assert!(cluster.is_first(), "only process 0 holds a run that several go on with");
                match cluster.gather(&meeting, Some(&directory), start, &interrupted) {
                    Ok(network) => Crew::from(network),
                    Err(error) => {
                        session::keep(directory.finish(Some(error.to_string())));
                        return Err(error);
                    }
                }
            }
        };
        session::work_on(&experiment, Place::Held(directory), snapshot, crew, options, build)
    }
}

/// The checkpoint from which process 0 goes on.
fn snapshot(
    path: &Path,
    invitation: &Invitation,
    experiment: &Experiment,
) -> Result<Option<Snapshot>, Error> {
    if invitation.epoch == 0 {
        return Ok(None);
    }
    let manifest = Manifest::read(path)?;
    let settings = experiment.settings();
    Ok(Some(CheckpointFiles::new(path).read(path, &manifest, invitation.epoch, settings)?))
}

/// Goes on with the run in `directory` to its end, from its last checkpoint. The directory; at once if it is finished.
///
/// ```no_run
/// use std::path::Path;
/// use spfde::prelude::*;
/// spfde::resume(Path::new("runs/a"), Experiment::new, Options::default(), spfde::pipeline)?;
/// # Ok::<(), spfde::Error>(())
/// ```
///
/// # Errors
/// As [`Resumed::open`] and [`run`](crate::run).
pub fn resume(
    directory: &Path,
    prepare: impl FnOnce(Configuration) -> Result<Experiment, Error>,
    options: Options,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> Result<PathBuf, Error> {
    let first = options.cluster.as_ref().is_none_or(|cluster| cluster.is_first());
    let resumed = match first {
        true => Resumed::open(directory, prepare)?,
        false => Resumed::join(directory, prepare)?,
    };
    match resumed {
        Resumed::Finished(_) => Ok(directory.to_owned()),
        Resumed::Unfinished(unfinished) => unfinished.run(options, build),
    }
}

/// A run that ended between its configuration and its manifest.
fn begin_again(
    directory: &Path,
    prepare: impl FnOnce(Configuration) -> Result<Experiment, Error>,
) -> Result<Resumed, Error> {
    let experiment = experiment(&entries(directory, &read_config(directory)?)?, None, prepare)?;
    let manifest = Manifest::new(&experiment.settings().data, experiment.settings().epochs);
    let environment = session::environment(&experiment, 0, 1);
    let held = RunDirectory::begin_again(directory, &environment, manifest)?;
    let held = Held::Here(Arc::new(held), None);
    Ok(Resumed::Unfinished(Box::new(Unfinished { experiment, held, notes: Vec::new() })))
}

/// The settings of the run, key by key.
fn entries(directory: &Path, text: &str) -> Result<Vec<(String, Value)>, Error> {
    let path = directory.join(CONFIG_NAME).display().to_string();
    Ok(Source::parse_file(&path, text)?.entries().to_vec())
}

/// The directory in which the run began, if its environment says so.
fn begun_in(environment: &Result<serde_json::Value, DataError>) -> Option<PathBuf> {
    environment.as_ref().ok()?["working_directory"].as_str().map(PathBuf::from)
}

/// The experiment as it was when the run began.
fn experiment(
    entries: &[(String, Value)],
    begun_in: Option<PathBuf>,
    prepare: impl FnOnce(Configuration) -> Result<Experiment, Error>,
) -> Result<Experiment, Error> {
    // A policy that no registry knows is one that `prepare` puts in.
    let choices = core();
    let unknown = |key: &str, value: &Value| {
        key.ends_with(".policy")
            && choices.iter().any(|choice| choice.key == key && choice.check(value.clone()).is_err())
    };
    let known: Vec<(String, Value)> =
        entries.iter().filter(|(key, value)| !unknown(key, value)).cloned().collect();
    let experiment = prepare(Configuration::resolve(&known)?.begun_in(begun_in))?;
    for (key, recorded) in entries {
        let now = experiment.configuration().values().get(key);
        if now.is_some_and(|now| now != recorded) || now.is_none() && key.ends_with(".policy") {
            let now = now.map_or_else(|| "nothing".to_owned(), Value::to_string);
            let reason = format!(
                "the run has {recorded}, this program makes {now} of it; resume it with the program that began it"
            );
            return Err(ParameterError::contradiction(key, reason).into());
        }
    }
    Ok(experiment)
}

/// What differs between the machine and program that began the run and these, where it may change bits.
fn differences(environment: &serde_json::Value, experiment: &Experiment) -> Vec<String> {
    let now = session::environment(experiment, 0, 1);
    let names = [("version", "version of spfde"), ("kernel", "kernel"), ("architecture", "processor")];
    let differs = names.iter().filter(|(field, _)| environment[*field] != now[*field]);
    let note = |(field, name): &(&str, &str)| {
        format!(
            "the run began with {name} {}, this is {}: bits may differ from those of an uninterrupted run",
            environment[*field], now[*field]
        )
    };
    differs.map(note).collect()
}

/// Refuses other data than the run's.
fn check_data(directory: &Path, manifest: &Manifest, experiment: &Experiment) -> Result<(), Error> {
    let now = Manifest::new(&experiment.settings().data, manifest.epochs).data_set;
    if now.fingerprint == manifest.data_set.fingerprint {
        return Ok(());
    }
    let words = |record: &DataSetRecord| {
        format!("`{}` of {} training images ({:.16}…)", record.name, record.train_rows, record.fingerprint)
    };
    let (found, expected) = (words(&now), words(&manifest.data_set));
    Err(DataError::OtherData { path: directory.join(MANIFEST_NAME), found, expected }.into())
}

/// Where a run can go on.
enum Latest {
    /// All epochs are committed and the final weights are there: only the last word is missing.
    Finished,
    Beginning,
    Snapshot(Box<Snapshot>),
}

/// Whether process 0 finds that the run in `directory` has come to its end, although `manifest` does not say so.
fn only_lacks_the_last_word(directory: &Path, manifest: &Manifest) -> bool {
    let last = manifest.last_checkpoint() == Some(manifest.epochs);
    last && CheckpointFiles::new(directory).check(manifest, manifest.epochs).is_ok()
}

/// Reads the latest checkpoint that is sound; notes those that are not.
fn latest(
    directory: &Path,
    manifest: &Manifest,
    experiment: &Experiment,
    notes: &mut Vec<String>,
) -> Result<Latest, Error> {
    let files = CheckpointFiles::new(directory);
    let mut first = None;
    for epoch in manifest.checkpoint_epochs().into_iter().rev() {
        let read = match epoch == manifest.epochs {
            true => files.check(manifest, epoch).map(|()| Latest::Finished),
            false => files
                .read(directory, manifest, epoch, experiment.settings())
                .map(|snapshot| Latest::Snapshot(Box::new(snapshot))),
        };
        match read {
            Ok(latest) => return Ok(latest),
            Err(error) => {
                notes.push(format!("the checkpoint of epoch {epoch} cannot be used: {error}"));
                first = first.or(Some(error));
            }
        }
    }
    // Training everything again is no answer that nobody asked for.
    first.map_or(Ok(Latest::Beginning), |error| Err(error.into()))
}

/// That the trace before `start`, which is kept, is sound.
fn check_trace(directory: &Path, manifest: Manifest, start: u32) -> Result<(), Error> {
    let mut kept = manifest;
    kept.epochs_reached = start;
    kept.segments.retain(|segment| segment.epoch < start);
    kept.checkpoints.clear();
    match verify::segments(directory, &kept).into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
