//! Directories in which something lies already.

use std::path::Path;

use super::CONFIG_NAME;
use super::lock::{self, LOCK_NAME};
use crate::files::error::{DataError, Result};
use crate::files::manifest::Manifest;
use crate::words::counted;

/// An error if a run, or something else, is in the directory already: more than what a process leaves that died before it
/// had written the configuration.
pub fn refuse_taken(path: &Path) -> Result<()> {
    if !path.is_dir() {
        return Ok(());
    }
    let half = format!("{CONFIG_NAME}.part");
    for entry in path.read_dir().map_err(DataError::io(path, "list the directory"))? {
        let name = entry.map_err(DataError::io(path, "list the directory"))?.file_name();
        if name != LOCK_NAME && name != *half {
            return Err(taken(path));
        }
    }
    Ok(())
}

/// That the directory is not empty; of a run, how far it is.
pub fn taken(path: &Path) -> DataError {
    let Ok(manifest) = Manifest::read(path) else { return DataError::NotEmpty { path: path.to_owned() } };
    let held = match lock::refuse_held(path, LOCK_NAME) {
        Err(DataError::Locked { holder, .. }) => Some(holder),
        _ => None,
    };
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
