//! Directories in which something lies already.

use std::path::Path;

use super::lock;
use crate::files::error::{DataError, Result};
use crate::files::layout::{CONFIG_NAME, LOCK_NAME, entries, part_of};
use crate::files::manifest::Manifest;
use crate::words::counted;

/// An error if a run, or something else, is in the directory already: more than what a process leaves that
/// died before it had written the configuration.
pub fn refuse_taken(path: &Path) -> Result<()> {
    let half = part_of(Path::new(CONFIG_NAME));
    let is_left = |name: &std::ffi::OsStr| name == LOCK_NAME || name == half;
    if path.is_dir() && !entries(path)?.iter().all(|entry| is_left(&entry.file_name())) {
        return Err(taken(path));
    }
    Ok(())
}

/// That the directory is not empty; of a run, how far it is.
pub fn taken(path: &Path) -> DataError {
    let Ok(manifest) = Manifest::read(path) else { return DataError::NotEmpty { path: path.to_owned() } };
    let held = lock::held_by(path, LOCK_NAME).ok().flatten();
    let Manifest { epochs_reached: reached, epochs, finished, replay_of, .. } = manifest;
    let wanted = counted(epochs, "epoch");
    // While it is in use it is not resumed, and a replay never is.
    let goes_on = held.is_none() && !finished && replay_of.is_none();
    let state = match held {
        Some(holder) => format!("is in use by {holder}"),
        None if finished => format!("is finished ({wanted})"),
        None => format!("has {reached} of {wanted}"),
    };
    DataError::RunThere { path: path.to_owned(), state, goes_on }
}
