//! What can be wrong with a file: each error names the file, the field or row, the value, and what to do.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::segment::{RecordingError, StorageError};
use crate::words::{are, counted};

/// The result of working with a file.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the message of their variant says")]
pub enum DataError {
    /// The operating system refused.
    #[error("{path}: cannot {action}: {source}{}", remedy(source))]
    Io { path: PathBuf, action: &'static str, source: std::io::Error },
    /// Something stands where something new should be written.
    #[error("{path}: exists already and was left as it is; choose another path or remove it")]
    Exists { path: PathBuf },
    /// A size that would claim too much memory, or that no file of this kind has.
    #[error(
        "{path}: {field} is {found}, above the limit of {limit}; the file is damaged or not meant for spfde"
    )]
    TooLarge { path: PathBuf, field: String, found: u64, limit: u64 },
    /// A file is shorter or longer than whoever names it says.
    #[error(
        "{path}: has {} where {expected} {} recorded; it was cut, replaced or is still being written",
        counted(*found, "byte"), are(*expected)
    )]
    Length { path: PathBuf, found: u64, expected: u64 },
    /// A file's content is not what was recorded.
    #[error("{path}: BLAKE3 is {found} where {expected} is recorded; the file was changed or is damaged")]
    Hash { path: PathBuf, found: String, expected: String },
    /// A manifest without the hash at its end.
    #[error(
        "{path}: does not end with its seal, the BLAKE3 of what stands before it; the file was changed or is damaged"
    )]
    Unsealed { path: PathBuf },
    /// A link where a file or directory of the run belongs: whoever follows it leaves the run directory.
    #[error(
        "{path}: is a symbolic link, which could lead out of the run directory; put the file itself there"
    )]
    Link { path: PathBuf },
    /// A text field has a value that is not allowed there.
    #[error("{path}: {field} is {found:?}; expected {expected}")]
    Value { path: PathBuf, field: String, found: String, expected: String },

    /// No IDX file of this name in the places given.
    #[error("{path}: has no {name} or {name}.gz; the four IDX files of a data set must all be there")]
    IdxMissing { path: PathBuf, name: &'static str },
    /// A file given for import has a name that does not say what it holds.
    #[error(
        "{path}: is not one of train-images…, train-labels…, t10k-images…, t10k-labels…; rename it or leave it out"
    )]
    IdxName { path: PathBuf },
    /// Two files for the same part.
    #[error("{path}: holds the same part as {other}; give one of the two")]
    IdxTwice { path: PathBuf, other: PathBuf },
    /// The first four bytes are not those of an IDX file.
    #[error(
        "{path}: magic number is {found:#010x}; an IDX file starts with two zero bytes; is it another format?"
    )]
    IdxMagic { path: PathBuf, found: u32 },
    /// The values are not bytes.
    #[error("{path}: type byte is {found:#04x}; only 0x08 (unsigned bytes) can be imported")]
    IdxType { path: PathBuf, found: u8 },
    /// The number of dimensions does not fit what the file should hold.
    #[error("{path}: has {} where {what} have {expected}; are the files swapped?", counted(*found, "dimension"))]
    IdxDimensions { path: PathBuf, what: &'static str, found: u8, expected: u8 },
    /// Fewer bytes than a header takes.
    #[error("{path}: has {} where the header alone takes {expected}; fetch it again", counted(*found, "byte"))]
    IdxHeader { path: PathBuf, found: u64, expected: u64 },
    /// Fewer bytes than the header declares.
    #[error(
        "{path}: the header declares {dimensions} = {}, the file has {found}; fetch it again",
        counted(*expected, "byte")
    )]
    IdxTruncated { path: PathBuf, dimensions: String, expected: u64, found: u64 },
    /// More bytes than the header declares.
    #[error("{path}: bytes follow the {expected} that the header declares ({dimensions}); fetch it again")]
    IdxTrailing { path: PathBuf, dimensions: String, expected: u64 },
    /// The compressed file is too short to hold what the header declares.
    #[error(
        "{path}: the header declares {dimensions} = {}, more than {} can hold; fetch it again",
        counted(*expected, "byte"), counted(*compressed, "compressed byte")
    )]
    IdxInflation { path: PathBuf, dimensions: String, expected: u64, compressed: u64 },
    /// As many labels as images are needed.
    #[error(
        "{labels}: has {} where {images} has {}; are they from different data sets?",
        counted(*found, "label"), counted(*expected, "image")
    )]
    IdxCount { labels: PathBuf, found: u64, images: PathBuf, expected: u64 },
    /// Training and test images differ in shape.
    #[error(
        "{test}: images are {found} where those of {train} are {expected}; are they from different data sets?"
    )]
    IdxShape { test: PathBuf, found: String, train: PathBuf, expected: String },
    /// A class without training images.
    #[error(
        "{path}: label {missing} never occurs though {largest} does; classes must be numbered from 0 without gaps"
    )]
    LabelGap { path: PathBuf, missing: u16, largest: u16 },

    /// A label that is no class.
    #[error("{path}: row {row}: label is {found}; the data set has {}, numbered from 0", counted(*classes, "class"))]
    Label { path: PathBuf, row: u64, found: u16, classes: usize },
    /// An image of another shape.
    #[error("{path}: row {row}: image has {}; expected {expected} (channels · height · width)", counted(*found, "byte"))]
    ImageLength { path: PathBuf, row: u64, found: u64, expected: u64 },
    /// A data set without images.
    #[error("{path}: holds no images; a data set needs at least one to train and one to test")]
    Empty { path: PathBuf },
    /// Content differs from the fingerprint in the file.
    #[error(
        "{path}: train.parquet and test.parquet have content of fingerprint {found} where {expected} is recorded; one of the two is damaged, or they are of different data sets"
    )]
    Fingerprint { path: PathBuf, found: String, expected: String },

    /// The Parquet library refused the file.
    #[error("{path}: cannot {action}: {source}; is it a complete Parquet file?")]
    Parquet { path: PathBuf, action: &'static str, source: ParquetError },
    /// The Parquet library gave up on the file.
    #[error("{path}: cannot {action}: the file is damaged; restore it from a copy or write it anew")]
    ParquetDamaged { path: PathBuf, action: &'static str },
    /// A key of the metadata is missing.
    #[error("{path}: metadata has no key {key}; expected {expected}; the file was not written by spfde")]
    Metadata { path: PathBuf, key: &'static str, expected: String },
    /// The file is of a later version.
    #[error("{path}: {field} is {found}, this program knows versions up to {newest}; use a newer spfde")]
    Version { path: PathBuf, field: &'static str, found: u32, newest: u32 },
    /// A column is missing.
    #[error("{path}: has no column {column}; expected one of type {expected}")]
    ColumnMissing { path: PathBuf, column: String, expected: String },
    /// A column or key that comes twice.
    #[error("{path}: has {what} twice; which of the two counts is nowhere said")]
    Repeated { path: PathBuf, what: String },
    /// A column has another type.
    #[error("{path}: column {column} is of type {found}; expected {expected}")]
    ColumnType { path: PathBuf, column: String, found: String, expected: String },
    /// A variable-length column could stand for much more than it holds.
    #[error(
        "{path}: column {column} has variable length and a dictionary or another encoding than plain, which can stand for any amount of memory; write it plain, without dictionary"
    )]
    Dictionary { path: PathBuf, column: String },
    /// A value is missing.
    #[error("{path}: column {column} lacks {count} of its values; every row needs one")]
    Nulls { path: PathBuf, column: String, count: u64 },
    /// A number outside of what a column may hold. Rows of the file count from 0.
    #[error("{path}: row {row}: {column} is {found}; expected 0 to {limit}")]
    OutOfRange { path: PathBuf, column: String, row: u64, found: String, limit: u64 },
    /// A score that is no number, infinite, or beyond what 32 bits hold.
    #[error("{path}: row {row}: {column} is {found}; expected a finite number: {remedy}")]
    NotFinite { path: PathBuf, column: &'static str, row: u64, found: String, remedy: &'static str },
    /// More rows than so few bytes can hold of what somebody recorded.
    #[error(
        "{path}: {field} is {found}, above the limit of {limit} for {}; nobody's training compresses so well: if these are scores that somebody recorded, write them plain, without encoding and compression",
        counted(*bytes, "byte")
    )]
    Dense { path: PathBuf, field: &'static str, found: u64, limit: u64, bytes: u64 },
    /// A file that is not what it was a moment ago.
    #[error("{path}: was changed while it was read; leave it as it is, and start again")]
    Changed { path: PathBuf },
    /// Nothing to analyse.
    #[error(
        "{path}: has no {lacks}; score files are Parquet with the columns sample, epoch, step and correct"
    )]
    NoScores { path: PathBuf, lacks: &'static str },
    /// Another number of rows than recorded.
    #[error("{path}: has {} where {expected} {} recorded; the file was changed or is damaged", counted(*found, "row"), are(*expected))]
    Rows { path: PathBuf, found: u64, expected: u64 },
    /// A row of another epoch.
    #[error("{path}: row {row}: epoch is {found}; the segment is that of epoch {expected}")]
    Epoch { path: PathBuf, row: u64, found: u32, expected: u32 },

    /// JSON that does not parse or lacks a field.
    #[error("{path}: {source}; the file was changed or is damaged")]
    Json { path: PathBuf, source: serde_json::Error },
    /// A path that leads out of the run directory.
    #[error(
        "{path}: {field} is {found:?}; paths must be relative, without .. and with / between their parts"
    )]
    UnsafePath { path: PathBuf, field: String, found: String },
    /// The same thing named twice.
    #[error("{path}: {field} names {found} twice; the manifest was changed or is damaged")]
    Twice { path: PathBuf, field: &'static str, found: String },
    /// A stream without its segments.
    #[error(
        "{path}: stream {stream} has no segment of {}; the manifest was changed", missing(*count, *epoch)
    )]
    SegmentMissing { path: PathBuf, stream: String, epoch: u32, count: u64 },
    /// A stream that the run did not record.
    #[error("{path}: stream {stream} was not recorded, or its segments are gone from the manifest; {remedy}")]
    StreamMissing { path: PathBuf, stream: String, remedy: &'static str },

    /// A checkpoint without its weights.
    #[error(
        "{path}: is not in the manifest, which names other files of the checkpoint of epoch {epoch}; the manifest was changed"
    )]
    CheckpointMissing { path: PathBuf, epoch: u32 },
    /// State that does not fit what it is for.
    #[error("{path}: {what} does not fit the run: {reason}")]
    Misfit { path: PathBuf, what: String, reason: String },
    /// No checkpoint is what it was.
    #[error(
        "{path}: none of its checkpoints can be used: {}; restore one of them from a copy, or start another run with the \
         config.toml of this one",
        reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    CheckpointsLost { path: PathBuf, reasons: Vec<DataError> },
    /// A file of the trace that is to be kept is not what it was.
    #[error("{reason}; restore it from a copy, or start another run with the config.toml of this one")]
    TraceLost { reason: Box<DataError> },
    /// The data of a run is not where it was.
    #[error(
        "{path}: data.path is {found:?}, and there is nothing at {}; put the data back, or resume from the directory in which \
         {found:?} leads to it",
        tried.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" nor at ")
    )]
    DataGone { path: PathBuf, found: String, tried: Vec<PathBuf> },
    /// The configuration of a run that was changed.
    #[error(
        "{path}: is not the configuration that the run began with; restore it, or start another run with it"
    )]
    ConfigurationChanged { path: PathBuf },
    /// A run that was recorded on other data.
    #[error(
        "{path}: the data is now {found}; the run began with {expected}: give it back its data, or start another run"
    )]
    OtherData { path: PathBuf, found: String, expected: String },

    /// The run directory holds something.
    #[error("{path}: is not empty; nothing was overwritten; choose another run directory or remove this one")]
    NotEmpty { path: PathBuf },
    /// The run directory is that of another run.
    #[error(
        "{path}: is the directory of a run, which {state}; nothing was overwritten; {}choose another run directory",
        if *goes_on { "resume it, or " } else { "" }
    )]
    RunThere { path: PathBuf, state: String, goes_on: bool },
    /// A directory in which a grid ended, or is still at work.
    #[error(
        "{path}: holds nothing but what a grid writes before its table {table}, as one leaves that was killed; nothing was \
         changed; remove the directory, unless a grid is still at work there, or choose another"
    )]
    GridLeft { path: PathBuf, table: &'static str },
    /// A run that lacks its manifest, and is not one that ended before it had one.
    #[error(
        "{path}: has no manifest.json, but {found}, which no run has before its manifest; nothing was changed; restore manifest.json from a copy, or start another run"
    )]
    ManifestLost { path: PathBuf, found: String },
    /// Another process uses the run.
    #[error(
        "{path}: is in use by {holder}; wait for it to end (if it is stopped, wake it up), or choose another run directory"
    )]
    Locked { path: PathBuf, holder: String },
    /// The run directory is no longer the one in which the run was begun or taken up.
    #[error(
        "{path}: was removed, moved or replaced while the run was written; nothing more is committed; a training that was moved can be resumed where it is now"
    )]
    RunGone { path: PathBuf },
    /// Nothing keeps others from the run directory any more.
    #[error(
        "{path}: was removed or replaced while the run was written, which keeps other processes from it; nothing more is committed"
    )]
    LockGone { path: PathBuf },
    /// Nothing there.
    #[error("{path}: there is nothing of that name; name the directory of a run")]
    NoRun { path: PathBuf },
    /// A file of a run, as like as not.
    #[error("{path}: is a file, not the directory of a run; name the directory")]
    FileNoRun { path: PathBuf },
    /// A file of a data set, as like as not.
    #[error("{path}: is a file; name a directory with train.parquet and test.parquet")]
    FileNoData { path: PathBuf },
    /// No run there.
    #[error(
        "{path}: has no manifest.json; it is not the directory of a run, or the run ended before it began"
    )]
    NotARun { path: PathBuf },

    /// The safetensors library refused the file.
    #[error("{path}: cannot read the tensors: {source}; is it a complete safetensors file?")]
    Tensors { path: PathBuf, source: safetensors::SafeTensorError },
}

