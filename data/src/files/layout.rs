//! What lies where in a run directory.

use std::ffi::OsStr;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use super::checkpoint;
use super::error::{DataError, Result};

/// Name of the resolved configuration within a run directory.
pub const CONFIG_NAME: &str = "config.toml";
/// Name of the description of machine and program within a run directory.
pub const ENVIRONMENT_NAME: &str = "environment.json";

/// Directories whose files the manifest names: a run writes `trace/<stream>/e00012-w00.parquet`, `checkpoint/e00012.safetensors`
/// and `checkpoint/<table>/e00012-w00.parquet`.
pub(super) const NAMED: [&str; 2] = ["trace", checkpoint::FOLDER];

/// Whether a run calls the weights of a checkpoint so, or did while it wrote them.
pub(super) fn is_weights(name: &OsStr) -> bool {
    let epoch = plain(name).and_then(|name| name.strip_prefix('e')?.strip_suffix(".safetensors"));
    epoch.is_some_and(|epoch| is_number(epoch, 5))
}

/// Whether a run calls a segment so, or did while it wrote it.
pub(super) fn is_segment(name: &OsStr) -> bool {
    let name = plain(name).and_then(|name| name.strip_prefix('e')?.strip_suffix(".parquet"));
    let parts = name.and_then(|name| name.split_once("-w"));
    parts.is_some_and(|(epoch, worker)| is_number(epoch, 5) && is_number(worker, 2))
}

/// A name without what it has while the file is written.
fn plain(name: &OsStr) -> Option<&str> {
    let name = name.to_str()?;
    Some(name.strip_suffix(".part").unwrap_or(name))
}

fn is_number(digits: &str, least: usize) -> bool {
    digits.len() >= least && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A file that the run in the directory `path` had after its first manifest, if it is a run and has one; its path from there.
pub(super) fn trace_of(path: &Path) -> Option<String> {
    path.join(CONFIG_NAME).is_file().then(|| first_file(path).ok().flatten()).flatten()
}

/// A file, or a link, below `trace/` or `checkpoint/` of the run directory `run`, if there is one; its path from there.
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
        for entry in entries(&place)? {
            places.push(entry.map_err(DataError::io(&place, "list the directory"))?.path());
        }
    }
    Ok(None)
}

/// What is in a directory: nothing, if there is none.
pub(super) fn entries(directory: &Path) -> Result<impl Iterator<Item = std::io::Result<DirEntry>>> {
    match directory.read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        entries => Ok(Some(entries.map_err(DataError::io(directory, "list the directory"))?)),
    }
    .map(|entries| entries.into_iter().flatten())
}
