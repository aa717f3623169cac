//! The beginning of a run, and directories in which something lies already.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::lock::{self, RunLock};
use super::recorded::write_environment;
use super::sweep::remove_if_there;
use super::{RunDirectory, read_config};
use crate::counted;
use crate::files::layout::{
    self, ARCHITECTURE_NAME, CONFIG_NAME, LOCK_NAME, MANIFEST_NAME, START_NAME, entries, part_of,
};
use crate::files::{DataError, Kind, Manifest, Result, atomic, operation, read_limited, weights};

/// What a run directory has before anything is committed.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The text of `config.toml`.
    pub config: String,
    /// The text of `architecture.json`, if there is to be one.
    pub architecture: Option<String>,
    /// The file with the weights that the run begins with, of which it keeps a copy, if it does not draw
    /// them; its BLAKE3 is in the manifest.
    pub start: Option<PathBuf>,
    /// The content of `environment.json`: an object with fields.
    pub environment: serde_json::Value,
    /// The first manifest.
    pub manifest: Manifest,
}

impl RunDirectory {
    /// Creates the directory of a run, or takes an empty one: writes `config.toml`, then `architecture.json`
    /// and `start.safetensors`, if there are any, and `environment.json`, then the manifest, in which nothing
    /// is committed.
    ///
    /// A directory with anything in it is refused and left as it is, but for what a process leaves that died
    /// before it had written the configuration.
    ///
    /// # Errors
    /// If it is taken, or something cannot be written, such as on a full disk: nothing of the run is left
    /// then.
    ///
    /// # Panics
    /// If the environment is not a JSON object with fields.
    pub fn create(path: &Path, beginning: &Beginning) -> Result<Self> {
        let existed = path.is_dir();
        let created = atomic::create_directory(path).and_then(|()| {
            let run = Self::new(path, existed, &beginning.config, beginning, Self::take_new(path)?);
            atomic::write(&path.join(CONFIG_NAME), beginning.config.as_bytes())
                .and_then(|()| run.begin(beginning))
                .inspect_err(|_| run.abandon())?;
            Ok(run)
        });
        created.inspect_err(|_| {
            if !existed {
                // Only if it is empty.
                let _ = operation::remove_directory(path);
            }
        })
    }

    /// Locks a directory in which there is no run.
    fn take_new(path: &Path) -> Result<RunLock> {
        let begun = path.join(LOCK_NAME).is_file();
        if begun {
            // The process that uses it is worth naming.
            lock::refuse_held(path, LOCK_NAME)?;
        }
        refuse_taken(path)?;
        let lock = RunLock::take(path, LOCK_NAME, !begun)?;
        refuse_taken(path)?;
        Ok(lock)
    }

    /// Takes up a run whose process died after it had written the configuration, and before the manifest:
    /// nothing is committed, so it begins again. The configuration is the one that is there.
    ///
    /// # Errors
    /// If there is a manifest: then [`RunDirectory::resume`] goes on from it. If there are files of a trace
    /// or of checkpoints: they are written after the manifest, so it was lost, and nothing tells which of
    /// them count.
    ///
    /// # Panics
    /// As [`RunDirectory::create`].
    pub fn begin_again(path: &Path, beginning: &Beginning) -> Result<Self> {
        let lock = Self::take_up(path)?;
        atomic::refuse_existing(&path.join(MANIFEST_NAME))?;
        if let Some(found) = layout::first_file(path)? {
            return Err(Manifest::lost(path, &found));
        }
        let run = Self::new(path, true, &read_config(path)?, beginning, lock);
        run.begin(beginning)?;
        Ok(run)
    }

    /// A run with the configuration `config` of which nothing is written yet.
    fn new(path: &Path, existed: bool, config: &str, beginning: &Beginning, lock: RunLock) -> Self {
        let (configuration, manifest) = (Some(hash(config)), beginning.manifest.clone());
        let manifest = Manifest { sealed_environment: true, configuration, ..manifest };
        Self { path: path.to_owned(), existed, manifest: Mutex::new(manifest), lock }
    }

    /// Writes what follows the configuration.
    fn begin(&self, beginning: &Beginning) -> Result<()> {
        let architecture = beginning.architecture.as_deref();
        if let Some(text) = architecture {
            atomic::write(&self.path.join(ARCHITECTURE_NAME), text.as_bytes())?;
        }
        self.state().architecture = architecture.map(hash);
        if let Some(start) = &beginning.start {
            self.copy_start(start)?;
        }
        write_environment(&self.path, &beginning.environment)?;
        self.state().write(&self.path)?;
        self.remove_unnamed()
    }

    /// Copies the weights that the run begins with; they have to be those that were read.
    fn copy_start(&self, from: &Path) -> Result<()> {
        let bytes = read_limited(from, weights::WEIGHTS_LIMIT)?;
        let expected = self.state().started_from.as_ref().map(|start| start.weights.clone());
        let found = blake3::hash(&bytes).to_hex();
        DataError::same(from, "BLAKE3", found.as_str(), expected.as_deref().unwrap_or_default())?;
        atomic::write(&self.path.join(START_NAME), &bytes)
    }

    /// Removes what [`RunDirectory::create`] has written. Why it fails matters more than that something may
    /// stay.
    fn abandon(&self) {
        let _ = remove_if_there(&self.path.join(MANIFEST_NAME));
        // As far as the disk lets it: after a power cut there should be no manifest without the rest.
        let _ = atomic::sync_directory(&self.path);
        let _ = self.remove_own();
    }
}

/// BLAKE3 of a text, in hexadecimal.
fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// An error if a run, or something else, is in the directory already: more than what a process leaves that
/// died before it had written the configuration.
pub fn refuse_taken(path: &Path) -> Result<()> {
    let half = part_of(Path::new(CONFIG_NAME));
    let is_left = |name: &OsStr| name == LOCK_NAME || name == half;
    if path.is_dir() && !entries(path)?.iter().all(|entry| is_left(&entry.file_name())) {
        return Err(taken(path));
    }
    Ok(())
}

/// That the directory is not empty; of a run, how far it is.
pub fn taken(path: &Path) -> DataError {
    let Ok(manifest) = Manifest::read(path) else { return not_empty(path) };
    let held = lock::held_by(path, LOCK_NAME).ok().flatten();
    let Manifest { epochs_reached: reached, epochs, finished, replay_of, .. } = manifest;
    let wanted = counted(epochs, "epoch");
    // While it is in use it is not resumed, and a replay never is.
    let goes_on = held.is_none() && !finished && replay_of.is_none();
    let state = match held {
        Some(holder) => format!("is in use by {holder}"),
        None if finished => format!("is finished ({wanted})"),
        None => format!("has {reached} of {wanted}"),
    };
    let what = format!("is the directory of a run, which {state}; nothing was overwritten");
    let remedy = match goes_on {
        true => "resume it, or choose another run directory",
        false => "choose another run directory",
    };
    DataError::refused(path, what, remedy).of(Kind::Taken)
}

/// That something lies in the directory.
pub(super) fn not_empty(path: &Path) -> DataError {
    let remedy = "choose another run directory or remove this one";
    DataError::refused(path, "is not empty; nothing was overwritten", remedy).of(Kind::Taken)
}