impl DataError {
    /// An error of the operating system, as a closure for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    /// An error of the Parquet library while it writes, as a closure for `map_err`: most of them are the operating system's.
    pub(crate) fn writing(path: &Path, action: &'static str) -> impl Fn(ParquetError) -> Self + Copy {
        move |source| match source {
            ParquetError::External(error) => match error.downcast::<std::io::Error>() {
                Ok(source) => Self::Io { path: path.to_owned(), action, source: *source },
                Err(error) => {
                    Self::Parquet { path: path.to_owned(), action, source: ParquetError::External(error) }
                }
            },
            source => match system_error(&source.to_string()) {
                Some(source) => Self::Io { path: path.to_owned(), action, source },
                None => Self::Parquet { path: path.to_owned(), action, source },
            },
        }
    }

    /// Checks a declared size before anything is allocated from it.
    pub(crate) fn limit(path: &Path, field: &str, found: u64, limit: u64) -> Result<()> {
        if found <= limit {
            return Ok(());
        }
        Err(Self::TooLarge { path: path.to_owned(), field: field.to_owned(), found, limit })
    }
}

/// The error of the operating system that the Parquet library has made a text of, such as when it ends a file.
fn system_error(text: &str) -> Option<std::io::Error> {
    let (code, _) = text.rsplit_once("(os error ")?.1.split_once(')')?;
    Some(std::io::Error::from_raw_os_error(code.parse().ok()?))
}

