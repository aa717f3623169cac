//! The directory of a run: created once, held by one process, committed epoch by epoch.

mod lock;
mod members;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::files::atomic;
use crate::files::checkpoint;
use crate::files::error::{DataError, Result};
use crate::files::manifest::{Checkpoint, MANIFEST_NAME, Manifest, ReplayOf};
use crate::files::operation;
use crate::files::parquet_store::ParquetStore;
use crate::files::read_limited::read_limited;
use crate::segment::{Commit, Segment, StorageError};
use lock::{LOCK_NAME, RunLock};

pub use members::{KEY_BYTES, Member, read_key};

/// Name of the resolved configuration within a run directory.
pub const CONFIG_NAME: &str = "config.toml";
/// Name of the description of machine and program within a run directory.
pub const ENVIRONMENT_NAME: &str = "environment.json";

/// Bytes of a configuration or environment file.
const TEXT_LIMIT: u64 = 16 << 20;

/// Directories whose files the manifest names; everything else in them is left over.
const NAMED: [&str; 2] = ["trace", "checkpoint"];

/// The files beside them.
const WRITTEN: [&str; 3] = [CONFIG_NAME, ENVIRONMENT_NAME, MANIFEST_NAME];

/// How many checkpoints a run keeps: should the latest be damaged, there is the one before it.
pub const CHECKPOINTS_KEPT: usize = 2;

/// A run that this process writes. Dropped, it releases the directory; what was committed stays.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Whether the directory was there before the run.
    existed: bool,
    manifest: Mutex<Manifest>,
    _lock: RunLock,
}

/// A run that is only read.
#[derive(Clone, Debug)]
pub struct RecordedRun {
    path: PathBuf,
    manifest: Manifest,
    manifest_blake3: String,
}

impl RunDirectory {
    /// Creates the directory of a run, or takes an empty one: writes `config.toml` (the text `config`), then
    /// `environment.json`, then the manifest, in which nothing is committed.
    ///
    /// A directory with anything in it is refused and left as it is, but for what a process leaves that died before
    /// it had written the configuration.
    pub fn create(
        path: &Path,
        config: &str,
        environment: &serde_json::Value,
        manifest: Manifest,
    ) -> Result<Self> {
        let existed = path.is_dir();
        atomic::create_directory(path)?;
        let begun = path.join(LOCK_NAME).is_file();
        if begun {
            // Whoever uses it is worth naming.
            lock::refuse_held(path, LOCK_NAME)?;
        }
        refuse_taken(path)?;
        let lock = RunLock::take(path, !begun)?;
        refuse_taken(path)?;
        atomic::write(&path.join(CONFIG_NAME), config.as_bytes())?;
        Self::begin(path, config, environment, manifest, existed, lock)
    }

    /// Takes up a run whose process died after it had written the configuration, and before the manifest: nothing is
    /// committed, so it begins again.
    ///
    /// # Errors
    /// If there is a manifest: then [`RunDirectory::resume`] goes on from it.
    pub fn begin_again(path: &Path, environment: &serde_json::Value, manifest: Manifest) -> Result<Self> {
        let lock = Self::take_up(path)?;
        if path.join(MANIFEST_NAME).exists() {
            return Err(DataError::Exists { path: path.join(MANIFEST_NAME) });
        }
        let config = read_text(&path.join(CONFIG_NAME))?;
        Self::begin(path, &config, environment, manifest, true, lock)
    }

    /// Writes what follows the configuration.
    fn begin(
        path: &Path,
        config: &str,
        environment: &serde_json::Value,
        mut manifest: Manifest,
        existed: bool,
        lock: RunLock,
    ) -> Result<Self> {
        write_environment(path, environment)?;
        manifest.configuration = Some(blake3::hash(config.as_bytes()).to_hex().to_string());
        manifest.write(path)?;
        let run = Self { path: path.to_owned(), existed, manifest: Mutex::new(manifest), _lock: lock };
        run.remove_unnamed()?;
        Ok(run)
    }

    /// Takes a run up again where its manifest ends, and removes what the manifest does not name.
    pub fn resume(path: &Path) -> Result<Self> {
        Manifest::read(path)?;
        let lock = Self::take_up(path)?;
        // Once more: until the lock was taken another process may have gone on.
        let mut manifest = Manifest::read(path)?;
        manifest.stopped = None;
        let run = Self { path: path.to_owned(), existed: true, manifest: Mutex::new(manifest), _lock: lock };
        run.remove_unnamed()?;
        Ok(run)
    }

    /// Locks a run that was begun before. Other processes that worked on it may outlive the one that held it: as long as
    /// one does, it is in use.
    fn take_up(path: &Path) -> Result<RunLock> {
        let lock = RunLock::take(path, false)?;
        members::refuse_working(path)?;
        members::sweep(path)?;
        Ok(lock)
    }

    /// Puts a file into the directory by which other processes can show that they see it ([`read_key`]).
    pub fn write_key(&self, key: &[u8; KEY_BYTES]) -> Result<()> {
        members::write_key(&self.path, key)
    }

