//! A run in use is held by a lock of the operating system, which goes away with the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::begin::not_empty;
use crate::files::layout::LOCK_NAME;
use crate::files::{DataError, Kind, Result, inside};

/// How long after another a process that finds a lock held tries again, and how often: others may only look
/// at it for a moment. That of a run that is taken up again may be of a process that was just killed, which
/// holds it until the system has cleared its memory.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
const TRIES: u32 = 20;
pub(super) const TRIES_TO_TAKE_UP: u32 = 200;

/// Holds a run directory until it is dropped.
#[derive(Debug)]
pub(super) struct RunLock {
    file: File,
    /// The lock file.
    pub(super) path: PathBuf,
}

impl Drop for RunLock {
    /// Closing the file would not be enough: a program that another thread is just starting has it open, too,
    /// for a moment.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl RunLock {
    /// Locks the file `name` in the run directory `run`. With `new`, it must not exist: of two processes that
    /// create a run in the same empty directory only one succeeds.
    pub(super) fn take(run: &Path, name: &str, new: bool) -> Result<Self> {
        // A link would have whatever it leads to emptied.
        let path = inside(run, name)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).create_new(new).truncate(false);
        let mut file = options.open(&path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => not_empty(run),
            _ => DataError::io(&path, "open the lock file to write")(error),
        })?;
        let tries = if new { TRIES } else { TRIES_TO_TAKE_UP };
        lock(&file, tries, || std::thread::sleep(PAUSE)).map_err(|error| match error {
            TryLockError::WouldBlock => locked(run, &holder(&mut file)),
            TryLockError::Error(error) => DataError::io(&path, "lock")(error),
        })?;
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .inspect_err(|_| {
                // This process created the file, which belongs to no run.
                if new {
                    let _ = std::fs::remove_file(&path);
                }
            })
            .map_err(DataError::io(&path, "write the process id"))?;
        Ok(Self { file, path })
    }

    /// An error if the file at its path is not the one that is held: the run directory was removed, moved or
    /// replaced, and what is written there belongs to no run, or to another. Only Unix tells.
    pub(super) fn check(&self) -> Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let number = |file: std::fs::Metadata| (file.dev(), file.ino());
            let held = self.file.metadata().map_err(DataError::io(&self.path, "look at the lock file"))?;
            let found = self.path.symlink_metadata().ok().map(number);
            if found != Some(number(held)) {
                let reason = "the run directory was removed, moved or replaced while the run was written; a \
                              training that was moved can be resumed where it is now";
                return Err(DataError::io(&self.path, "find the lock of this run")(Error::other(reason)));
            }
        }
        Ok(())
    }
}

/// Locks the file, unless it is held each of so many times, with a `pause` between them. Others may look at
/// it in this moment, such as those who follow the run, and have it for a moment each.
fn lock(file: &File, tries: u32, mut pause: impl FnMut()) -> std::result::Result<(), TryLockError> {
    for _ in 1..tries {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => pause(),
            taken => return taken,
        }
    }
    file.try_lock()
}

/// An error naming the holder if the lock file `name` of the run directory `run` is held; changes nothing.
pub(super) fn refuse_held(run: &Path, name: &str) -> Result<()> {
    match held_by(run, name)? {
        Some(holder) => Err(locked(run, &holder)),
        None => Ok(()),
    }
}

/// Holds a directory that is none of a run, such as that of a sweep, as a run's is held: until the value is
/// dropped, or the process ends.
#[derive(Debug)]
#[expect(dead_code, reason = "it is there to be dropped")]
pub struct Hold(RunLock);

impl Hold {
    /// Holds the directory `path`, which exists.
    ///
    /// # Errors
    /// If another process does, or the lock file cannot be written.
    pub fn take(path: &Path) -> Result<Self> {
        RunLock::take(path, LOCK_NAME, false).map(Self)
    }
}

/// Whether some process holds the run directory `run`; changes nothing.
///
/// # Errors
/// If the system does not tell.
pub fn is_held(run: &Path) -> Result<bool> {
    Ok(held_by(run, LOCK_NAME)?.is_some())
}

/// The process that holds the lock file `name` of the run directory `run`, if one does; changes nothing.
pub(super) fn held_by(run: &Path, name: &str) -> Result<Option<String>> {
    let path = inside(run, name)?;
    let mut file = match File::open(&path) {
        // If a file is taken for a directory, the code that reads from it reports that.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file.map_err(DataError::io(&path, "open the lock file"))?,
    };
    // Shared with others who look: a file that is open for reading only may be granted no other lock.
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| None).map_err(DataError::io(&path, "look at the lock")),
        Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut file))),
        Err(TryLockError::Error(error)) => Err(DataError::io(&path, "look at the lock")(error)),
    }
}

/// That a process uses the run.
fn locked(run: &Path, holder: &str) -> DataError {
    let remedy = "wait for it to end (if it is stopped, wake it up), or choose another run directory";
    DataError::refused(run, format!("is in use by {holder}"), remedy).of(Kind::Locked)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_looks_holds_nothing() {
        let run = tempfile::tempdir().unwrap();
        let lock = RunLock::take(run.path(), "lock-01", true).unwrap();
        let refused = refuse_held(run.path(), "lock-01").unwrap_err();
        assert!(refused.is(Kind::Locked), "{refused}");
        drop(lock);
        let looking = File::open(run.path().join("lock-01")).unwrap();
        looking.try_lock_shared().unwrap();
        refuse_held(run.path(), "lock-01").unwrap();
    }

    #[test]
    fn a_run_that_is_taken_up_waits_for_one_that_has_just_been_killed() {
        let run = tempfile::tempdir().unwrap();
        let held = RunLock::take(run.path(), LOCK_NAME, true).unwrap();
        let (killed, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                told.recv().unwrap();
                // Longer than a lock that others only look at is waited for.
                std::thread::sleep(PAUSE * 3 * TRIES);
                drop(held);
            });
            killed.send(()).unwrap();
            RunLock::take(run.path(), LOCK_NAME, false).unwrap();
        });
    }

    #[test]
    fn who_only_looks_keeps_nobody_from_taking_it() {
        let run = tempfile::tempdir().unwrap();
        drop(RunLock::take(run.path(), LOCK_NAME, true).unwrap());
        let open = || File::options().read(true).write(true).open(run.path().join(LOCK_NAME)).unwrap();
        let (looking, taking) = (open(), open());
        looking.try_lock_shared().unwrap();
        let mut pauses = 0;
        lock(&taking, TRIES, || {
            pauses += 1;
            if pauses == 3 {
                looking.unlock().unwrap();
            }
        })
        .unwrap();
        assert_eq!(pauses, 3);
        taking.unlock().unwrap();
        // But not for ever.
        looking.try_lock_shared().unwrap();
        assert!(matches!(lock(&taking, TRIES, || ()), Err(TryLockError::WouldBlock)));
    }

    #[test]
    fn what_is_dropped_is_free_though_another_has_the_file_open_still() {
        let run = tempfile::tempdir().unwrap();
        let lock = RunLock::take(run.path(), LOCK_NAME, true).unwrap();
        // As a program does that is being started.
        let _inherited = lock.file.try_clone().unwrap();
        assert!(is_held(run.path()).unwrap());
        drop(lock);
        assert!(!is_held(run.path()).unwrap());
        drop(RunLock::take(run.path(), LOCK_NAME, false).unwrap());
    }
}
