//! A run that is read.

use std::path::{Path, PathBuf};

use super::{CONFIG_NAME, environment};
use crate::files::error::{DataError, Result};
use crate::files::manifest::Manifest;
use crate::files::read_limited::{inside, read_limited};

/// Bytes of a configuration.
const TEXT_LIMIT: u64 = 1 << 20;

/// A run that is only read.
#[derive(Clone, Debug)]
pub struct RecordedRun {
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) manifest_blake3: String,
}

impl RecordedRun {
    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest as it was when the run was opened.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// BLAKE3 of the manifest, in hexadecimal: since it names the BLAKE3 of every segment, it names the record.
    pub fn manifest_blake3(&self) -> &str {
        &self.manifest_blake3
    }

    /// The text of `config.toml`.
    pub fn config(&self) -> Result<String> {
        read_config(&self.path)
    }

    /// As [`RecordedRun::config`], if it is the configuration that the run began with.
    pub fn config_unchanged(&self) -> Result<String> {
        let config = self.config()?;
        let found = blake3::hash(config.as_bytes()).to_hex();
        match &self.manifest.configuration {
            Some(expected) if found.as_str() != expected => {
                Err(DataError::ConfigurationChanged { path: self.path.join(CONFIG_NAME) })
            }
            _ => Ok(config),
        }
    }

    /// The content of `environment.json`.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub fn environment(&self) -> Result<serde_json::Value> {
        environment::read(&self.path, self.manifest.sealed_environment)
    }
}

/// The text of `config.toml` in the run directory `run`, whether it has a manifest or not.
pub fn read_config(run: &Path) -> Result<String> {
    read_text(&inside(run, CONFIG_NAME)?)
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = read_limited(path, TEXT_LIMIT)?;
    String::from_utf8(bytes).map_err(|error| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
        DataError::io(path, "read")(error)
    })
}
