//! What a run directory holds that its manifest does not name: left over, and removed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::files::layout::{CHECKPOINT, NAMED, entries, is_segment, is_stream_name, is_weights, part_of};
use crate::files::{DataError, Manifest, Result, atomic, operation};

/// Removes all files below `trace/` and `checkpoint/` of the run directory `run` that a run could have
/// written and `manifest` does not name. Also removes the unfinished ones of `beside`, which lie beside those
/// directories. All this is durable when it returns. A file with another name, such as the user's copy of a
/// checkpoint, is left.
///
/// # Errors
/// If a file cannot be removed; if a link stands where a directory of named files should be: nothing is
/// removed then.
pub(super) fn remove_unnamed(run: &Path, manifest: &Manifest, beside: &[&str]) -> Result<()> {
    remove_left_over(run, &manifest.files().into_iter().map(|path| run.join(path)).collect())?;
    beside.iter().try_for_each(|name| remove_if_there(&part_of(&run.join(name))))
}

/// Removes all files below `trace/` and `checkpoint/` of the run directory `run`, and the directories.
pub(super) fn remove_all(run: &Path) -> Result<()> {
    remove_left_over(run, &BTreeSet::new())?;
    NAMED.iter().for_each(|directory| remove_empty(&run.join(directory)));
    Ok(())
}

/// Removes a directory in which there is nothing but empty directories. One that the user put something in
/// stays.
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

/// Removes the files that a run could have written to `trace/` and `checkpoint/` of the run directory `run`,
/// except the named ones. What lies elsewhere is left, such as the user's copy of a whole directory under a
/// name that no stream has.
fn remove_left_over(run: &Path, named: &BTreeSet<PathBuf>) -> Result<()> {
    let mut tables = Vec::new();
    for directory in NAMED.map(|name| run.join(name)) {
        atomic::refuse_link(&directory)?;
        for entry in entries(&directory)? {
            let path = entry.path();
            // A link to something else can be no directory. If it is in the place of a file, the code that
            // reads that file refuses it.
            if entry.file_name().to_str().is_some_and(is_stream_name) && path.is_dir() {
                atomic::refuse_link(&path)?;
                tables.push(path);
            }
        }
    }
    remove_except(&run.join(CHECKPOINT), is_weights, named)?;
    tables.iter().try_for_each(|table| remove_except(table, is_segment, named))
}

/// Removes the files in `directory` that a run calls so, except the named ones, and empty directories in
/// their places; links are removed, not followed.
fn remove_except(directory: &Path, is_of_a_run: fn(&OsStr) -> bool, named: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in entries(directory)? {
        let path = entry.path();
        if !is_of_a_run(&entry.file_name()) || named.contains(&path) {
            continue;
        }
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => remove_empty(&path),
            false => remove_if_there(&path)?,
        }
    }
    // Without this the files could be there again after a power cut, and no process sweeps a finished run.
    if directory.is_dir() { atomic::sync_directory(directory) } else { Ok(()) }
}
