//! What a run directory holds that its manifest does not name: left over, and removed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::files::atomic;
use crate::files::error::{DataError, Result};
use crate::files::layout::{NAMED, entries};
use crate::files::manifest::Manifest;
use crate::files::operation;

/// Removes all files below `trace/` and `checkpoint/` of the run directory `run` that a run could have written and `manifest`
/// does not name, and the unfinished ones of `beside`, which lie beside them. What has another name, such as somebody's copy of
/// a checkpoint, is left.
///
/// # Errors
/// If a file cannot be removed; if a link stands where a directory of named files should be: nothing is removed then.
pub(super) fn remove_unnamed(run: &Path, manifest: &Manifest, beside: &[&str]) -> Result<()> {
    let segments = manifest.segments.iter().map(|segment| &segment.path);
    let checkpoints = manifest.checkpoints.iter().map(|checkpoint| &checkpoint.path);
    let named: BTreeSet<PathBuf> = segments.chain(checkpoints).map(|path| run.join(path)).collect();
    refuse_links(run, &named)?;
    NAMED.iter().try_for_each(|(directory, below)| remove_except(&run.join(directory), *below, &named))?;
    beside.iter().try_for_each(|name| remove_if_there(&run.join(format!("{name}.part"))))
}

/// Refuses links among the directories of the named files. A link in the place of a file is for whoever reads that.
fn refuse_links(run: &Path, named: &BTreeSet<PathBuf>) -> Result<()> {
    let directories = NAMED.iter().map(|(name, _)| run.join(name));
    let mut places: BTreeSet<PathBuf> = directories.collect();
    places.extend(named.iter().filter_map(|file| file.parent().map(Path::to_owned)));
    match places.into_iter().find(|path| path.is_symlink()) {
        Some(path) => Err(DataError::Link { path }),
        None => Ok(()),
    }
}

/// Removes all files below `trace/` and `checkpoint/` of the run directory `run`, and the directories.
pub(super) fn remove_all(run: &Path) -> Result<()> {
    for (directory, below) in NAMED {
        let directory = run.join(directory);
        remove_except(&directory, below, &BTreeSet::new())?;
        remove_empty(&directory);
    }
    Ok(())
}

/// Removes a directory in which there is nothing but empty directories. One that somebody put something in stays.
pub(super) fn remove_empty(directory: &Path) {
    let entries = directory.read_dir().into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .for_each(|entry| remove_empty(&entry.path()));
    let _ = operation::remove_directory(directory);
}

pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    match operation::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(DataError::io(path, "remove the file")),
    }
}

/// Makes it durable that files were removed from `directory` and those below it.
pub(super) fn sync_removals(directory: &Path) -> Result<()> {
    for entry in entries(directory)? {
        let entry = entry.map_err(DataError::io(directory, "list the directory"))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_removals(&entry.path())?;
        }
    }
    match directory.is_dir() {
        true => atomic::sync_directory(directory),
        false => Ok(()),
    }
}

/// Whether a run gives such a name to a file: `e00012-w00.parquet`, `e00012.safetensors`, and as they are called while they are
/// written.
fn is_of_a_run(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let name = name.strip_suffix(".part").unwrap_or(name);
    let is_number = |digits: &str, least: usize| {
        digits.len() >= least && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let Some(name) = name.strip_prefix('e') else { return false };
    if let Some(epoch) = name.strip_suffix(".safetensors") {
        return is_number(epoch, 5);
    }
    let parts = name.strip_suffix(".parquet").and_then(|name| name.split_once("-w"));
    parts.is_some_and(|(epoch, worker)| is_number(epoch, 5) && is_number(worker, 2))
}

/// Removes the files that a run could have written `below` directories down from `directory`, except the named ones, and empty
/// directories in their places; links are removed, not followed. What lies elsewhere, such as somebody's copy of a whole
/// directory, is left.
fn remove_except(directory: &Path, below: usize, named: &BTreeSet<PathBuf>) -> Result<()> {
    let mut removed = false;
    for entry in entries(directory)? {
        let entry = entry.map_err(DataError::io(directory, "list the directory"))?;
        let path = entry.path();
        let is_directory = entry.file_type().map_err(DataError::io(&path, "look at the file"))?.is_dir();
        if below > 0 {
            if is_directory {
                remove_except(&path, below - 1, named)?;
            }
        } else if is_of_a_run(&entry.file_name()) && !named.contains(&path) {
            if is_directory {
                remove_empty(&path);
            } else {
                operation::remove_file(&path).map_err(DataError::io(&path, "remove the file"))?;
                removed = true;
            }
        }
    }
    // After a power cut it would be there again, and nobody sweeps a run that is finished.
    if removed { atomic::sync_directory(directory) } else { Ok(()) }
}
