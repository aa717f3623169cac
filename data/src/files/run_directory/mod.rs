//! The directory of a run: created once, held by one process, committed epoch by epoch.

mod commit;
mod environment;
mod lock;
mod members;
mod recorded;
mod sweep;
mod taken;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::files::atomic;
use crate::files::checkpoint::{self, Checkpoints};
use crate::files::error::{DataError, Result};
use crate::files::held::Held;
use crate::files::layout;
pub use crate::files::layout::{CONFIG_NAME, ENVIRONMENT_NAME};
use crate::files::manifest::{MANIFEST_NAME, Manifest, ReplayOf};
use crate::files::operation;
use crate::files::parquet_store::ParquetStore;
use lock::LOCK_NAME;
pub(super) use lock::RunLock;
pub use recorded::{RecordedRun, read_config};
use sweep::{remove_empty, remove_if_there};
pub use taken::{refuse_taken, taken};

pub use members::{KEY_BYTES, Member, read_key, remove_key, write_key};

/// The files beside those that the manifest names.
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
    lock: Arc<RunLock>,
}

impl RunDirectory {
    /// Creates the directory of a run, or takes an empty one: writes `config.toml` (the text `config`), then
    /// `environment.json`, then the manifest, in which nothing is committed.
    ///
    /// A directory with anything in it is refused and left as it is, but for what a process leaves that died before
    /// it had written the configuration.
    ///
    /// # Errors
    /// If it is taken, or something cannot be written, such as on a full disk: nothing of the run is left then.
    ///
    /// # Panics
    /// If `environment` is not a JSON object with fields.
    pub fn create(
        path: &Path,
        config: &str,
        environment: &serde_json::Value,
        manifest: Manifest,
    ) -> Result<Self> {
        let existed = path.is_dir();
        let created = atomic::create_directory(path)
            .and_then(|()| Self::create_in(path, existed, config, environment, manifest));
        created.inspect_err(|_| {
            if !existed {
                // Only if it is empty.
                let _ = operation::remove_directory(path);
            }
        })
    }

    /// As [`RunDirectory::create`], in a directory that is there, and may have `existed` before.
    fn create_in(
        path: &Path,
        existed: bool,
        config: &str,
        environment: &serde_json::Value,
        manifest: Manifest,
    ) -> Result<Self> {
        let begun = path.join(LOCK_NAME).is_file();
        if begun {
            // Whoever uses it is worth naming.
            lock::refuse_held(path, LOCK_NAME)?;
        }
        refuse_taken(path)?;
        let lock = RunLock::take(path, !begun)?;
        refuse_taken(path)?;
        let run = Self::new(path, existed, config, manifest, lock);
        let written = atomic::write(&path.join(CONFIG_NAME), config.as_bytes());
        match written.and_then(|()| run.begin(environment)) {
            Ok(()) => Ok(run),
            Err(error) => {
                run.abandon();
                Err(error)
            }
        }
    }

    /// Takes up a run whose process died after it had written the configuration, and before the manifest: nothing is
    /// committed, so it begins again.
    ///
    /// # Errors
    /// If there is a manifest: then [`RunDirectory::resume`] goes on from it. If there are files of a trace or of
    /// checkpoints: they are written after the manifest, so it was lost, and nothing tells which of them count.
    ///
    /// # Panics
    /// As [`RunDirectory::create`].
    pub fn begin_again(path: &Path, environment: &serde_json::Value, manifest: Manifest) -> Result<Self> {
        let lock = Self::take_up(path)?;
        if path.join(MANIFEST_NAME).exists() {
            return Err(DataError::Exists { path: path.join(MANIFEST_NAME) });
        }
        if let Some(found) = layout::first_file(path)? {
            return Err(DataError::ManifestLost { path: path.to_owned(), found });
        }
        let config = read_config(path)?;
        let run = Self::new(path, true, &config, manifest, lock);
        run.begin(environment)?;
        Ok(run)
    }

    /// A run with the configuration `config` of which nothing is written yet.
    fn new(path: &Path, existed: bool, config: &str, mut manifest: Manifest, lock: RunLock) -> Self {
        manifest.sealed_environment = true;
        manifest.configuration = Some(blake3::hash(config.as_bytes()).to_hex().to_string());
        Self { path: path.to_owned(), existed, manifest: Mutex::new(manifest), lock: Arc::new(lock) }
    }

