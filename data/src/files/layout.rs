//! What lies where in a run directory: every name that a run gives to a file or directory.
//!
//! ```text
//! config.toml  environment.json  architecture.json  manifest.json  start.safetensors  lock  lock-01
//! processes.key
//! trace/<stream>/e00012-w00.parquet
//! cache/ (while a process trains that keeps outputs of the frozen prefix there, in files without names)
//! checkpoint/e00012.safetensors  checkpoint/best.safetensors  checkpoint/<table>/e00012-w00.parquet
//! ```
//!
//! A file that is being written has `.part` behind its name.
//!
//! And what lies in directories of any kind: [`entries`] and [`files_below`].

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use super::{DataError, Result};
use crate::Checkpoint;

/// The resolved configuration.
pub const CONFIG_NAME: &str = "config.toml";
/// The description of machine and program.
pub const ENVIRONMENT_NAME: &str = "environment.json";
/// The network; runs of a time before manifests of version 3 have none.
pub const ARCHITECTURE_NAME: &str = "architecture.json";
/// The weights that the run began with, if it did not draw them.
pub const START_NAME: &str = "start.safetensors";
/// The manifest.
pub const MANIFEST_NAME: &str = "manifest.json";
/// The lock of the process that holds the run. Its content, the holder's process id, is for messages only.
pub const LOCK_NAME: &str = "lock";
/// What the names of the locks of other processes begin with; the process's number follows.
pub(super) const MEMBER_PREFIX: &str = "lock-";
/// The file by which a process shows that it sees the run directory.
pub const KEY_NAME: &str = "processes.key";

/// The folder of the trace.
pub const TRACE: &str = "trace";
/// The folder of checkpoints.
pub const CHECKPOINT: &str = "checkpoint";
/// The folder of outputs of the frozen prefix, while a process keeps them on disk; no manifest names it.
pub const PREFIX_CACHE: &str = "cache";
/// Folders whose files the manifest names.
pub(super) const NAMED: [&str; 2] = [TRACE, CHECKPOINT];

/// What stands behind the name of a file while it is written.
const PART: &str = ".part";

/// The name of the lock of process number `process`.
pub(super) fn member_lock(process: usize) -> String {
    format!("{MEMBER_PREFIX}{process:02}")
}

/// Where a file lies while it is written.
pub fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(PART);
    PathBuf::from(part)
}

/// Where a segment of the trace lies, relative to the run directory.
pub fn segment_path(stream: &str, epoch: u32, worker: u32) -> String {
    path_below(TRACE, stream, epoch, worker)
}

/// Where the rows of a table in one of the folders lie, relative to the run directory.
pub(super) fn path_below(folder: &str, table: &str, epoch: u32, worker: u32) -> String {
    format!("{folder}/{table}/e{epoch:05}-w{worker:02}.parquet")
}

/// Where the weights at the start of `epoch` lie, relative to the run directory.
pub fn weights_path(epoch: u32) -> String {
    format!("{CHECKPOINT}/e{epoch:05}.safetensors")
}

/// Where the weights of the best epoch of a finished run lie, relative to the run directory.
pub const BEST_PATH: &str = "checkpoint/best.safetensors";

