//! The files of a data set, in archives and out of them.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::files::import::{AGAIN, CONTENT_LIMIT};
use crate::files::layout::files_below;
use crate::files::{DataError, Result, read_limited};

/// Bytes of a file in an archive.
const MEMBER_LIMIT: u64 = 1 << 30;

/// A file: its name, where it is, for messages, and what it holds.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// The files that `is_wanted` says, by their names, in directories, in archives and by themselves.
///
/// # Errors
/// If one cannot be read, or is neither wanted nor an archive.
pub(super) fn members(paths: &[PathBuf], is_wanted: impl Fn(&str) -> bool + Copy) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for path in paths {
        let is_directory = path.is_dir();
        for file in files_below(path, 3) {
            let file = file?;
            let is_archive = || [".tar.gz", ".tgz", ".tar"].iter().any(|end| name(&file).ends_with(end));
            if !is_directory || is_wanted(&name(&file)) || name(&file).starts_with("cifar-") && is_archive() {
                members.extend(of_file(&file, read_limited(&file, CONTENT_LIMIT)?, is_wanted)?);
            }
        }
    }
    Ok(members)
}

/// The files in `bytes`, which are one of them or an archive.
pub(super) fn of_file(path: &Path, bytes: Vec<u8>, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Member>> {
    let name = name(path);
    match is_wanted(&name) {
        true => Ok(vec![Member { name, path: path.to_owned(), bytes }]),
        false => unpack(path, &bytes, is_wanted),
    }
}

/// The wanted files of an archive, compressed or not.
fn unpack(path: &Path, bytes: &[u8], is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Member>> {
    let source: Box<dyn Read> = match bytes.starts_with(&[0x1F, 0x8B]) {
        true => Box::new(GzDecoder::new(bytes)),
        false => Box::new(Cursor::new(bytes)),
    };
    let mut archive = tar::Archive::new(source.take(CONTENT_LIMIT));
    let error = || {
        let path = path.to_owned();
        move |error: std::io::Error| {
            let what = format!("cannot be unpacked: {error}");
            DataError::refused(&path, what, "fetch it again; or is it no archive of the data set?")
        }
    };
    let mut members = Vec::new();
    // As they stand: names too long for a header, which would be held in memory whole, are not wanted.
    for entry in archive.entries().map_err(error())?.raw(true) {
        let mut entry = entry.map_err(error())?;
        let name = name(&entry.path().map_err(error())?);
        if !entry.header().entry_type().is_file() || !is_wanted(&name) {
            continue;
        }
        let (path, size) = (path.join(&name), entry.size());
        DataError::limit(&path, "declared size", size, MEMBER_LIMIT)?;
        // Grows with what is really there.
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(error())?;
        if bytes.len() as u64 != size {
            let what = format!("ends after {} of {size} bytes", bytes.len());
            return Err(DataError::refused(&path, what, AGAIN));
        }
        members.push(Member { name, path, bytes });
    }
    // Reading on checks the checksum.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(error())?;
    Ok(members)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