    /// Writes what follows the configuration.
    fn begin(&self, environment: &serde_json::Value) -> Result<()> {
        environment::write(&self.path, environment)?;
        self.state().write(&self.path)?;
        self.remove_unnamed()
    }

    /// Removes what [`RunDirectory::create`] has written. Why it fails matters more than that something may stay.
    fn abandon(&self) {
        let _ = remove_if_there(&self.path.join(MANIFEST_NAME));
        // As far as the disk lets it: after a power cut there should be no manifest without the rest.
        let _ = atomic::sync_directory(&self.path);
        let _ = self.remove_own();
    }

    /// Takes a run up again where its manifest ends, and removes what the manifest does not name.
    pub fn resume(path: &Path) -> Result<Self> {
        Manifest::read(path)?;
        let lock = Self::take_up(path)?;
        // Once more: until the lock was taken another process may have gone on.
        let mut manifest = Manifest::read(path)?;
        manifest.stopped = None;
        let run = Self {
            path: path.to_owned(),
            existed: true,
            manifest: Mutex::new(manifest),
            lock: Arc::new(lock),
        };
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
        ParquetStore::of_held(&self.path, Held::by(&self.lock))
    }

    /// The files of the run's checkpoints.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::of_held(&self.path, Held::by(&self.lock))
    }

    /// The manifest as it is on disk, or will be when it is written next.
    pub fn manifest(&self) -> Manifest {
        self.state().clone()
    }

    /// An error if the directory is no longer the one that this process holds: it was removed, moved or replaced, or nothing keeps
    /// others from it any more. Only Unix tells.
    pub fn still_there(&self) -> Result<()> {
        self.lock.still_there()
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
    ///
    /// # Panics
    /// As [`RunDirectory::create`].
    pub fn write_environment(&self, environment: &serde_json::Value) -> Result<()> {
        self.still_there()?;
        environment::write(&self.path, environment)?;
        // Until a manifest says so on disk, one without a seal is believed, too.
        self.state().sealed_environment = true;
        Ok(())
    }

    /// Ends the work on the run and removes what the manifest does not name. The run is finished unless `stopped`
    /// says why it stopped before its end.
    pub fn finish(&self, stopped: Option<String>) -> Result<()> {
        self.still_there()?;
        // First of all: on a full disk it makes room for the manifest.
        let checkpoints = self.path.join(checkpoint::FOLDER);
        let removed = self.remove_unnamed().and_then(|()| sweep::sync_removals(&checkpoints));
        self.change(|manifest| {
            manifest.finished = stopped.is_none();
            manifest.stopped = stopped;
        })?;
        removed?;
        remove_empty(&checkpoints);
        Ok(())
    }

    /// Gives up a run of which nothing is to be kept: removes the manifest, then all that the run wrote, then the
    /// directory, unless it was there before or something else lies in it. Nothing can be written to it afterwards.
    pub fn discard(&self) -> Result<()> {
        self.still_there()?;
        remove_if_there(&self.path.join(MANIFEST_NAME))?;
        // After a power cut there must be no manifest that names what is gone.
        atomic::sync_directory(&self.path)?;
        sweep::remove_all(&self.path)?;
        members::sweep(&self.path)?;
        self.remove_own()?;
        if !self.existed {
            remove_empty(&self.path);
        }
        Ok(())
    }

    /// Removes what was written before the manifest, the last first: whatever is left if the process dies can be taken up.
    fn remove_own(&self) -> Result<()> {
        [ENVIRONMENT_NAME, CONFIG_NAME, LOCK_NAME]
            .into_iter()
            .try_for_each(|name| remove_if_there(&self.path.join(name)))
    }

    /// Removes what the manifest does not name.
    fn remove_unnamed(&self) -> Result<()> {
        sweep::remove_unnamed(&self.path, &self.state(), &WRITTEN)
    }

    /// Changes the manifest: on disk first, then in memory, so that a failure changes neither.
    fn change(&self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        // Writers create the directories that they miss: a directory that was removed would be written anew, without the rest.
        self.still_there()?;
        let mut manifest = self.state();
        let mut next = manifest.clone();
        change(&mut next);
        next.write(&self.path)?;
        *manifest = next;
        Ok(())
    }

    /// The manifest is replaced whole, so that a panic elsewhere leaves it valid.
    fn state(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
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
