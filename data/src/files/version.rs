//! The versions of files: a later one is refused before the rest is read, which may not be what is known.

use std::path::Path;

use serde::Deserialize;

use super::error::{DataError, Result};

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Checks the version that a file states in `field`.
pub(super) fn check(path: &Path, field: &str, found: u32, newest: u32) -> Result<u32> {
    match (1..=newest).contains(&found) {
        true => Ok(found),
        false => {
            let found = format!("{found}, this program knows versions up to {newest}");
            Err(DataError::unfit(path, field, found, "", "use a newer spfde"))
        }
    }
}

/// Reads and checks the field `version` of a JSON object, which messages call `field`.
pub(super) fn of_json(path: &Path, field: &str, json: &[u8], newest: u32) -> Result<u32> {
    let Version { version } = serde_json::from_slice(json).map_err(DataError::json(path))?;
    check(path, field, version, newest)
}