/// Committed epochs that a stream lacks.
fn missing(count: u64, first: u32) -> String {
    match count {
        1 => format!("committed epoch {first}"),
        count => format!("{count} committed epochs, the first of them {first}"),
    }
}

/// What to do about an error of the operating system, where that can be said.
fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room there, then do it again",
        ErrorKind::FileTooLarge => {
            "; files may not be so large here: raise the limit, such as by `ulimit -f unlimited`, or choose another directory"
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

impl From<DataError> for RecordingError {
    fn from(error: DataError) -> Self {
        Self(error.to_string())
    }
}

impl From<DataError> for StorageError {
    fn from(error: DataError) -> Self {
        let (path, action, reason) = match &error {
            DataError::Io { path, action, source } => {
                (path.display().to_string(), *action, format!("{source}{}", remedy(source)))
            }
            DataError::Parquet { path, action, source } => {
                (path.display().to_string(), *action, source.to_string())
            }
            other => {
                let message = other.to_string();
                let (path, reason) = message.split_once(": ").unwrap_or(("run directory", &message));
                let is_gone = matches!(other, DataError::RunGone { .. } | DataError::LockGone { .. });
                (path.to_owned(), if is_gone { "hold it" } else { "store it" }, reason.to_owned())
            }
        };
        Self { path, action: action.to_owned(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told_as_one_by_whatever_way_it_comes() {
        let error = |source| DataError::writing(Path::new("a"), "write the table")(source).to_string();
        let full = "a: cannot write the table: No space left on device (os error 28); make room there, then do it again";
        assert_eq!(error(ParquetError::External(Box::new(std::io::Error::from_raw_os_error(28)))), full);
        let text = |text: &str| error(ParquetError::General(format!("fail to get inner writer: {text:?}")));
        assert_eq!(text("No space left on device (os error 28)"), full);
        let large = text("File too large (os error 27)");
        assert!(large.contains("(os error 27); files may not be so large here: raise the limit"), "{large}");
        assert!(text("no reason").ends_with("is it a complete Parquet file?"));
    }
}
