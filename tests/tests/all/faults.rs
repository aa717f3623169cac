//! File operations that fail, and processes that end at them; what a disk has been told, in order.
//!
//! Environment variables count the operations over the whole process, from 1: before operation
//! `SPFDE_ABORT_AT` the process aborts (a write is torn: half of its bytes are written), and from operation
//! `SPFDE_FAIL_AT` on all of them fail as if the disk were full. From operation `SPFDE_FULL_AT` on all fail
//! but removals, which a full disk lets through. A fourth, `SPFDE_JOURNAL`, names a file that lists what was
//! done, in the order in which it was.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use spfde_data::files::operation::{AROUND, Change};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// The operations at which to abort, from which on to fail, and from which on the disk is full.
static PLAN: LazyLock<[Option<u64>; 3]> = LazyLock::new(|| {
    ["SPFDE_ABORT_AT", "SPFDE_FAIL_AT", "SPFDE_FULL_AT"].map(|name| std::env::var(name).ok()?.parse().ok())
});

/// From here on the process counts its file operations, and does what the environment asks for.
pub(crate) fn install() {
    AROUND.set(|change| inject(change).and_then(|()| begin())).expect("a process does this once");
}

/// How many operations there have been in this process.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// Counts an operation, and fails or ends the process where it is asked to; of a write half is done before.
fn inject(change: &Change) -> Result<()> {
    let [abort, fail, full] = *PLAN;
    let number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    if abort == Some(number) {
        if let Change::Write { path, bytes } = change {
            let file = OpenOptions::new().append(true).open(path);
            drop(file.and_then(|mut file| file.write_all(&bytes[..bytes.len() / 2])));
        }
        std::process::abort();
    }
    let is_past = |first: Option<u64>| first.is_some_and(|first| first <= number);
    // A full disk lets removals through, which make room.
    let is_full = is_past(full) && !matches!(change, Change::Remove { .. });
    match is_full || is_past(fail) {
        true => Err(Error::from(ErrorKind::StorageFull)),
        false => Ok(()),
    }
}

/// The journal, while an operation is done: one after the other, so that the order is the journal's, also of
/// several processes with one journal.
struct Journal(MutexGuard<'static, File>);

impl Drop for Journal {
    fn drop(&mut self) {
        self.0.unlock().unwrap();
    }
}

/// What is done once an operation is over.
type End = dyn FnOnce(&Change) -> Result<()>;

/// Begins an operation; what it returns notes it.
fn begin() -> Result<Box<End>> {
    static JOURNAL: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    let journal = JOURNAL.get_or_init(|| {
        let path = std::env::var_os("SPFDE_JOURNAL")?;
        let file = OpenOptions::new().create(true).append(true).open(path).expect("a journal can be written");
        Some(Mutex::new(file))
    });
    let Some(journal) = journal else { return Ok(Box::new(|_| Ok(()))) };
    let journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    journal.lock()?;
    let mut journal = Journal(journal);
    Ok(Box::new(move |change| {
        let mut line = serde_json::to_vec(change).expect("a change is plain data");
        line.push(b'\n');
        journal.0.write_all(&line)
    }))
}
