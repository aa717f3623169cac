//! Operations that fail, and processes that end at them.

use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Result, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Change;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// The operations at which to abort, from which on to fail, and from which on the disk is full.
static PLAN: LazyLock<[Option<u64>; 3]> = LazyLock::new(|| {
    ["SPFDE_ABORT_AT", "SPFDE_FAIL_AT", "SPFDE_FULL_AT"].map(|name| std::env::var(name).ok()?.parse().ok())
});

/// How many operations there have been in this process.
pub fn count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// Counts an operation, and fails or ends the process where it is asked to; of a write half is done before.
pub(super) fn inject(change: &Change) -> Result<()> {
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
