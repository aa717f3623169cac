//! What can be wrong with a Parquet file.

use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

/// Why a file cannot be read: names the file, what is wrong with it, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the message of their variant says")]
pub enum Fault {
    /// The Parquet library refused it.
    #[error("cannot {action}: {source}; is it a complete Parquet file?")]
    Library { action: &'static str, source: ParquetError },
    /// Its parts contradict one another, or the Parquet library gave up on it.
    #[error("cannot {action}: the file is damaged; restore it from a copy or write it anew")]
    Damaged { action: &'static str },
    /// It claims more than there can be.
    #[error("{what} is {found}, above the limit of {limit}; the file is damaged or not meant for spfde")]
    TooLarge { what: String, found: u64, limit: u64 },
    /// A column of variable length could stand for much more than it holds.
    #[error(
        "column {column} has variable length and a dictionary or another encoding than plain, which can \
         stand \
         for any amount of memory; write it plain, without dictionary"
    )]
    Expands { column: String },
    /// A column or a key of the metadata comes twice.
    #[error("has {what} twice; which of the two counts is nowhere said")]
    Twice { what: String },
    /// It holds another number of rows than it declares.
    #[error("number of rows is {found}; expected {expected}; the file was changed or is damaged")]
    Rows { found: u64, expected: u64 },
}

impl Fault {
    /// The error for the file `path`.
    pub(crate) fn of(self, path: &Path) -> Error {
        Error { path: path.to_owned(), fault: self }
    }

    /// Checks a claim before anything is reserved for it.
    pub(crate) fn limit(what: impl Into<String>, found: u64, limit: u64) -> Result<(), Self> {
        if found <= limit { Ok(()) } else { Err(Self::TooLarge { what: what.into(), found, limit }) }
    }
}
