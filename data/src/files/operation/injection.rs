//! Operations that fail, and processes that end at them.

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

/// Fails if the disk has filled up by the operation that was counted last.
pub(super) fn refuse_if_full() -> Result<()> {
    static FULL: OnceLock<Option<u64>> = OnceLock::new();
    match variable("SPFDE_FULL_AT", &FULL) {
        Some(first) if first <= count() => Err(Error::from(ErrorKind::StorageFull)),
        _ => Ok(()),
    }
}
