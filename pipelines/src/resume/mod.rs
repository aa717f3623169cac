//! Going on with a run that ended before its last epoch: from where it came to, of what is sound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::run_directory::read_config;
use spfde_data::files::{
    CONFIG_NAME, DataError, Kind, MANIFEST_NAME, Manifest, RecordedRun, RunDirectory, checkpoint, verify,
};
use spfde_flow::{Settings, Snapshot};

use crate::checkpoint::read;
use crate::environment::{began_in, beginning};
use crate::{Build, Error, Experiment, Options, Prepare, Registry, Result, Source};
use recorded::{check_data, differences, experiment};
use unfinished::Held;

mod recorded;
mod unfinished;

pub use unfinished::Unfinished;

/// What there is to go on with.
pub enum Resumed {
    /// Nothing: the run came to its end, after so many epochs, and its files are what they were.
    Finished(u32),
    /// A run, ready to go on.
    Unfinished(Box<Unfinished>),
}

impl Resumed {
    /// Takes the run in `directory`, of what `registry` knows. `prepare` makes the experiment of its
    /// configuration, as it did when the run began: it may put policies of its own into it.
    ///
    /// What is left over of the end is removed: unfinished files, and those that the manifest does not name.
    /// Training goes on from the last checkpoint that is sound; epochs that were committed after it are
    /// dropped, to be trained again with the same result. Without a checkpoint the run begins again.
    ///
    /// # Errors
    /// If there is no run, or another process has it; if its configuration or its data is not what it was; if
    /// a file that it would go on from is damaged: nothing is lost then.
    pub fn open(registry: &Arc<Registry>, directory: &Path, prepare: impl Prepare) -> Result<Self> {
        Self::take(registry, directory, prepare, true)
    }

    /// As [`Resumed::open`], for a process that goes on with the run together with process 0, which holds it,
    /// and says in [`Unfinished::run`] where it goes on.
    ///
    /// # Errors
    /// If there is no run; if its configuration or its data is not what it was.
    pub fn join(registry: &Arc<Registry>, directory: &Path, prepare: impl Prepare) -> Result<Self> {
        Self::take(registry, directory, prepare, false)
    }

    /// As [`Resumed::open`] if this process `is_first`, else as [`Resumed::join`].
    pub(crate) fn take(
        registry: &Arc<Registry>,
        directory: &Path,
        prepare: impl Prepare,
        is_first: bool,
    ) -> Result<Self> {
        let unfinished = |experiment, held: Option<Held>, notes| -> Result<Self> {
            let held = held.unwrap_or_else(|| Held::ByFirst(directory.to_owned()));
            Ok(Self::Unfinished(Box::new(Unfinished { experiment, held, notes })))
        };
        let recorded = match RunDirectory::open(directory) {
            // It ended between its configuration and its manifest, and begins again.
            Err(error) if error.is(Kind::NotARun) && directory.join(CONFIG_NAME).is_file() => {
                let source = Source::of_run(directory, &read_config(directory)?)?;
                let experiment = experiment(registry, directory, source.entries(), None, None, prepare)?;
                let held = is_first.then(|| begin_again(directory, &experiment)).transpose()?;
                return unfinished(experiment, held, Vec::new());
            }
            recorded => recorded?,
        };
        let mut manifest = recorded.manifest().clone();
        if let Some(source) = &manifest.replay_of {
            let expected = "none; a replay takes moments: start it again";
            let path = directory.join(MANIFEST_NAME);
            return Err(DataError::value(&path, "replay_of", &source.path, expected).into());
        }
        if manifest.finished {
            check_finished(directory, &recorded)?;
            return Ok(Self::Finished(manifest.epochs_reached));
        }
        recorded.refuse_old()?;
        let held = is_first.then(|| RunDirectory::resume(directory)).transpose()?;
        match &held {
            Some(held) => {
                manifest = held.manifest();
                // It may have come to its end since it was looked at.
                if manifest.finished {
                    return Ok(Self::Finished(manifest.epochs_reached));
                }
            }
            // Process 0 will find that only the last word is missing.
            None if is_at_its_end(directory, &manifest) => return Ok(Self::Finished(manifest.epochs)),
            None => {}
        }
        let source = Source::of_run(directory, &recorded.config_unchanged()?)?;
        let environment = recorded.environment();
        let begun_in = environment.as_ref().ok().and_then(began_in);
        let registry = registry.of_run(&recorded, source.entries())?;
        let own_start = recorded.start()?.map(|(file, from)| (file, from.clone()));
        let experiment = experiment(&registry, directory, source.entries(), begun_in, own_start, prepare)?;
        let mut notes = match &environment {
            Ok(environment) => differences(environment, &experiment),
            Err(error) => {
                vec![format!("{error}; whether bits may differ from the run's beginning is unknown")]
            }
        };
        check_data(directory, &manifest, &experiment)?;
        let Some(held) = held else { return unfinished(experiment, None, notes) };
        let epochs = experiment.settings().epochs;
        if manifest.epochs != epochs {
            let (path, found) = (directory.join(MANIFEST_NAME), manifest.epochs.to_string());
            let expected = format!("{epochs}, as config.toml says of train.epochs");
            return Err(DataError::value(&path, "epochs", &found, expected).into());
        }
        let snapshot = match latest(directory, &manifest, experiment.settings(), &mut notes)? {
            Latest::Finished => {
                held.finish(None)?;
                return Ok(Self::Finished(epochs));
            }
            Latest::Beginning => None,
            Latest::Snapshot(snapshot) => Some(snapshot),
        };
        let start = snapshot.as_ref().map_or(0, |snapshot| snapshot.epoch());
        check_trace(directory, manifest, start)?;
        held.rewind(start)?;
        unfinished(experiment, Some(Held::Here(Arc::new(held), snapshot)), notes)
    }
}

