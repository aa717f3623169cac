//! What an operation does.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// An operation that is done: as JSON, a line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are what their variant says")]
pub enum Change<'a> {
    /// A file is created, or emptied.
    Create { path: Cow<'a, Path> },
    /// Bytes are appended to a file.
    Write { path: Cow<'a, Path>, bytes: Cow<'a, [u8]> },
    /// The content of a file is made durable.
    Sync { path: Cow<'a, Path> },
    /// A file gets another name.
    Rename { from: Cow<'a, Path>, to: Cow<'a, Path> },
    /// A file is removed, or an empty directory.
    Remove { path: Cow<'a, Path> },
    /// A directory is created.
    CreateDirectory { path: Cow<'a, Path> },
    /// The names in a directory are made durable.
    SyncDirectory { path: Cow<'a, Path> },
}
