//! A run that is read, and what it says of machine and program: where, and by which program, it was begun and
//! resumed.

use std::path::{Path, PathBuf};

use crate::files::layout::{ARCHITECTURE_NAME, CONFIG_NAME, ENVIRONMENT_NAME, START_NAME};
use crate::files::manifest::RESUMED_FROM;
use crate::files::{
    DataError, Kind, Manifest, Result, StartedFrom, atomic, hash_file, inside, read_limited, seal, weights,
};

/// Bytes of a configuration, or of an architecture.
const TEXT_LIMIT: u64 = 1 << 20;

/// Bytes of an environment file: its writer forgets what would make it longer, the oldest times that the run
/// went on first.
const ENVIRONMENT_LIMIT: u64 = 1 << 20;

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

    /// BLAKE3 of the manifest, in hexadecimal: since it names the BLAKE3 of every segment, it names the
    /// record.
    pub fn manifest_blake3(&self) -> &str {
        &self.manifest_blake3
    }

    /// An error if it has not come to its end and was begun by a version whose runs this one does not go on
    /// with.
    ///
    /// # Errors
    /// One of [`Kind::OldRun`], which names the version that began it.
    pub fn refuse_old(&self) -> Result<()> {
        let Manifest { version, finished, created_by, .. } = &self.manifest;
        if *finished || *version >= RESUMED_FROM {
            return Ok(());
        }
        let environment = self.environment().unwrap_or_default();
        let began = match environment["revision"].as_str() {
            Some(revision) => format!("{created_by} (revision {revision})"),
            None => created_by.clone(),
        };
        let what = format!(
            "the run was begun by {began}, and its manifest is of version {version}; this program verifies \
             and replays it, but does not go on with it: resume it with the program that began it"
        );
        Err(DataError::refused(&self.path, what, "").of(Kind::OldRun))
    }

    /// The text of `config.toml`.
    ///
    /// # Errors
    /// If it cannot be read, or is not the configuration that the run began with.
    pub fn config_unchanged(&self) -> Result<String> {
        match &self.manifest.configuration {
            Some(expected) => self.unchanged(CONFIG_NAME, "configuration", expected),
            None => read_config(&self.path),
        }
    }

    /// The text of `architecture.json`; `None` of a run of a time before it was written.
    ///
    /// # Errors
    /// If it cannot be read, or is not what the run began with.
    pub fn architecture(&self) -> Result<Option<String>> {
        let expected = self.manifest.architecture.as_ref();
        expected.map(|expected| self.unchanged(ARCHITECTURE_NAME, "architecture", expected)).transpose()
    }

    /// The weights that the run began with: the file with them, and what the manifest says of them; `None` if
    /// the run drew them.
    ///
    /// # Errors
    /// If the file cannot be read, or is not what the run began with.
    pub fn start(&self) -> Result<Option<(PathBuf, &StartedFrom)>> {
        let Some(started) = &self.manifest.started_from else { return Ok(None) };
        let path = inside(&self.path, START_NAME)?;
        let (_, blake3) = hash_file(&path, weights::WEIGHTS_LIMIT)?;
        DataError::same(&path, "BLAKE3", &blake3, &started.weights)?;
        Ok(Some((path, started)))
    }

    /// A text whose BLAKE3 has to be what is `expected`.
    fn unchanged(&self, name: &str, what: &str, expected: &str) -> Result<String> {
        let path = inside(&self.path, name)?;
        let text = read_text(&path)?;
        if blake3::hash(text.as_bytes()).to_hex().as_str() == expected {
            return Ok(text);
        }
        let what = format!("is not the {what} that the run began with");
        Err(DataError::refused(&path, what, "restore it, or start another run with it"))
    }

    /// The content of `environment.json`.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub fn environment(&self) -> Result<serde_json::Value> {
        let path = inside(&self.path, ENVIRONMENT_NAME)?;
        let bytes = read_limited(&path, ENVIRONMENT_LIMIT)?;
        if self.manifest.sealed_environment || seal::is_there(&bytes) {
            seal::check(&path, &bytes)?;
        }
        let mut environment: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(DataError::json(&path))?;
        if let Some(fields) = environment.as_object_mut() {
            fields.remove(seal::SEAL);
        }
        Ok(environment)
    }
}

/// The text of `config.toml` in the run directory `run`, whether it has a manifest or not.
pub fn read_config(run: &Path) -> Result<String> {
    read_text(&inside(run, CONFIG_NAME)?)
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = read_limited(path, TEXT_LIMIT)?;
    String::from_utf8(bytes).map_err(|error| DataError::refused(path, format!("cannot read: {error}"), ""))
}

/// Replaces the description in the run directory `run`; durable when it returns.
pub(super) fn write_environment(run: &Path, environment: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(environment).expect("a JSON value is JSON");
    atomic::write(&run.join(ENVIRONMENT_NAME), &seal::seal(text))
}
