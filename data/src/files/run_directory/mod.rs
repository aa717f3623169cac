//! The directory of a run: created once, held by one process, committed epoch by epoch.

mod lock;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::files::atomic;
use crate::files::error::{DataError, Result};
use crate::files::hash_file;
use crate::files::manifest::{self, CHECKPOINT_LIMIT, Checkpoint, MANIFEST_NAME, Manifest};
use crate::files::parquet_store::ParquetStore;
use crate::files::read_limited::read_limited;
use crate::segment::{Commit, Segment, StorageError};
use lock::{LOCK_NAME, RunLock};

/// Name of the resolved configuration within a run directory.
pub const CONFIG_NAME: &str = "config.toml";
/// Name of the description of machine and program within a run directory.
pub const ENVIRONMENT_NAME: &str = "environment.json";

/// Bytes of a configuration or environment file.
const TEXT_LIMIT: u64 = 16 << 20;

/// Directories whose files the manifest names; everything else in them is left over.
const NAMED: [&str; 2] = ["trace", "checkpoint"];

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
    /// A directory with anything in it is refused and left as it is.
    pub fn create(
        path: &Path,
        config: &str,
        environment: &serde_json::Value,
        manifest: Manifest,
    ) -> Result<Self> {
        let existed = path.is_dir();
        atomic::create_directory(path)?;
        let mut entries = path.read_dir().map_err(DataError::io(path, "list the directory"))?;
        if entries.next().is_some() {
            // Whoever uses it is worth naming.
            if path.join(LOCK_NAME).is_file() {
                lock::refuse_held(path)?;
            }
            return Err(DataError::NotEmpty { path: path.to_owned() });
        }
        let lock = RunLock::take(path, true)?;
        atomic::write(&path.join(CONFIG_NAME), config.as_bytes())?;
        let mut environment = serde_json::to_vec_pretty(environment).expect("a JSON value is JSON");
        environment.push(b'\n');
        atomic::write(&path.join(ENVIRONMENT_NAME), &environment)?;
        manifest.write(path)?;
        Ok(Self { path: path.to_owned(), existed, manifest: Mutex::new(manifest), _lock: lock })
    }

    /// Takes a run up again where its manifest ends, and removes what the manifest does not name.
    pub fn resume(path: &Path) -> Result<Self> {
        Manifest::read(path)?;
        let lock = RunLock::take(path, false)?;
        // Once more: until the lock was taken another process may have gone on.
        let mut manifest = Manifest::read(path)?;
        manifest.stopped = None;
        let run = Self { path: path.to_owned(), existed: true, manifest: Mutex::new(manifest), _lock: lock };
        run.remove_unnamed()?;
        Ok(run)
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

    /// Names a checkpoint file that is durable already: `path` is relative to the run directory, with `/` between its
    /// parts. The file is read once for its hash. A file of the same path named before is replaced.
    pub fn add_checkpoint(&self, epoch: u32, path: &str) -> Result<()> {
        let manifest = self.path.join(MANIFEST_NAME);
        manifest::check_path(&manifest, || "checkpoint".to_owned(), path)?;
        let (bytes, blake3) = hash_file(&self.path.join(path), CHECKPOINT_LIMIT)?;
        self.change(|manifest| {
            manifest.checkpoints.retain(|checkpoint| checkpoint.path != path);
            manifest.checkpoints.push(Checkpoint { epoch, path: path.to_owned(), bytes, blake3 });
            manifest.checkpoints.sort();
        })
    }

    /// Ends the work on the run and removes what the manifest does not name. The run is finished unless `stopped`
    /// says why it stopped before its end.
    pub fn finish(&self, stopped: Option<String>) -> Result<()> {
        self.change(|manifest| {
            manifest.finished = stopped.is_none();
            manifest.stopped = stopped;
        })?;
        self.remove_unnamed()
    }

    /// Gives up a run of which nothing is to be kept: removes the manifest, then all that the run wrote, then the
    /// directory, unless it was there before or something else lies in it. Nothing can be written to it afterwards.
    pub fn discard(&self) -> Result<()> {
        let remove = |path: PathBuf| match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(DataError::io(&path, "remove the file")(error))
            }
            _ => Ok(()),
        };
        remove(self.path.join(MANIFEST_NAME))?;
        for directory in NAMED {
            let directory = self.path.join(directory);
            remove_except(&directory, &BTreeSet::new())?;
            remove_empty(&directory);
        }
        [CONFIG_NAME, ENVIRONMENT_NAME, LOCK_NAME]
            .into_iter()
            .try_for_each(|name| remove(self.path.join(name)))?;
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
        NAMED.iter().try_for_each(|directory| remove_except(&self.path.join(directory), &named))
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
        let refuse = |reason: String| {
            let path = self.path.display().to_string();
            Err(StorageError { path, action: format!("commit epoch {epoch}"), reason })
        };
        let (reached, epochs) = {
            let manifest = self.lock();
            (manifest.epochs_reached, manifest.epochs)
        };
        if epoch != reached || epoch >= epochs {
            return refuse(format!("{reached} of {epochs} epochs are committed, in order"));
        }
        if let Some(segment) = segments.iter().find(|segment| segment.epoch != epoch) {
            return refuse(format!("{} is of epoch {}", segment.path, segment.epoch));
        }
        self.change(|manifest| {
            manifest.epochs_reached = epoch + 1;
            manifest.segments.extend(segments);
            manifest.segments.sort();
        })?;
        Ok(())
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

    /// The content of `environment.json`.
    pub fn environment(&self) -> Result<serde_json::Value> {
        let path = self.path.join(ENVIRONMENT_NAME);
        serde_json::from_str(&read_text(&path)?).map_err(|source| DataError::Json { path, source })
    }
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
            std::fs::remove_file(&path).map_err(DataError::io(&path, "remove the file"))?;
        }
    }
    Ok(())
}
