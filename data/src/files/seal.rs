//! The seal of a JSON file: its last field, the BLAKE3 of all that stands before. And the versions of files:
//! a later one is refused before the rest is read, which may not be what is known.
//!
//! The manifest names the BLAKE3 of the other files, and nothing names its own; the description of machine
//! and program is replaced whenever the run is resumed, which no two files can do at once. Without a seal a
//! flipped bit in, say, the number of samples would go unnoticed.

use std::path::Path;

use serde::Deserialize;

use super::error::CHANGED;
use super::{DataError, Result};

/// What stands before the hash, and behind it.
const BEFORE: &str = ",\n  \"seal\": \"";
const BEHIND: &str = "\"\n}\n";
/// Hexadecimal digits of a BLAKE3.
const DIGITS: usize = 64;

/// Name of the field.
pub(super) const SEAL: &str = "seal";

/// Adds the seal to a JSON object with a field on each line.
pub(super) fn seal(json: String) -> Vec<u8> {
    let content = json.strip_suffix("\n}").expect("an object with fields, written line by line");
    let hash = blake3::hash(content.as_bytes()).to_hex();
    format!("{content}{BEFORE}{hash}{BEHIND}").into_bytes()
}

/// Whether a file looks as if it had a seal once: files of a time before there were seals have no such field.
pub(super) fn is_there(bytes: &[u8]) -> bool {
    bytes.windows(BEFORE.len()).any(|place| place == BEFORE.as_bytes())
}

/// Checks the seal; `path` is for messages.
pub(super) fn check(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = "does not end with its seal, the BLAKE3 of what stands before it";
    let unsealed = || DataError::refused(path, what, CHANGED);
    let sealed = bytes.strip_suffix(BEHIND.as_bytes()).ok_or_else(unsealed)?;
    let (rest, recorded) = sealed.split_at_checked(sealed.len().wrapping_sub(DIGITS)).ok_or_else(unsealed)?;
    let content = rest.strip_suffix(BEFORE.as_bytes()).ok_or_else(unsealed)?;
    let found = blake3::hash(content).to_hex();
    DataError::same(path, "BLAKE3", found.as_str(), &String::from_utf8_lossy(recorded))
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Checks the version that a file states in `field`.
pub(super) fn check_version(path: &Path, field: &str, found: u32, newest: u32) -> Result<u32> {
    match (1..=newest).contains(&found) {
        true => Ok(found),
        false => {
            let found = format!("{found}, this program knows versions up to {newest}");
            Err(DataError::unfit(path, field, found, "", "use a newer spfde"))
        }
    }
}

/// Reads and checks the field `version` of a JSON object, which messages call `field`.
pub(super) fn version_of_json(path: &Path, field: &str, json: &[u8], newest: u32) -> Result<u32> {
    let Version { version } = serde_json::from_slice(json).map_err(DataError::json(path))?;
    check_version(path, field, version, newest)
}
