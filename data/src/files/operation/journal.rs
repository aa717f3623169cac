//! What a disk has been told, in order.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::Kind;

/// An operation that was done: a line of the journal, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are what their variant says")]
pub enum Change {
    /// A file was created, or emptied.
    Create { path: PathBuf },
    /// Bytes were appended to a file.
    Write { path: PathBuf, bytes: Vec<u8> },
    /// The content of a file was made durable.
    Sync { path: PathBuf },
    /// A file got another name.
    Rename { from: PathBuf, to: PathBuf },
    /// A file was removed, or an empty directory.
    Remove { path: PathBuf },
    /// A directory was created.
    CreateDirectory { path: PathBuf },
    /// The names in a directory were made durable.
    SyncDirectory { path: PathBuf },
}

impl From<Kind<'_>> for Change {
    fn from(kind: Kind<'_>) -> Self {
        let own = Path::to_owned;
        match kind {
            Kind::Create(path) => Self::Create { path: own(path) },
            Kind::Write(path, bytes) => Self::Write { path: own(path), bytes: bytes.to_vec() },
            Kind::Sync(path) => Self::Sync { path: own(path) },
            Kind::Rename(from, to) => Self::Rename { from: own(from), to: own(to) },
            Kind::Remove(path) => Self::Remove { path: own(path) },
            Kind::CreateDirectory(path) => Self::CreateDirectory { path: own(path) },
            Kind::SyncDirectory(path) => Self::SyncDirectory { path: own(path) },
        }
    }
}

/// Does `work`, and notes it if it succeeded: one operation after the other, so that the order is the journal's.
pub(super) fn around<T>(kind: Kind<'_>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    static JOURNAL: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    let journal = JOURNAL.get_or_init(|| {
        let path = std::env::var_os("SPFDE_JOURNAL")?;
        let file = OpenOptions::new().create(true).append(true).open(path).expect("a journal can be written");
        Some(Mutex::new(file))
    });
    let Some(journal) = journal else { return work() };
    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    let done = work()?;
    let mut line = serde_json::to_vec(&Change::from(kind)).expect("a change is plain data");
    line.push(b'\n');
    journal.write_all(&line)?;
    Ok(done)
}
