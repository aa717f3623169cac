//! A run in use is held by a lock of the operating system, which goes away with the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::files::error::{DataError, Result};
use crate::files::read_limited::inside;

/// Name of the lock file within a run directory. Its content, the holder's process id, is for messages only.
pub(super) const LOCK_NAME: &str = "lock";

/// Holds a run directory until it is dropped.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Locks the run directory `run`. With `new`, the lock file must not exist: of two processes that create a run
    /// in the same empty directory only one succeeds.
    pub(super) fn take(run: &Path, new: bool) -> Result<Self> {
        Self::take_named(run, LOCK_NAME, new)
    }

    /// As [`RunLock::take`], with the lock file `name`.
    pub(super) fn take_named(run: &Path, name: &str, new: bool) -> Result<Self> {
        // A link would have whatever it leads to emptied.
        let path = inside(run, name)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        if new {
            options.create_new(true);
        }
        let mut file = options.open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => DataError::NotEmpty { path: run.to_owned() },
            _ => DataError::io(&path, "create the lock file")(error),
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataError::Locked { path: run.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(DataError::io(&path, "lock")(error)),
        }
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(DataError::io(&path, "write the process id"))?;
        Ok(Self { _file: file })
    }
}

/// An error naming the holder if the lock file `name` of the run directory `run` is held; changes nothing.
pub(super) fn refuse_held(run: &Path, name: &str) -> Result<()> {
    let path = inside(run, name)?;
    if is_no_lock(&path) {
        return Ok(());
    }
    let mut file = File::open(&path).map_err(DataError::io(&path, "open the lock file"))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(DataError::Locked { path: run.to_owned(), holder: holder(&mut file) })
        }
        _ => Ok(()),
    }
}

/// Whether some process holds the run directory `run`; changes nothing.
///
/// A lock that is free is taken for a moment, shared with others who look.
pub(super) fn is_held(run: &Path) -> Result<bool> {
    let path = inside(run, LOCK_NAME)?;
    if is_no_lock(&path) {
        return Ok(false);
    }
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        file => file.map_err(DataError::io(&path, "open the lock file"))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(DataError::io(&path, "look at the lock")(error)),
    }
}

/// Whether something else than a file has the name of a lock: opening a pipe would wait for a writer.
fn is_no_lock(path: &Path) -> bool {
    path.exists() && !path.is_file()
}

/// Who holds the lock, as far as the lock file tells.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(id)) => format!("process {id}"),
        _ => "another process".to_owned(),
    }
}
