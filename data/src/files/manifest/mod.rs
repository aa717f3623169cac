//! The manifest of a run: the only commit point. What it does not name does not exist.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::error::{DataError, Result};
use crate::files::parquet_store::{is_stream_name, segment_path};
use crate::files::read_limited::read_limited;
use crate::files::{atomic, parquet_file};
use crate::images::DataSet;
pub use crate::segment::Checkpoint;
use crate::segment::{Densities, Segment};

/// Version of the manifest's fields.
pub const MANIFEST_VERSION: u32 = 1;

/// Name of the manifest within a run directory.
pub const MANIFEST_NAME: &str = "manifest.json";

/// Bytes of a manifest: some hundred thousand segments.
const MANIFEST_LIMIT: u64 = 256 << 20;

/// Rows of a segment: samples are numbered by `u32`, steps of an epoch as well.
const ROWS_LIMIT: u64 = 1 << 40;

/// Bytes of a checkpoint file.
pub(in crate::files) const CHECKPOINT_LIMIT: u64 = 64 << 30;

/// What a run consists of, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of these fields: [`MANIFEST_VERSION`].
    pub version: u32,
    /// What wrote it, such as `spfde 0.1.0`.
    pub created_by: String,
    /// What is trained on.
    pub data_set: DataSetRecord,
    /// BLAKE3 of `config.toml`, in hexadecimal; `None` in manifests of a time before runs could be resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// How many epochs the configuration asks for.
    pub epochs: u32,
    /// How many epochs are committed: the next one is this.
    pub epochs_reached: u32,
    /// Whether the run came to its end; one that was stopped can go on.
    pub finished: bool,
    /// Why the run stopped before its end; `None` if it did not.
    pub stopped: Option<String>,
    /// The run whose record was replayed; `None` for a run that trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<ReplayOf>,
    /// The committed segments, by stream, epoch, worker.
    pub segments: Vec<Segment>,
    /// The committed checkpoint files, by epoch and path.
    pub checkpoints: Vec<Checkpoint>,
}

/// Which record a replay read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayOf {
    /// The run directory, as it was named.
    pub path: String,
    /// BLAKE3 of its manifest, in hexadecimal: names every byte of the record.
    pub manifest: String,
    /// How many epochs were recorded.
    pub epochs: u32,
    /// Whose weights the costs count.
    pub densities: Densities,
}

/// Which data set a run uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSetRecord {
    /// Its name.
    pub name: String,
    /// Training images.
    pub train_rows: u64,
    /// Test images.
    pub test_rows: u64,
    /// Colour planes of an image.
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// BLAKE3 of its content, in hexadecimal.
    pub fingerprint: String,
}

impl Manifest {
    /// The first manifest of a run of `epochs` epochs on `set`: nothing is committed.
    pub fn new(set: &DataSet, epochs: u32) -> Self {
        let data_set = DataSetRecord {
            name: set.name.clone(),
            train_rows: set.train.len() as u64,
            test_rows: set.test.len() as u64,
            channels: set.train.channels,
            height: set.train.height,
            width: set.train.width,
            classes: set.classes,
            fingerprint: set.fingerprint.clone(),
        };
        Self::of(data_set, epochs)
    }

    /// As [`Manifest::new`], for a data set that is known by its record only.
    pub fn of(data_set: DataSetRecord, epochs: u32) -> Self {
        Self {
            version: MANIFEST_VERSION,
            created_by: concat!("spfde ", env!("CARGO_PKG_VERSION")).to_owned(),
            data_set,
            configuration: None,
            epochs,
            epochs_reached: 0,
            finished: false,
            stopped: None,
            replay_of: None,
            segments: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    /// Reads the manifest of the run directory `run` and checks every field that can be checked without other files.
    pub fn read(run: &Path) -> Result<Self> {
        Ok(Self::read_hashed(run)?.0)
    }

    /// As [`Manifest::read`], with the BLAKE3 of the file, in hexadecimal.
    pub(in crate::files) fn read_hashed(run: &Path) -> Result<(Self, String)> {
        let path = run.join(MANIFEST_NAME);
        if matches!(path.try_exists(), Ok(false)) {
            return Err(DataError::NotARun { path: run.to_owned() });
        }
        let bytes = read_limited(&path, MANIFEST_LIMIT)?;
        Ok((Self::parse(&path, &bytes)?, blake3::hash(&bytes).to_hex().to_string()))
    }

    /// Reads and checks the bytes of a manifest; `path` is for messages.
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let path = path.to_owned();
        let json = |source| DataError::Json { path: path.clone(), source };
        // The version first: the fields of a later one may not parse.
        let Version { version } = serde_json::from_slice(bytes).map_err(json)?;
        if version == 0 || version > MANIFEST_VERSION {
            return Err(DataError::Version {
                path,
                field: "version",
                found: version,
                newest: MANIFEST_VERSION,
            });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(json)?;
        manifest.check(&path)?;
        Ok(manifest)
    }

    /// Replaces the manifest of the run directory `run`; durable when it returns.
    pub fn write(&self, run: &Path) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self).expect("a manifest is plain data");
        json.push(b'\n');
        atomic::write(&run.join(MANIFEST_NAME), &json)
    }