/// Goes on with the run in the directory `run` to its end, from its last checkpoint. The directory; at once
/// if it is finished.
///
/// ```no_run
/// use std::path::Path;
/// use spfde::prelude::*;
/// spfde::resume(Path::new("runs/a"), Experiment::new, Options::default(), spfde::wire)?;
/// # Ok::<(), spfde::Error>(())
/// ```
///
/// # Errors
/// As [`Resumed::open`] and [`run`](crate::run).
pub fn resume(run: &Path, prepare: impl Prepare, options: Options, build: impl Build) -> Result<PathBuf> {
    match Resumed::take(&Registry::standard(), run, prepare, options.is_first())? {
        Resumed::Finished(_) => Ok(run.to_owned()),
        Resumed::Unfinished(unfinished) => unfinished.run(options, build),
    }
}

/// Begins a run again that ended between its configuration and its manifest.
fn begin_again(directory: &Path, experiment: &Experiment) -> Result<Held, DataError> {
    let held = RunDirectory::begin_again(directory, &beginning(experiment, 0, 1))?;
    Ok(Held::Here(Arc::new(held), None))
}

/// What to do where files of a run that are needed are not what they were.
const LOST: &str =
    "restore what is damaged from a copy, or start another run with the config.toml of this one";

/// Where a run can go on.
enum Latest {
    /// All epochs are committed and the final weights are there: only the last word is missing.
    Finished,
    Beginning,
    Snapshot(Box<Snapshot>),
}

/// Whether the run in `directory` has come to its end, although `manifest` does not say so.
fn is_at_its_end(directory: &Path, manifest: &Manifest) -> bool {
    let last = manifest.last_checkpoint() == Some(manifest.epochs);
    last && checkpoint::check(directory, manifest, manifest.epochs).is_ok()
}

/// Reads the latest checkpoint that is sound; notes those that are not.
fn latest(run: &Path, manifest: &Manifest, settings: &Settings, notes: &mut Vec<String>) -> Result<Latest> {
    let mut reasons = Vec::new();
    for epoch in manifest.checkpoint_epochs().into_iter().rev() {
        let read = match epoch == manifest.epochs {
            true => checkpoint::check(run, manifest, epoch).map(|()| Latest::Finished),
            false => {
                read(run, manifest, epoch, settings).map(|snapshot| Latest::Snapshot(Box::new(snapshot)))
            }
        };
        match read {
            Ok(latest) => return Ok(latest),
            Err(error) => {
                notes.push(format!("the checkpoint after epoch {epoch} cannot be used: {error}"));
                reasons.push(error.to_string());
            }
        }
    }
    if reasons.is_empty() {
        return Ok(Latest::Beginning);
    }
    // To train everything again is not what the user asked for.
    let what = format!("none of its checkpoints can be used: {}", reasons.join("; "));
    Err(DataError::refused(run, what, LOST).into())
}

/// That every file of a run that has come to its end is what it was.
fn check_finished(directory: &Path, run: &RecordedRun) -> Result<()> {
    let findings = crate::verify::files(run);
    let Some(first) = findings.first() else { return Ok(()) };
    Err(Error::finished_unsound(directory, findings.len(), &first.to_string()))
}

/// That the trace before `start`, which is kept, is sound.
fn check_trace(directory: &Path, mut kept: Manifest, start: u32) -> Result<()> {
    kept.epochs_reached = start;
    kept.segments.retain(|segment| segment.epoch < start);
    kept.checkpoints.clear();
    kept.best.retain(|file| file.epoch <= start);
    verify::segments(directory, &kept).first().map_or(Ok(()), |reason| {
        let what = format!("its trace cannot be used: {reason}");
        Err(DataError::refused(directory, what, LOST).into())
    })
}
