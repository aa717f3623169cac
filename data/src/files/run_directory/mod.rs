//! The directory of a run: created once, held by one process, committed epoch by epoch.

mod begin;
mod commit;
mod lock;
mod members;
mod recorded;
mod sweep;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::files::layout::{ARCHITECTURE_NAME, CHECKPOINT, LOCK_NAME, MANIFEST_NAME, START_NAME};
pub use crate::files::layout::{CONFIG_NAME, ENVIRONMENT_NAME};
use crate::files::{Manifest, ParquetStore, ReplayOf, Result, atomic};
pub use begin::{Beginning, refuse_taken, taken};
use lock::RunLock;
pub use lock::{Hold, is_held};
pub use members::{KEY_BYTES, Member, read_key, remove_key, write_key};
pub use recorded::{RecordedRun, read_config};
use sweep::{remove_empty, remove_if_there};

/// The files beside those that the manifest names, in the order in which they are written.
const WRITTEN: [&str; 5] = [CONFIG_NAME, ARCHITECTURE_NAME, START_NAME, ENVIRONMENT_NAME, MANIFEST_NAME];

/// How many checkpoints a run keeps: should the latest be damaged, there is the one before it.
pub const CHECKPOINTS_KEPT: usize = 2;

/// A run that this process writes. Dropped, it releases the directory; what was committed stays.
///
/// If the directory is removed, moved or replaced meanwhile, the next commit is an error, and nothing is
/// written to the manifest of another run.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Whether the directory was there before the run.
    existed: bool,
    manifest: Mutex<Manifest>,
    lock: RunLock,
}

impl RunDirectory {
    /// Takes a run up again where its manifest ends, and removes what the manifest does not name.
    ///
    /// # Errors
    /// If there is no run, or it was begun by an earlier version ([`crate::files::Kind::OldRun`]), or
    /// another process has it.
    pub fn resume(path: &Path) -> Result<Self> {
        Self::open(path)?.refuse_old()?;
        let lock = Self::take_up(path)?;
        // Once more: until the lock was taken another process may have gone on.
        let mut manifest = Manifest::read(path)?;
        manifest.stopped = None;
        let run = Self { path: path.to_owned(), existed: true, manifest: Mutex::new(manifest), lock };
        run.remove_unnamed()?;
        Ok(run)
    }

    /// Locks a run that was begun before. Other processes that worked on it may outlive the one that held it:
    /// as long as one does, it is in use.
    fn take_up(path: &Path) -> Result<RunLock> {
        let lock = RunLock::take(path, LOCK_NAME, false)?;
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
        ParquetStore::new(&self.path)
    }

    /// The manifest as it is on disk, or will be when it is written next.
    pub fn manifest(&self) -> Manifest {
        self.state().clone()
    }

    /// Goes back to the start of `epoch`: what was committed of it and later is dropped, to be trained again,
    /// and so are later checkpoints.
    pub fn rewind(&self, epoch: u32) -> Result<()> {
        self.change(|manifest| {
            manifest.epochs_reached = manifest.epochs_reached.min(epoch);
            manifest.segments.retain(|segment| segment.epoch < epoch);
            manifest.checkpoints.retain(|checkpoint| checkpoint.epoch <= epoch);
            manifest.best.retain(|file| file.epoch <= epoch);
            manifest.finished = false;
            manifest.ended_early = None;
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
        self.lock.check()?;
        recorded::write_environment(&self.path, environment)?;
        // Until a manifest says so on disk, one without a seal is believed, too.
        self.state().sealed_environment = true;
        Ok(())
    }

    /// Ends the work on the run and removes what the manifest does not name. The run is finished unless
    /// `stopped` says why it stopped before its end.
    pub fn finish(&self, stopped: Option<String>) -> Result<()> {
        self.end(|manifest| {
            // One that came to its end with an epoch that is committed has not stopped before it.
            let stopped = stopped.filter(|_| manifest.ended_early.is_none());
            manifest.finished = stopped.is_none();
            manifest.stopped = stopped;
        })
    }

    /// As [`RunDirectory::finish`], of the replay of a run that came to its end before its last epoch, for
    /// this `reason`; a run that trains commits it with that epoch.
    pub fn finish_early(&self, reason: String) -> Result<()> {
        self.end(|manifest| {
            manifest.finished = true;
            manifest.ended_early = Some(reason);
        })
    }

    fn end(&self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        self.lock.check()?;
        // First of all: on a full disk it makes room for the manifest.
        let removed = self.remove_unnamed();
        self.change(change)?;
        removed?;
        remove_empty(&self.path.join(CHECKPOINT));
        Ok(())
    }

    /// Gives up a run of which nothing is to be kept: removes the manifest, then all that the run wrote, then
    /// the directory, unless it was there before or something else lies in it. Nothing can be written to it
    /// afterwards.
    pub fn discard(&self) -> Result<()> {
        self.lock.check()?;
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

    /// Removes what was written before the manifest, the last first: whatever is left if the process dies can
    /// be taken up.
    fn remove_own(&self) -> Result<()> {
        let names = [ENVIRONMENT_NAME, START_NAME, ARCHITECTURE_NAME, CONFIG_NAME, LOCK_NAME];
        names.into_iter().try_for_each(|name| remove_if_there(&self.path.join(name)))
    }

    /// Removes what the manifest does not name.
    fn remove_unnamed(&self) -> Result<()> {
        sweep::remove_unnamed(&self.path, &self.state(), &WRITTEN)
    }

    /// Changes the manifest: on disk first, then in memory, so that a failure changes neither.
    fn change(&self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        self.lock.check()?;
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

/// The first free directory `<root>/<model>-<seed>-<n>`, n from 1.
pub fn default_directory(root: &Path, model: &str, seed: u64) -> PathBuf {
    let mut candidates = (1_u64..).map(|n| root.join(format!("{model}-{seed}-{n}")));
    candidates.find(|path| path.symlink_metadata().is_err()).expect("some number is free")
}
