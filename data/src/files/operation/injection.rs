//! Operations that fail, and processes that end at them.

use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Result, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Change;

static COUNT: AtomicU64 = AtomicU64::new(0);

fn variable(name: &'static str, cell: &'static OnceLock<Option<u64>>) -> Option<u64> {
    *cell.get_or_init(|| std::env::var(name).ok()?.parse().ok())
}

/// How many operations there have been in this process.
pub fn count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// Counts an operation, and fails or ends the process where it is asked to; of a write half is done before.
pub(super) fn inject(change: &Change) -> Result<()> {
    static ABORT: OnceLock<Option<u64>> = OnceLock::new();
    static FAIL: OnceLock<Option<u64>> = OnceLock::new();
    static FULL: OnceLock<Option<u64>> = OnceLock::new();
    let number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    if variable("SPFDE_ABORT_AT", &ABORT) == Some(number) {
        if let Change::Write { path, bytes } = change {
            let file = OpenOptions::new().append(true).open(path);
            drop(file.and_then(|mut file| file.write_all(&bytes[..bytes.len() / 2])));
        }
        std::process::abort();
    }
    let is_past = |first: Option<u64>| first.is_some_and(|first| first <= number);
    // A full disk lets removals through, which make room.
    let is_full = is_past(variable("SPFDE_FULL_AT", &FULL)) && !matches!(change, Change::Remove { .. });
    match is_full || is_past(variable("SPFDE_FAIL_AT", &FAIL)) {
        true => Err(Error::from(ErrorKind::StorageFull)),
        false => Ok(()),
    }
}
