//! Processes that work in a run directory beside the one that holds it. Each has a lock of its own, so that
//! no process takes the run up again while one of them may still write.

use std::path::{Path, PathBuf};

use super::lock::{self, PAUSE, RunLock, TRIES_TO_TAKE_UP};
use super::sweep::remove_if_there;
use crate::files::layout::{KEY_NAME, MEMBER_PREFIX, entries, is_of_members, member_lock};
use crate::files::{Kind, Result, atomic, check_length, inside, operation, read_limited};

/// Bytes of the file by which a process shows that it sees the run directory.
pub const KEY_BYTES: usize = 32;

/// A process that writes segments of a run that another process holds. Dropped, it is done with them.
#[derive(Debug)]
pub struct Member {
    run: PathBuf,
    lock: RunLock,
}

impl Member {
    /// Joins the run in the directory `run` as process number `process`.
    ///
    /// # Errors
    /// If a process of this number works there already.
    pub fn join(run: &Path, process: usize) -> Result<Self> {
        let lock = RunLock::take(run, &member_lock(process), false)?;
        Ok(Self { run: run.to_owned(), lock })
    }

    /// The run directory.
    pub fn run(&self) -> &Path {
        &self.run
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // The member removes its file while it still holds the lock: once that is free, another process may
        // take it. A file of another process is not this member's to remove.
        if self.lock.check().is_ok() {
            let _ = operation::remove_file(&self.lock.path);
        }
    }
}

/// The files of members that lie in the directory `run`.
fn files(run: &Path) -> Result<Vec<String>> {
    let names = entries(run)?.into_iter().map(|entry| entry.file_name());
    Ok(names.filter(|name| is_of_members(name)).filter_map(|name| name.into_string().ok()).collect())
}

/// An error that names the process if one still works in the directory `run`, and goes on to; changes
/// nothing.
pub(super) fn refuse_working(run: &Path) -> Result<()> {
    let names = files(run)?;
    let locks = names.iter().filter(|name| name.starts_with(MEMBER_PREFIX));
    let refused = || locks.clone().try_for_each(|name| lock::refuse_held(run, name));
    for _ in 1..TRIES_TO_TAKE_UP {
        match refused() {
            Err(error) if error.is(Kind::Locked) => std::thread::sleep(PAUSE),
            free => return free,
        }
    }
    refused()
}

/// Removes what members that died left in the directory `run`. No member works there any more.
pub(super) fn sweep(run: &Path) -> Result<()> {
    files(run)?.iter().try_for_each(|name| remove_if_there(&run.join(name)))
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
    remove_if_there(&run.join(KEY_NAME))
}

/// Reads the file in the directory `run` by which a process shows that it sees the directory.
pub fn read_key(run: &Path) -> Result<[u8; KEY_BYTES]> {
    let path = inside(run, KEY_NAME)?;
    let bytes = read_limited(&path, KEY_BYTES as u64)?;
    check_length(&path, bytes.len() as u64, KEY_BYTES as u64)?;
    Ok(bytes.try_into().expect("the length was checked"))
}
