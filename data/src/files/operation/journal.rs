//! What a disk has been told, in order.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Change;

/// Does `work`, and notes it if it succeeded: one operation after the other, so that the order is the
/// journal's, also of several processes with one journal.
pub(super) fn around<T>(change: &Change, work: impl FnOnce() -> Result<T>) -> Result<T> {
    static JOURNAL: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    let journal = JOURNAL.get_or_init(|| {
        let path = std::env::var_os("SPFDE_JOURNAL")?;
        let file = OpenOptions::new().create(true).append(true).open(path).expect("a journal can be written");
        Some(Mutex::new(file))
    });
    let Some(journal) = journal else { return work() };
    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    journal.lock()?;
    let done = work().and_then(|done| {
        let mut line = serde_json::to_vec(change).expect("a change is plain data");
        line.push(b'\n');
        journal.write_all(&line)?;
        Ok(done)
    });
    journal.unlock()?;
    done
}
