//! The description of machine and program: on which machine, in which directory and by which program a run
//! was begun and resumed.

use std::path::Path;

use crate::files::atomic;
use crate::files::error::{DataError, Result};
use crate::files::layout::ENVIRONMENT_NAME;
use crate::files::read_limited::{inside, read_limited};
use crate::files::seal;

/// Bytes of an environment file: its writer forgets what would make it longer, the oldest times that the run
/// went on first.
const ENVIRONMENT_LIMIT: u64 = 1 << 20;

/// Replaces the description in the run directory `run`; durable when it returns.
pub(super) fn write(run: &Path, environment: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(environment).expect("a JSON value is JSON");
    atomic::write(&run.join(ENVIRONMENT_NAME), &seal::seal(text))
}

/// The description in the run directory `run`; whether it must be `sealed` is for the manifest to say.
///
/// # Errors
/// If it cannot be read, or is not what was written.
pub(super) fn read(run: &Path, sealed: bool) -> Result<serde_json::Value> {
    let path = inside(run, ENVIRONMENT_NAME)?;
    let bytes = read_limited(&path, ENVIRONMENT_LIMIT)?;
    if sealed || seal::is_there(&bytes) {
        seal::check(&path, &bytes)?;
    }
    let mut environment: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(DataError::json(&path))?;
    if let Some(fields) = environment.as_object_mut() {
        fields.remove(seal::SEAL);
    }
    Ok(environment)
}
