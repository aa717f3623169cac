//! What lies where in a run directory.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use super::error::{DataError, Result};

/// Name of the resolved configuration within a run directory.
pub const CONFIG_NAME: &str = "config.toml";
/// Name of the description of machine and program within a run directory.
pub const ENVIRONMENT_NAME: &str = "environment.json";

/// Directories whose files the manifest names, and how many directories there are between them and the files: a run writes
/// `trace/<stream>/e00012-w00.parquet` and `checkpoint/e00012.safetensors`.
pub(super) const NAMED: [(&str, usize); 2] = [("trace", 1), ("checkpoint", 0)];

/// A file that the run in the directory `path` had after its first manifest, if it is a run and has one; its path from there.
pub(super) fn trace_of(path: &Path) -> Option<String> {
    path.join(CONFIG_NAME).is_file().then(|| first_file(path).ok().flatten()).flatten()
}

/// A file, or a link, below `trace/` or `checkpoint/` of the run directory `run`, if there is one; its path from there.
pub(super) fn first_file(run: &Path) -> Result<Option<String>> {
    let mut places: Vec<PathBuf> = NAMED.iter().map(|(name, _)| run.join(name)).collect();
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
