//! Directories in which something lies already.

use std::path::Path;

use super::lock;
use crate::files::error::{DataError, Kind, Result};
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
    let Ok(manifest) = Manifest::read(path) else { return not_empty(path) };
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
    let what = format!("is the directory of a run, which {state}; nothing was overwritten");
    let remedy = match goes_on {
        true => "resume it, or choose another run directory",
        false => "choose another run directory",
    };
    DataError::refused(path, what, remedy).of(Kind::Taken)
}

/// That something lies in the directory.
pub(super) fn not_empty(path: &Path) -> DataError {
    let remedy = "choose another run directory or remove this one";
    DataError::refused(path, "is not empty; nothing was overwritten", remedy).of(Kind::Taken)
}
