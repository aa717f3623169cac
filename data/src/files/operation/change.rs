//! What an operation does.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
