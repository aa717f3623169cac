//! What can be wrong with a Parquet file.

use std::path::{Path, PathBuf};

/// Why a file cannot be read: names the file, what is wrong with it, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", path.display(), fault.0)]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub(crate) fault: Fault,
}

/// Whether something in a file is as it has to be.
pub(crate) type Checked = std::result::Result<(), Fault>;

/// What is wrong with a file, as a message says it.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault(pub(crate) String);

impl Fault {
    /// The error for the file `path`.
    pub(crate) fn of(self, path: &Path) -> Error {
        Error { path: path.to_owned(), fault: self }
    }

    /// That its parts contradict one another, or that the Parquet library gave up on it.
    pub(crate) fn damaged(action: &str) -> Self {
        Self(format!("cannot {action}: the file is damaged; restore it from a copy or write it anew"))
    }

    /// That a column or a key of the metadata comes twice.
    pub(crate) fn twice(what: &str, name: &str) -> Self {
        Self(format!("has {what} {name} twice; which of the two counts is nowhere said"))
    }

    /// Checks a claim before anything is reserved for it.
    pub(crate) fn limit(what: impl Into<String>, found: u64, limit: u64) -> Checked {
        if found <= limit {
            return Ok(());
        }
        let what = what.into();
        let remedy = "the file is damaged or not meant for spfde";
        Err(Self(format!("{what} is {found}, above the limit of {limit}; {remedy}")))
    }
}
