//! Runs, as words of the command line name them.

use std::path::{Component, Path, PathBuf};

use spfde_data::files::MANIFEST_NAME;

use crate::grid::TABLE_NAME;
use crate::sweep::TABLE_NAME as SWEPT_NAME;
use crate::{Error, Result};

/// The directory of the run that a word names: it may be that of a file or folder in it, or lead there by
/// links.
fn run_of(word: &Path) -> PathBuf {
    let is_run = |path: &&Path| path.join(MANIFEST_NAME).is_file();
    if is_run(&word) || word.join(TABLE_NAME).is_file() {
        return word.to_owned();
    }
    let above = |path: &Path| path.ancestors().skip(1).find(is_run).map(Path::to_owned);
    // As it was typed, if that leads there: what is above `a/..` is told by the real path alone.
    let is_plain = word.exists() && !word.components().any(|part| part == Component::ParentDir);
    let typed = above(word).filter(|_| is_plain);
    let found = typed.or_else(|| above(&word.canonicalize().ok()?));
    match found {
        Some(path) if path.as_os_str().is_empty() => PathBuf::from("."),
        found => found.unwrap_or_else(|| word.to_owned()),
    }
}

/// The runs that words name; all runs of a sweep, in order of their names, if a word names its directory.
///
/// # Errors
/// If a sweep has no run yet.
pub(super) fn all_runs_of(words: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let named = words.iter().map(|word| runs_of(&run_of(word)));
    Ok(named.collect::<Result<Vec<_>>>()?.concat())
}

/// As [`run_of`], where a sweep will not do.
///
/// # Errors
/// If it is the directory of a sweep: names a run in it, if there is one yet.
pub(super) fn single_run_of(word: &Path) -> Result<PathBuf> {
    let directory = run_of(word);
    match runs_of(&directory)?.swap_remove(0) {
        run if run == directory => Ok(run),
        run => Err(of_sweep(&directory, &format!("name a run of it, such as {}", run.display()))),
    }
}

/// What is wrong with the directory of a sweep.
fn of_sweep(directory: &Path, what: &str) -> Error {
    Error::usage(format!("{}: is the directory of a sweep; {what}", directory.display()))
}

/// A run, or the runs of a sweep in place of its directory, in order of their names; at least one.
fn runs_of(directory: &Path) -> Result<Vec<PathBuf>> {
    if directory.join(MANIFEST_NAME).exists() || !directory.join(SWEPT_NAME).exists() {
        return Ok(vec![directory.to_owned()]);
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut runs: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.join(MANIFEST_NAME).exists()).collect();
    runs.sort();
    (!runs.is_empty()).then_some(runs).ok_or_else(|| of_sweep(directory, "it has no run yet"))
}
