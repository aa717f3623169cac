//! Processes that work in a run directory beside the one that holds it: each has a lock of its own, so that nobody takes
//! the run up again while one of them may still write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lock::{self, RunLock};
use crate::files::atomic;
use crate::files::checkpoint::Checkpoints;
use crate::files::error::{DataError, Result};
use crate::files::held::Held;
use crate::files::operation;
use crate::files::parquet_store::ParquetStore;
use crate::files::read_limited::{inside, read_limited};

/// What the names of their locks begin with; the process's number follows.
const PREFIX: &str = "lock-";

/// Name of the file by which a process shows that it sees the run directory.
const KEY_NAME: &str = "processes.key";

/// Bytes of that file.
pub const KEY_BYTES: usize = 32;

/// A process that writes segments of a run that another process holds. Dropped, it is done with them.
#[derive(Debug)]
pub struct Member {
    run: PathBuf,
    lock: Arc<RunLock>,
}

impl Member {
    /// Joins the run in the directory `run` as process number `process`.
    ///
    /// # Errors
    /// If a process of this number works there already.
    pub fn join(run: &Path, process: usize) -> Result<Self> {
        let name = format!("{PREFIX}{process:02}");
        let held = RunLock::take_named(run, &name, false)?;
        Ok(Self { run: run.to_owned(), lock: Arc::new(held) })
    }

    /// The run directory.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The store for the segments that this process writes.
    pub fn store(&self) -> ParquetStore {
        ParquetStore::of_held(&self.run, Held::by(&self.lock))
    }

    /// The files of checkpoints that this process writes.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::of_held(&self.run, Held::by(&self.lock))
    }

    /// As [`RunDirectory::still_there`](super::RunDirectory::still_there).
    pub fn still_there(&self) -> Result<()> {
        self.lock.still_there()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // While it is still locked: whoever finds it afterwards finds a file that nobody holds. Another's is not this one's to remove.
        if self.still_there().is_ok() {
            let _ = operation::remove_file(self.lock.path());
        }
    }
}

/// Whether a file of a run directory belongs to its members.
fn is_of_members(name: &str) -> bool {
    name.starts_with(PREFIX) || name == KEY_NAME || name == format!("{KEY_NAME}.part")
}

/// The files of members that lie in the directory `run`.
fn files(run: &Path) -> Result<Vec<String>> {
    let entries = run.read_dir().map_err(DataError::io(run, "list the directory"))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(DataError::io(run, "list the directory"))?.file_name();
        names.extend(name.into_string().ok().filter(|name| is_of_members(name)));
    }
    Ok(names)
}

/// An error that names the process if one still works in the directory `run`; changes nothing.
pub(super) fn refuse_working(run: &Path) -> Result<()> {
    let locks = files(run)?.into_iter().filter(|name| name.starts_with(PREFIX));
    for name in locks {
        match lock::refuse_held(run, &name) {
            // It has just ended.
            Err(DataError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => (),
            refused => refused?,
        }
    }
    Ok(())
}

/// Removes what members that died left in the directory `run`. Nobody works there.
pub(super) fn sweep(run: &Path) -> Result<()> {
    files(run)?.iter().try_for_each(|name| super::remove_if_there(&run.join(name)))
}

/// Puts the file into the directory `run` by which others show that they see it.
pub fn write_key(run: &Path, key: &[u8; KEY_BYTES]) -> Result<()> {
    atomic::write(&run.join(KEY_NAME), key)
}

/// Removes it.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn remove_key(run: &Path) -> Result<()> {
    super::remove_if_there(&run.join(KEY_NAME))
}

/// Reads the file in the directory `run` by which a process shows that it sees the directory.
pub fn read_key(run: &Path) -> Result<[u8; KEY_BYTES]> {
    let path = inside(run, KEY_NAME)?;
    let bytes = read_limited(&path, KEY_BYTES as u64)?;
    let found = bytes.len() as u64;
    bytes.try_into().map_err(|_| DataError::Length { path, found, expected: KEY_BYTES as u64 })
}