    /// The segments of a stream in the given epochs, by epoch, then worker.
    pub fn segments_of(&self, stream: &str, epochs: Range<u32>) -> Vec<Segment> {
        let wanted = |segment: &&Segment| segment.stream == stream && epochs.contains(&segment.epoch);
        let mut segments: Vec<Segment> = self.segments.iter().filter(wanted).cloned().collect();
        segments.sort_by_key(|segment| (segment.epoch, segment.worker));
        segments
    }

    /// The epoch of the latest checkpoint, if there is one.
    pub fn last_checkpoint(&self) -> Option<u32> {
        self.checkpoint_epochs().last().copied()
    }

    /// The epochs at whose start there is a checkpoint, ascending.
    pub fn checkpoint_epochs(&self) -> BTreeSet<u32> {
        self.checkpoints.iter().map(|checkpoint| checkpoint.epoch).collect()
    }

    /// The files of the checkpoint at the start of `epoch`.
    pub fn checkpoint(&self, epoch: u32) -> impl Iterator<Item = &Checkpoint> {
        self.checkpoints.iter().filter(move |checkpoint| checkpoint.epoch == epoch)
    }

    /// The names of the streams that have segments, in alphabetical order.
    pub fn streams(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.segments.iter().map(|segment| segment.stream.as_str()).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Checks the fields; `path` is for messages.
    fn check(&self, path: &Path) -> Result<()> {
        check_hash(path, || "data_set.fingerprint".to_owned(), &self.data_set.fingerprint)?;
        if let Some(hash) = &self.configuration {
            check_hash(path, || "configuration".to_owned(), hash)?;
        }
        if self.epochs_reached > self.epochs {
            let found = u64::from(self.epochs_reached);
            DataError::limit(path, "epochs_reached", found, u64::from(self.epochs))?;
        }
        let mut paths = BTreeSet::new();
        if let Some(ReplayOf { manifest, .. }) = &self.replay_of {
            check_hash(path, || "replay_of.manifest".to_owned(), manifest)?;
        }
        for (index, segment) in self.segments.iter().enumerate() {
            let field = |name: &str| format!("segments[{index}].{name}");
            check_path(path, || field("path"), &segment.path)?;
            let expected = segment_path(&segment.stream, segment.epoch, segment.worker);
            if !is_stream_name(&segment.stream) || segment.path != expected {
                let (path, found) = (path.to_owned(), segment.path.clone());
                return Err(DataError::Value { path, field: field("path"), found, expected });
            }
            if segment.epoch >= self.epochs_reached {
                let expected = format!("an epoch below epochs_reached = {}", self.epochs_reached);
                let (path, found) = (path.to_owned(), segment.epoch.to_string());
                return Err(DataError::Value { path, field: field("epoch"), found, expected });
            }
            DataError::limit(path, &field("rows"), segment.rows, ROWS_LIMIT)?;
            DataError::limit(path, &field("bytes"), segment.bytes, parquet_file::FILE_LIMIT)?;
            check_hash(path, || field("blake3"), &segment.blake3)?;
            if !paths.insert(&segment.path) {
                let (path, found) = (path.to_owned(), segment.path.clone());
                return Err(DataError::Twice { path, field: "segments", found });
            }
        }
        for (index, checkpoint) in self.checkpoints.iter().enumerate() {
            let field = |name: &str| format!("checkpoints[{index}].{name}");
            check_path(path, || field("path"), &checkpoint.path)?;
            let (found, limit) = (u64::from(checkpoint.epoch), u64::from(self.epochs_reached));
            DataError::limit(path, &field("epoch"), found, limit)?;
            DataError::limit(path, &field("bytes"), checkpoint.bytes, CHECKPOINT_LIMIT)?;
            DataError::limit(path, &field("rows"), checkpoint.rows.unwrap_or(0), ROWS_LIMIT)?;
            check_hash(path, || field("blake3"), &checkpoint.blake3)?;
            if !paths.insert(&checkpoint.path) {
                let (path, found) = (path.to_owned(), checkpoint.path.clone());
                return Err(DataError::Twice { path, field: "checkpoints", found });
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// A path in a manifest stays within the run directory, on every operating system.
pub(in crate::files) fn check_path(manifest: &Path, field: impl Fn() -> String, path: &str) -> Result<()> {
    let inside = !path.is_empty()
        && !path.contains(['\\', ':', '\0'])
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && PathBuf::from(path).components().all(|part| matches!(part, Component::Normal(_)));
    if inside {
        return Ok(());
    }
    Err(DataError::UnsafePath { path: manifest.to_owned(), field: field(), found: path.to_owned() })
}

fn check_hash(manifest: &Path, field: impl Fn() -> String, hash: &str) -> Result<()> {
    if hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(DataError::Value {
        path: manifest.to_owned(),
        field: field(),
        found: hash.to_owned(),
        expected: "64 lowercase hexadecimal digits".to_owned(),
    })
}
