//! A run in use is held by a lock of the operating system, which goes away with the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::WRITTEN;
use crate::files::error::{DataError, Result};
use crate::files::identity::Identity;
use crate::files::read_limited::inside;

/// Name of the lock file within a run directory. Its content, the holder's process id, is for messages only.
pub(super) const LOCK_NAME: &str = "lock";

/// How often, and how long after another, whoever finds a lock that others only look at tries to take it.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Holds a run directory until it is dropped.
#[derive(Debug)]
pub(in crate::files) struct RunLock {
    file: File,
    path: PathBuf,
    run: PathBuf,
    /// The run's directory, open, so that no other has its number: as far as the system opens directories.
    directory: Option<File>,
}

impl Drop for RunLock {
    /// Closing the file would not be enough: a program that another thread is just starting has it open, too, for a moment.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
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
        if !new && is_no_lock(&path) {
            let reason = "it is not an ordinary file; remove it";
            let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, reason);
            return Err(DataError::io(&path, "lock")(error));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        if new {
            options.create_new(true);
        }
        let mut file = options.open(&path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => DataError::NotEmpty { path: run.to_owned() },
            _ if path.exists() => DataError::io(&path, "open the lock file to write")(error),
            _ => DataError::io(&path, "create the lock file")(error),
        })?;
        match lock(&file, || std::thread::sleep(PAUSE)) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataError::Locked { path: run.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(DataError::io(&path, "lock")(error)),
        }
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .inspect_err(|_| {
                // It is this process's, and nobody's run.
                if new {
                    let _ = std::fs::remove_file(&path);
                }
            })
            .map_err(DataError::io(&path, "write the process id"))?;
        Ok(Self { file, path, run: run.to_owned(), directory: File::open(run).ok() })
    }

    /// The lock file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error if the lock file is no longer the one that is held: the run directory is another, or none, and whatever is written
    /// there belongs to no run, or to somebody else's; or only the file is gone, and others may take the run. Only Unix tells.
    pub(in crate::files) fn still_there(&self) -> Result<()> {
        let io = |error| DataError::io(&self.path, "look at the lock file")(error);
        let held = self.file.metadata().map(|file| Identity::of(&file)).map_err(io)?;
        match Identity::at(&self.path) {
            Ok(found) if found == held => Ok(()),
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Err(io(error))
            }
            _ if self.is_in_place() => Err(DataError::LockGone { path: self.path.clone() }),
            _ => Err(DataError::RunGone { path: self.run.clone() }),
        }
    }

    /// Whether the run is where it was, with all that was written before its first epoch.
    fn is_in_place(&self) -> bool {
        let held = self.directory.as_ref().and_then(|directory| directory.metadata().ok());
        let found = self.run.metadata().ok();
        found.zip(held).is_some_and(|(found, held)| Identity::of(&found) == Identity::of(&held))
            && WRITTEN.iter().all(|name| self.run.join(name).is_file())
    }
}

/// Locks the file, unless somebody holds it. Others may look at it in this moment, such as those who follow the run: they have
/// it for a moment each, and are not whom a message should name: they are waited for with `pause`.
fn lock(file: &File, mut pause: impl FnMut()) -> std::result::Result<(), TryLockError> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                file.try_lock_shared()?;
                file.unlock().map_err(TryLockError::Error)?;
                pause();
            }
            taken => return taken,
        }
    }
    file.try_lock()
}

/// An error naming the holder if the lock file `name` of the run directory `run` is held; changes nothing.
pub(super) fn refuse_held(run: &Path, name: &str) -> Result<()> {
    let path = inside(run, name)?;
    if is_no_lock(&path) {
        return Ok(());
    }
    let mut file = File::open(&path).map_err(DataError::io(&path, "open the lock file"))?;
    match look(&path, touch(&file))? {
        true => Err(DataError::Locked { path: run.to_owned(), holder: holder(&mut file) }),
        false => Ok(()),
    }
}

/// Whether some process holds the run directory `run`; changes nothing.
pub(super) fn is_held(run: &Path) -> Result<bool> {
    let path = inside(run, LOCK_NAME)?;
    if is_no_lock(&path) {
        return Ok(false);
    }
    let file = match File::open(&path) {
        // A file that is taken for a directory is told by whoever reads it.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        file => file.map_err(DataError::io(&path, "open the lock file"))?,
    };
    look(&path, touch(&file))
}

/// Takes the lock for a moment, shared with others who look.
fn touch(file: &File) -> std::result::Result<(), TryLockError> {
    file.try_lock_shared()?;
    file.unlock().map_err(TryLockError::Error)
}

/// Whether the lock file `path` is held, by what became of taking it for a moment, shared with others who look: of a file that
/// is open for reading only, a file system that is shared may grant no other lock. What it does not tell is no "free".
fn look(path: &Path, taken: std::result::Result<(), TryLockError>) -> Result<bool> {
    match taken {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(DataError::io(path, "look at the lock")(error)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn what_is_no_file_is_no_lock() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join(LOCK_NAME);
        let refused = || {
            let error = RunLock::take(run.path(), false).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{}: cannot lock: it is not an ordinary file; remove it", path.display())
            );
        };
        std::fs::create_dir(&path).unwrap();
        refused();
        std::fs::remove_dir(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        refused();
        std::fs::remove_file(&path).unwrap();
        drop(RunLock::take(run.path(), false).unwrap());
    }

    #[test]
    fn who_only_looks_holds_nothing() {
        let run = tempfile::tempdir().unwrap();
        let lock = RunLock::take_named(run.path(), "lock-01", true).unwrap();
        let refused = refuse_held(run.path(), "lock-01").unwrap_err();
        assert!(matches!(refused, DataError::Locked { .. }), "{refused}");
        drop(lock);
        let looking = File::open(run.path().join("lock-01")).unwrap();
        looking.try_lock_shared().unwrap();
        refuse_held(run.path(), "lock-01").unwrap();
    }

    #[test]
    fn who_only_looks_keeps_nobody_from_taking_it() {
        let run = tempfile::tempdir().unwrap();
        drop(RunLock::take(run.path(), true).unwrap());
        let open = || File::options().read(true).write(true).open(run.path().join(LOCK_NAME)).unwrap();
        let (looking, taking) = (open(), open());
        looking.try_lock_shared().unwrap();
        let mut pauses = 0;
        lock(&taking, || {
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
        assert!(matches!(lock(&taking, || ()), Err(TryLockError::WouldBlock)));
    }

    #[test]
    fn what_is_dropped_is_free_though_another_has_the_file_open_still() {
        let run = tempfile::tempdir().unwrap();
        let lock = RunLock::take(run.path(), true).unwrap();
        // As a program does that is being started.
        let _inherited = lock.file.try_clone().unwrap();
        assert!(is_held(run.path()).unwrap());
        drop(lock);
        assert!(!is_held(run.path()).unwrap());
        drop(RunLock::take(run.path(), false).unwrap());
    }

    #[test]
    fn a_lock_of_which_the_system_does_not_tell_is_not_free() {
        assert!(!look(Path::new("run/lock"), Ok(())).unwrap());
        assert!(look(Path::new("run/lock"), Err(TryLockError::WouldBlock)).unwrap());
        let unknown = std::io::Error::new(ErrorKind::Unsupported, "no locks here");
        let error = look(Path::new("run/lock"), Err(TryLockError::Error(unknown))).unwrap_err();
        assert_eq!(error.to_string(), "run/lock: cannot look at the lock: no locks here");
    }
}
