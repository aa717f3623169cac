//! What can be wrong with a file: each error names the file, what is wrong there, and what to do.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::StorageError;

/// The result of working with a file.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

/// What to do about a file that is not what was recorded.
pub(super) const CHANGED: &str = "the file was changed or is damaged";

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the message of their variant says")]
pub enum DataError {
    /// The operating system refused.
    #[error("{path}: cannot {action}: {source}{}", remedy(source))]
    Io { path: PathBuf, action: &'static str, source: std::io::Error },
    /// A Parquet file cannot be read.
    #[error(transparent)]
    Parquet(#[from] spfde_parquet_guard::Error),
    /// Something in a file, or about it, is not as it has to be. `found`, `expected` and `remedy` may be
    /// empty.
    #[error("{path}: {what}{}{}{}", part(" is ", found), part("; expected ", expected), part("; ", remedy))]
    Unfit { kind: Kind, path: PathBuf, what: String, found: String, expected: String, remedy: &'static str },
}

/// What callers tell apart of that which is not as it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A run of an earlier version that did not come to its end.
    OldRun,
    /// Something is in the directory already: another run, or what belongs to none.
    Taken,
    /// Another process uses the run.
    Locked,
    /// There is no run.
    NotARun,
    /// Anything else.
    Other,
}

impl DataError {
    /// That `what` is `found` where something else is `expected`.
    pub fn unfit(
        path: &Path,
        what: impl Into<String>,
        found: impl Display,
        expected: impl Display,
        remedy: &'static str,
    ) -> Self {
        let (kind, path, what) = (Kind::Other, path.to_owned(), what.into());
        Self::Unfit { kind, path, what, found: found.to_string(), expected: expected.to_string(), remedy }
    }

    /// As [`DataError::unfit`], where `what` says all that is wrong.
    pub fn refused(path: &Path, what: impl Into<String>, remedy: &'static str) -> Self {
        Self::unfit(path, what, "", "", remedy)
    }

    /// The same error as one of a kind.
    pub(crate) fn of(mut self, of: Kind) -> Self {
        if let Self::Unfit { kind, .. } = &mut self {
            *kind = of;
        }
        self
    }

    /// Whether it is of this kind.
    pub fn is(&self, wanted: Kind) -> bool {
        matches!(self, Self::Unfit { kind, .. } if *kind == wanted)
    }

    /// As [`DataError::unfit`], of a field with a value, which is quoted.
    pub fn value(path: &Path, field: impl Into<String>, found: &str, expected: impl Display) -> Self {
        Self::unfit(path, field, format_args!("{found:?}"), expected, "")
    }

    /// Checks a declared size before anything is allocated from it.
    pub(crate) fn limit(path: &Path, field: &str, found: u64, limit: u64) -> Result<()> {
        if found <= limit {
            return Ok(());
        }
        let found = format!("{found}, above the limit of {limit}");
        Err(Self::unfit(path, field, found, "", "the file is damaged or not meant for spfde"))
    }

    /// Checks that `what` is what was recorded.
    pub(crate) fn same<T: PartialEq + Display>(path: &Path, what: &str, found: T, expected: T) -> Result<()> {
        if found == expected { Ok(()) } else { Err(Self::unfit(path, what, found, expected, CHANGED)) }
    }

    /// An error of the operating system, as a closure for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    /// A JSON text that does not parse or lacks a field, as a closure for `map_err`.
    pub(crate) fn json(path: &Path) -> impl Fn(serde_json::Error) -> Self {
        move |error| Self::refused(path, error.to_string(), CHANGED)
    }

    /// An error of the Parquet library while it writes, as a closure for `map_err`: most of them are the
    /// system's.
    pub(crate) fn writing(path: &Path, action: &'static str) -> impl Fn(ParquetError) -> Self + Copy {
        move |source| {
            let text = source.to_string();
            let system = match source {
                ParquetError::External(error) => error.downcast().ok().map(|error| *error),
                _ => None,
            };
            match system.or_else(|| system_error(&text)) {
                Some(source) => Self::io(path, action)(source),
                None => Self::refused(path, format!("cannot {action}: {text}"), ""),
            }
        }
    }
}

/// `text` behind `before`, unless it is empty.
fn part(before: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}") }
}

/// The error of the operating system that the Parquet library has made a text of, such as when it ends a
/// file.
fn system_error(text: &str) -> Option<std::io::Error> {
    let (code, _) = text.rsplit_once("(os error ")?.1.split_once(')')?;
    Some(std::io::Error::from_raw_os_error(code.parse().ok()?))
}

/// What to do about an error of the operating system, where that can be said.
fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room there, then do it again",
        ErrorKind::FileTooLarge => {
            "; files may not be so large here: raise the limit, such as by `ulimit -f unlimited`, or choose \
             another directory"
        }
        ErrorKind::NotFound => "; is its name right, or was it removed or moved?",
        ErrorKind::AlreadyExists => "; something else has that name: remove or rename it, or choose another",
        ErrorKind::PermissionDenied => {
            "; look at who owns it, and the directories above it, and what they permit"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "; its file system is mounted read-only: make it writable, or use another"
        }
        ErrorKind::IsADirectory => "; a directory stands where a file belongs: remove or rename it",
        ErrorKind::NotADirectory => "; a file stands where a directory belongs: is the path right?",
        _ => "",
    }
}

impl From<DataError> for StorageError {
    fn from(error: DataError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_parts_that_it_is_given() {
        let path = Path::new("a");
        let all = DataError::unfit(path, "version", 3, 2, "write it anew");
        assert_eq!(all.to_string(), "a: version is 3; expected 2; write it anew");
        assert_eq!(DataError::refused(path, "holds nothing", "").to_string(), "a: holds nothing");
        let stored = StorageError::from(DataError::io(path, "write")(std::io::Error::other("no")));
        assert_eq!(stored.to_string(), "a: cannot write: no");
        assert_eq!(StorageError::from(all).0, "a: version is 3; expected 2; write it anew");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told_as_one_by_whatever_way_it_comes() {
        let error = |source| DataError::writing(Path::new("a"), "write the table")(source).to_string();
        let full = "a: cannot write the table: No space left on device (os error 28); make room there, then \
                    do it again";
        assert_eq!(error(ParquetError::External(Box::new(std::io::Error::from_raw_os_error(28)))), full);
        let text = |text: &str| error(ParquetError::General(format!("fail to get inner writer: {text:?}")));
        assert_eq!(text("No space left on device (os error 28)"), full);
        let large = text("File too large (os error 27)");
        assert!(large.contains("(os error 27); files may not be so large here: raise the limit"), "{large}");
        assert!(text("no reason").ends_with("fail to get inner writer: \"no reason\""));
    }
}
