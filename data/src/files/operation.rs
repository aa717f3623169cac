//! Every file operation that changes something, in one place: so that tests can make any of them fail, or end the
//! process before it.
//!
//! Without the feature `fault-injection` these are the operations of the standard library and nothing else. With it,
//! two environment variables count them over the whole process, from 1: before operation `SPFDE_ABORT_AT` the process
//! aborts (a write is torn: half of its bytes are written), and from operation `SPFDE_FAIL_AT` on all of them fail as
//! if the disk were full.

use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;

#[cfg(feature = "fault-injection")]
mod injection {
    use std::io::{Error, ErrorKind, Result};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static COUNT: AtomicU64 = AtomicU64::new(0);

    fn variable(name: &'static str, cell: &'static OnceLock<Option<u64>>) -> Option<u64> {
        *cell.get_or_init(|| std::env::var(name).ok()?.parse().ok())
    }

    /// How many operations there have been in this process.
    pub fn count() -> u64 {
        COUNT.load(Ordering::SeqCst)
    }

    /// Counts an operation; `torn` is what still happens of it before the process aborts.
    pub(super) fn count_one(torn: impl FnOnce()) -> Result<()> {
        static ABORT: OnceLock<Option<u64>> = OnceLock::new();
        static FAIL: OnceLock<Option<u64>> = OnceLock::new();
        let number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
        if variable("SPFDE_ABORT_AT", &ABORT) == Some(number) {
            torn();
            std::process::abort();
        }
        match variable("SPFDE_FAIL_AT", &FAIL) {
            Some(first) if first <= number => Err(Error::from(ErrorKind::StorageFull)),
            _ => Ok(()),
        }
    }
}

#[cfg(feature = "fault-injection")]
pub use injection::count;

#[cfg(not(feature = "fault-injection"))]
mod injection {
    pub(super) fn count_one(_: impl FnOnce()) -> std::io::Result<()> {
        Ok(())
    }
}

use injection::count_one;

/// A file that is written.
#[derive(Debug)]
pub(super) struct Written(File);

impl Written {
    /// Creates the file, or empties it.
    pub(super) fn create(path: &Path) -> Result<Self> {
        count_one(|| ())?;
        Ok(Self(File::create(path)?))
    }

    /// Makes its content durable.
    pub(super) fn sync(&self) -> Result<()> {
        count_one(|| ())?;
        self.0.sync_all()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        count_one(|| drop((&self.0).write_all(&bytes[..bytes.len() / 2])))?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

/// Gives a file another name, replacing what has it.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    count_one(|| ())?;
    std::fs::rename(from, to)
}

/// Removes a file.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    count_one(|| ())?;
    std::fs::remove_file(path)
}

/// Creates a directory in an existing one.
pub(super) fn create_directory(path: &Path) -> Result<()> {
    count_one(|| ())?;
    std::fs::create_dir(path)
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    count_one(|| ())?;
    File::open(path)?.sync_all()
}
