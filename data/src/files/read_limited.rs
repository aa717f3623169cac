//! Reading a file into memory, up to a limit, and comparing it with what was recorded of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use spfde_parquet_guard::FILE_LIMIT;

use super::atomic::refuse_link;
use super::{DataError, Result};
use crate::counted;

/// The content of a file of at most `limit` bytes. Only ordinary files: a pipe or device has no length to
/// check.
pub(super) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let (file, length) = open(path)?;
    DataError::limit(path, "file length", length, limit)?;
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX)).is_err() {
        return Err(DataError::unfit(path, "file length", length, "less than the memory that there is", ""));
    }
    // One byte more than the limit, in case the file grows while it is read.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(DataError::io(path, "read"))?;
    DataError::limit(path, "file length", bytes.len() as u64, limit)?;
    Ok(bytes)
}

/// The bytes from the places `range` of a file.
pub(super) fn read_range(path: &Path, mut file: &File, range: Range<u64>) -> Result<Vec<u8>> {
    let length = range.end - range.start;
    DataError::limit(path, "length of a row group", length, FILE_LIMIT)?;
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(length as usize).is_err() {
        let less = "less than the memory that there is";
        return Err(DataError::unfit(path, "length of a row group", length, less, ""));
    }
    file.seek(SeekFrom::Start(range.start)).map_err(DataError::io(path, "read"))?;
    file.take(length).read_to_end(&mut bytes).map_err(DataError::io(path, "read"))?;
    check_length(path, range.start + bytes.len() as u64, range.end).map(|()| bytes)
}

/// The place of a file of the run directory `run`, given with `/` between its parts.
///
/// # Errors
/// If one of the parts is a symbolic link.
pub(super) fn inside(run: &Path, file: &str) -> Result<PathBuf> {
    let mut path = run.to_owned();
    for part in file.split('/') {
        path.push(part);
        // If the file is not there, the code that opens it reports that.
        refuse_link(&path)?;
    }
    Ok(path)
}

/// Opens an ordinary file; returns its length, too.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    let metadata = path.metadata().map_err(DataError::io(path, "open"))?;
    if !metadata.is_file() {
        let what = "it is not an ordinary file; put the file itself there";
        let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, what);
        return Err(DataError::io(path, "open")(error));
    }
    let file = File::open(path).map_err(DataError::io(path, "open"))?;
    Ok((file, metadata.len()))
}

/// Length and BLAKE3 (in hexadecimal) of a file of at most `limit` bytes, read piece by piece.
pub(super) fn hash_file(path: &Path, limit: u64) -> Result<(u64, String)> {
    let (file, length) = open(path)?;
    DataError::limit(path, "file length", length, limit)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(DataError::io(path, "read"))?;
    Ok((hasher.count(), hasher.finalize().to_hex().to_string()))
}

/// Checks the length of a file.
pub(super) fn check_length(path: &Path, found: u64, expected: u64) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let remedy = "it was cut, replaced or is still being written";
    Err(DataError::unfit(path, "length", counted(found, "byte"), expected, remedy))
}

/// Checks the bytes of a file by the length and the BLAKE3 that were recorded of it.
pub(super) fn check_recorded(path: &Path, bytes: &[u8], length: u64, blake3: &str) -> Result<()> {
    check_length(path, bytes.len() as u64, length)?;
    DataError::same(path, "BLAKE3", blake3::hash(bytes).to_hex().as_str(), blake3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_no_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        std::fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read_limited(&path, 10).unwrap(), [7; 10]);
        assert_eq!(
            read_limited(&path, 9).unwrap_err().to_string(),
            format!(
                "{}: file length is 10, above the limit of 9; the file is damaged or not meant for spfde",
                path.display()
            )
        );
        assert_eq!(
            read_limited(directory.path(), 9).unwrap_err().to_string(),
            format!(
                "{}: cannot open: it is not an ordinary file; put the file itself there",
                directory.path().display()
            )
        );
    }
}
