//! Every file operation that changes something, but for the locks, in one place: so that tests can make any
//! of them fail, or end the process before it, or know what a disk has been told.
//!
//! Without the feature `fault-injection` these are the operations of the standard library and nothing else.
//! With it, environment variables count them over the whole process, from 1: before operation
//! `SPFDE_ABORT_AT` the process aborts (a write is torn: half of its bytes are written), and from operation
//! `SPFDE_FAIL_AT` on all of them fail as if the disk were full. From operation `SPFDE_FULL_AT` on all fail
//! but removals, which a full disk lets through. A fourth, `SPFDE_JOURNAL`, names a file that lists what was
//! done, in the order in which it was.

mod change;
#[cfg(feature = "fault-injection")]
mod injection;
#[cfg(feature = "fault-injection")]
mod journal;

use std::fs::File;
use std::io::{Result, Write};
use std::path::{Path, PathBuf};

pub use change::Change;
#[cfg(feature = "fault-injection")]
pub use injection::count;

/// A file that is written.
#[derive(Debug)]
pub(super) struct Written {
    file: File,
    path: PathBuf,
}

impl Written {
    /// Creates the file, or empties it.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = perform(Change::Create { path: path.into() }, || File::create(path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Makes its content durable.
    pub(super) fn sync(&self) -> Result<()> {
        perform(Change::Sync { path: (&*self.path).into() }, || self.file.sync_all())
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        // All of them, so that the journal knows what was written.
        let change = Change::Write { path: (&*self.path).into(), bytes: bytes.into() };
        perform(change, || (&self.file).write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

/// Gives a file another name, replacing what has it.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    perform(Change::Rename { from: from.into(), to: to.into() }, || std::fs::rename(from, to))
}

/// Removes a file.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    perform(Change::Remove { path: path.into() }, || std::fs::remove_file(path))
}

/// Removes a directory in which there is nothing.
pub(super) fn remove_directory(path: &Path) -> Result<()> {
    perform(Change::Remove { path: path.into() }, || std::fs::remove_dir(path))
}

/// Creates a directory in an existing one.
pub(super) fn create_directory(path: &Path) -> Result<()> {
    perform(Change::CreateDirectory { path: path.into() }, || std::fs::create_dir(path))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    perform(Change::SyncDirectory { path: path.into() }, || File::open(path)?.sync_all())
}

/// Does what `work` does, which is `change`, unless something is injected.
#[cfg(feature = "fault-injection")]
fn perform<T>(change: Change, work: impl FnOnce() -> Result<T>) -> Result<T> {
    injection::inject(&change)?;
    journal::around(&change, work)
}

#[cfg(not(feature = "fault-injection"))]
fn perform<T>(_: Change, work: impl FnOnce() -> Result<T>) -> Result<T> {
    work()
}
