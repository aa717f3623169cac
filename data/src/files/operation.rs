//! Every file operation that changes something, but for the locks, in one place: so that tests can make any
//! of them fail, or end the process before it, or know what a disk has been told.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// An operation: what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are what their variant says")]
pub enum Change<'a> {
    /// A file is created, or emptied.
    Create { path: Cow<'a, Path> },
    /// Bytes are appended to a file.
    Write { path: Cow<'a, Path>, bytes: Cow<'a, [u8]> },
    /// The content of a file is made durable.
    Sync { path: Cow<'a, Path> },
    /// A file gets another name.
    Rename { from: Cow<'a, Path>, to: Cow<'a, Path> },
    /// A file is removed, or an empty directory.
    Remove { path: Cow<'a, Path> },
    /// A directory is created.
    CreateDirectory { path: Cow<'a, Path> },
    /// The names in a directory are made durable.
    SyncDirectory { path: Cow<'a, Path> },
}

/// What tests put around every operation of a process: it is told of the operation before, and may refuse it;
/// what it returns is told afterwards, if the operation succeeded, and dropped if it did not.
pub type Around = fn(&Change) -> Result<Box<dyn FnOnce(&Change) -> Result<()>>>;

/// What stands around the operations of this process; nothing, unless a test sets it.
pub static AROUND: OnceLock<Around> = OnceLock::new();

/// Creates the file, or empties it.
pub(super) fn create(path: &Path) -> Result<File> {
    perform(Change::Create { path: path.into() }, || File::create(path))
}

/// Creates a file in a directory that has no name of its own there, and goes when it is closed.
pub(super) fn create_unnamed(directory: &Path) -> Result<File> {
    perform(Change::Create { path: directory.into() }, || tempfile::tempfile_in(directory))
}

/// Appends bytes to the file that was created as `path`.
pub(super) fn write(mut file: &File, path: &Path, bytes: &[u8]) -> Result<()> {
    perform(Change::Write { path: path.into(), bytes: bytes.into() }, || file.write_all(bytes))
}

/// Makes the content of the file durable that was created as `path`.
pub(super) fn sync(file: &File, path: &Path) -> Result<()> {
    perform(Change::Sync { path: path.into() }, || file.sync_all())
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

/// Does what `work` does, which is `change`.
fn perform<T>(change: Change, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let around = AROUND.get().map(|around| around(&change)).transpose()?;
    let done = work()?;
    around.map_or(Ok(()), |around| around(&change))?;
    Ok(done)
}