    /// Removes it again.
    pub fn remove_key(&self) -> Result<()> {
        members::remove_key(&self.path)
    }

    /// Opens a run for reading, without a lock.
    pub fn open(path: &Path) -> Result<RecordedRun> {
        let (manifest, manifest_blake3) = Manifest::read_hashed(path)?;
        Ok(RecordedRun { path: path.to_owned(), manifest, manifest_blake3 })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store for the run's segments.
    pub fn store(&self) -> ParquetStore {
        ParquetStore::new(&self.path)
    }

    /// The manifest as it is on disk.
    pub fn manifest(&self) -> Manifest {
        self.lock().clone()
    }

    /// Goes back to the start of `epoch`: what was committed of it and later is dropped, to be trained again, and so are
    /// later checkpoints.
    pub fn rewind(&self, epoch: u32) -> Result<()> {
        self.change(|manifest| {
            manifest.epochs_reached = manifest.epochs_reached.min(epoch);
            manifest.segments.retain(|segment| segment.epoch < epoch);
            manifest.checkpoints.retain(|checkpoint| checkpoint.epoch <= epoch);
            manifest.finished = false;
        })?;
        self.remove_unnamed()
    }

    /// Says of a replay whose record it read, when that is known at its end only.
    pub fn set_replay_of(&self, replay_of: ReplayOf) -> Result<()> {
        self.change(|manifest| manifest.replay_of = Some(replay_of))
    }

    /// Replaces the description of machine and program.
    pub fn write_environment(&self, environment: &serde_json::Value) -> Result<()> {
        write_environment(&self.path, environment)
    }

    /// Ends the work on the run and removes what the manifest does not name. The run is finished unless `stopped`
    /// says why it stopped before its end.
    pub fn finish(&self, stopped: Option<String>) -> Result<()> {
        // First of all: on a full disk it makes room for the manifest.
        let removed = self.remove_unnamed();
        self.change(|manifest| {
            manifest.finished = stopped.is_none();
            manifest.stopped = stopped;
        })?;
        removed?;
        remove_empty(&self.path.join(checkpoint::FOLDER));
        Ok(())
    }

    /// Gives up a run of which nothing is to be kept: removes the manifest, then all that the run wrote, then the
    /// directory, unless it was there before or something else lies in it. Nothing can be written to it afterwards.
    pub fn discard(&self) -> Result<()> {
        remove_if_there(&self.path.join(MANIFEST_NAME))?;
        for directory in NAMED {
            let directory = self.path.join(directory);
            remove_except(&directory, &BTreeSet::new())?;
            remove_empty(&directory);
        }
        members::sweep(&self.path)?;
        [CONFIG_NAME, ENVIRONMENT_NAME, LOCK_NAME]
            .into_iter()
            .try_for_each(|name| remove_if_there(&self.path.join(name)))?;
        if !self.existed {
            remove_empty(&self.path);
        }
        Ok(())
    }

    /// Removes all files below `trace/` and `checkpoint/` that the manifest does not name.
    fn remove_unnamed(&self) -> Result<()> {
        let manifest = self.lock();
        let segments = manifest.segments.iter().map(|segment| &segment.path);
        let checkpoints = manifest.checkpoints.iter().map(|checkpoint| &checkpoint.path);
        let named: BTreeSet<PathBuf> = segments.chain(checkpoints).map(|path| self.path.join(path)).collect();
        NAMED.iter().try_for_each(|directory| remove_except(&self.path.join(directory), &named))?;
        WRITTEN.iter().try_for_each(|name| remove_if_there(&self.path.join(format!("{name}.part"))))
    }

    /// Adds `epoch` to the manifest, its segments and, if there is one, the checkpoint after it.
    fn add(
        &self,
        epoch: u32,
        segments: Vec<Segment>,
        checkpoint: Vec<Checkpoint>,
    ) -> Result<(), StorageError> {
        let refuse = |reason: String| {
            let path = self.path.display().to_string();
            Err(StorageError { path, action: format!("commit epoch {epoch}"), reason })
        };
        let Manifest { epochs_reached: reached, epochs, .. } = *self.lock();
        if epoch != reached || epoch >= epochs {
            return refuse(format!("{reached} of {epochs} epochs are committed, in order"));
        }
        if let Some(segment) = segments.iter().find(|segment| segment.epoch != epoch) {
            return refuse(format!("{} is of epoch {}", segment.path, segment.epoch));
        }
        if let Some(file) = checkpoint.iter().find(|file| file.epoch != epoch + 1) {
            return refuse(format!("{} is of epoch {}", file.path, file.epoch));
        }
        let mut dropped = Vec::new();
        self.change(|manifest| {
            manifest.epochs_reached = epoch + 1;
            manifest.segments.extend(segments);
            manifest.segments.sort();
            if !checkpoint.is_empty() {
                // Nothing goes on after the last epoch: its weights are all that is wanted.
                let kept = if epoch + 1 == epochs { 1 } else { CHECKPOINTS_KEPT };
                manifest.checkpoints.extend(checkpoint);
                manifest.checkpoints.sort();
                let oldest = manifest.checkpoint_epochs().iter().rev().take(kept).min().copied();
                dropped = manifest.checkpoints.extract_if(.., |file| Some(file.epoch) < oldest).collect();
            }
        })?;
        // Named no more, so that it does no harm should they stay: the end of the run removes them.
        dropped.iter().for_each(|file| drop(operation::remove_file(&self.path.join(&file.path))));
        Ok(())
    }

    /// Changes the manifest: on disk first, then in memory, so that a failure changes neither.
    fn change(&self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        let mut manifest = self.lock();
        let mut next = manifest.clone();
        change(&mut next);
        next.write(&self.path)?;
        *manifest = next;
        Ok(())
    }

    /// The manifest is replaced whole, so that a panic elsewhere leaves it valid.
    fn lock(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Commit for RunDirectory {
    /// Epochs are committed one after the other, each once.
    fn commit(&self, epoch: u32, segments: Vec<Segment>) -> Result<(), StorageError> {
        self.add(epoch, segments, Vec::new())
    }

    /// The last [`CHECKPOINTS_KEPT`] checkpoints stay; earlier ones are removed once this one counts.
    fn commit_checkpoint(
        &self,
        epoch: u32,
        segments: Vec<Segment>,
        checkpoint: Vec<Checkpoint>,
    ) -> Result<(), StorageError> {
        self.add(epoch, segments, checkpoint)
    }
}

impl RecordedRun {
    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest as it was when the run was opened.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// BLAKE3 of the manifest, in hexadecimal: since it names the BLAKE3 of every segment, it names the record.
    pub fn manifest_blake3(&self) -> &str {
        &self.manifest_blake3
    }

    /// The text of `config.toml`.
    pub fn config(&self) -> Result<String> {
        read_text(&self.path.join(CONFIG_NAME))
    }

    /// As [`RecordedRun::config`], if it is the configuration that the run began with.
    pub fn config_unchanged(&self) -> Result<String> {
        let config = self.config()?;
        let found = blake3::hash(config.as_bytes()).to_hex();
        match &self.manifest.configuration {
            Some(expected) if found.as_str() != expected => {
                Err(DataError::ConfigurationChanged { path: self.path.join(CONFIG_NAME) })
            }
            _ => Ok(config),
        }
    }

    /// The content of `environment.json`.
    pub fn environment(&self) -> Result<serde_json::Value> {
        let path = self.path.join(ENVIRONMENT_NAME);
        serde_json::from_str(&read_text(&path)?).map_err(|source| DataError::Json { path, source })
    }
}

/// Whether some process writes the run in the directory `path`.
///
/// # Errors
/// If the system does not tell.
pub fn is_held(path: &Path) -> Result<bool> {
    lock::is_held(path)
}

/// The first free directory `<root>/<model>-<seed>-<n>`, n from 1.
pub fn default_directory(root: &Path, model: &str, seed: u64) -> PathBuf {
    let mut candidates = (1_u64..).map(|n| root.join(format!("{model}-{seed}-{n}")));
    candidates.find(|path| path.symlink_metadata().is_err()).expect("some number is free")
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = read_limited(path, TEXT_LIMIT)?;
    String::from_utf8(bytes).map_err(|error| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
        DataError::io(path, "read")(error)
    })
}

/// Removes a directory in which there is nothing but empty directories. One that somebody put something in stays.
fn remove_empty(directory: &Path) {
    let entries = directory.read_dir().into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .for_each(|entry| remove_empty(&entry.path()));
    let _ = std::fs::remove_dir(directory);
}

fn write_environment(path: &Path, environment: &serde_json::Value) -> Result<()> {
    let mut environment = serde_json::to_vec_pretty(environment).expect("a JSON value is JSON");
    environment.push(b'\n');
    atomic::write(&path.join(ENVIRONMENT_NAME), &environment)
}

/// An error if a run, or something else, is in the directory already: more than what a process leaves that died before it
/// had written the configuration.
pub fn refuse_taken(path: &Path) -> Result<()> {
    if !path.is_dir() {
        return Ok(());
    }
    let half = format!("{CONFIG_NAME}.part");
    for entry in path.read_dir().map_err(DataError::io(path, "list the directory"))? {
        let name = entry.map_err(DataError::io(path, "list the directory"))?.file_name();
        if name != LOCK_NAME && name != *half {
            return Err(DataError::NotEmpty { path: path.to_owned() });
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match operation::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(DataError::io(path, "remove the file")),
    }
}

/// Removes the files below `directory` except the named ones; links are removed, not followed.
fn remove_except(directory: &Path, named: &BTreeSet<PathBuf>) -> Result<()> {
    let entries = match directory.read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(DataError::io(directory, "list the directory"))?,
    };
    for entry in entries {
        let entry = entry.map_err(DataError::io(directory, "list the directory"))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(DataError::io(&path, "look at the file"))?;
        if kind.is_dir() {
            remove_except(&path, named)?;
        } else if !named.contains(&path) {
            operation::remove_file(&path).map_err(DataError::io(&path, "remove the file"))?;
        }
    }
    Ok(())
}