/// Whether a stream may have this name, which becomes a directory: 1 to 64 lowercase letters, digits, `_`,
/// `-`.
pub fn is_stream_name(name: &str) -> bool {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// Whether a checkpoint file lies where its epoch says.
pub(super) fn is_path_of(file: &Checkpoint) -> bool {
    if file.rows.is_none() {
        return file.path == weights_path(file.epoch);
    }
    let mut parts = file.path.split('/').skip(1);
    let (Some(table), Some(name)) = (parts.next(), parts.next()) else { return false };
    let worker = name.rsplit_once("-w").and_then(|(_, rest)| rest.strip_suffix(".parquet")?.parse().ok());
    is_stream_name(table)
        && worker.is_some_and(|worker| file.path == path_below(CHECKPOINT, table, file.epoch, worker))
}

/// Whether a run calls the weights of a checkpoint so, or did while it wrote them.
pub(super) fn is_weights(name: &OsStr) -> bool {
    let Some(name) = plain(name).and_then(|name| name.strip_suffix(".safetensors")) else { return false };
    name == "best" || name.strip_prefix('e').is_some_and(|epoch| is_number(epoch, 5))
}

/// Whether a run calls a segment so, or did while it wrote it.
pub fn is_segment(name: &OsStr) -> bool {
    let name = plain(name).and_then(|name| name.strip_prefix('e')?.strip_suffix(".parquet"));
    let parts = name.and_then(|name| name.split_once("-w"));
    parts.is_some_and(|(epoch, worker)| is_number(epoch, 5) && is_number(worker, 2))
}

/// Whether a file of a run directory belongs to processes beside the one that holds it.
pub(super) fn is_of_members(name: &OsStr) -> bool {
    plain(name).is_some_and(|name| name.starts_with(MEMBER_PREFIX) || name == KEY_NAME)
}

/// A name without what it has while the file is written.
fn plain(name: &OsStr) -> Option<&str> {
    let name = name.to_str()?;
    Some(name.strip_suffix(PART).unwrap_or(name))
}

fn is_number(digits: &str, least: usize) -> bool {
    digits.len() >= least && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A file, or a link, below `trace/` or `checkpoint/` of the run directory `run`, if there is one; its path
/// from there.
pub(super) fn first_file(run: &Path) -> Result<Option<String>> {
    let mut places: Vec<PathBuf> = NAMED.iter().map(|name| run.join(name)).collect();
    while let Some(place) = places.pop() {
        let found = match place.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            found => found.map_err(DataError::io(&place, "look at the path"))?,
        };
        if !found.is_dir() {
            return Ok(Some(place.strip_prefix(run).unwrap_or(&place).display().to_string()));
        }
        places.extend(entries(&place)?.iter().map(DirEntry::path));
    }
    Ok(None)
}

/// What is in a directory: nothing, if there is none.
///
/// # Errors
/// If the directory cannot be listed.
pub fn entries(directory: &Path) -> Result<Vec<DirEntry>> {
    match directory.read_dir().and_then(Iterator::collect) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.map_err(DataError::io(directory, "list the directory")),
    }
}

/// Whether the name of a file ends in a point and one of `endings`, in letters of any case.
pub fn ends_in(file: &Path, endings: &[&str]) -> bool {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

/// The files in a directory and those below it, so many `levels` in all: directory by directory, the nearest
/// first, then by name. Names that begin with `.` or `_` are left out: they are what other programs leave
/// beside their files. A directory that links lead to, too, is walked once. Of what is no directory: itself.
///
/// # Errors
/// Those directories that cannot be listed; the others are walked all the same.
pub fn files_below(place: &Path, levels: u32) -> impl Iterator<Item = Result<PathBuf>> + use<> {
    // The first is taken first: files, then the nearest directory, which has most levels left.
    let (mut walked, mut left) = (BTreeSet::new(), BTreeSet::from([(place.is_dir(), 0, place.to_owned())]));
    std::iter::from_fn(move || {
        loop {
            let (is_directory, depth, path) = left.pop_first()?;
            if !is_directory {
                return Some(Ok(path));
            }
            if depth == levels || !walked.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                continue;
            }
            let found = match entries(&path) {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            let is_hidden = |found: &DirEntry| found.file_name().to_string_lossy().starts_with(['.', '_']);
            left.extend(found.iter().filter(|found| !is_hidden(found)).map(|found| {
                // The system need not be asked once more about what it lists as a file.
                let may_be = found.file_type().is_ok_and(|kind| !kind.is_file());
                (may_be && found.path().is_dir(), depth + 1, found.path())
            }));
        }
    })
}
