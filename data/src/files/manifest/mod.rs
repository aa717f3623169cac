//! The manifest of a run: the only commit point. What it does not name does not exist.

mod check;
mod data_set;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::data_set::DataSetRecord;
pub use crate::files::layout::MANIFEST_NAME;
use crate::files::{DataError, Kind, Result, atomic, inside, layout, read_limited, seal};
use crate::rows::ADDED_STREAMS;
pub use crate::segment::Checkpoint;
use crate::{DataSet, Densities, Images, Segment};

/// Version of the manifest's fields. From 2 on a manifest ends with a seal, by which any change of it is
/// noticed. Version 3 adds `ended_early` and `architecture`; its runs were made by a program whose policies
/// decide from typed state, so that runs of earlier versions are verified and replayed, but not resumed.
pub const MANIFEST_VERSION: u32 = 3;

/// The first version with a seal.
const SEALED: u32 = 2;

/// The first version whose runs are resumed.
pub const RESUMED_FROM: u32 = 3;

/// Bytes of a manifest: some hundred thousand segments.
const MANIFEST_LIMIT: u64 = 256 << 20;

/// Bytes of a checkpoint file.
pub(crate) const CHECKPOINT_LIMIT: u64 = 64 << 30;

/// What a run consists of, and how far it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// BLAKE3 of `architecture.json`, in hexadecimal; `None` if there is none, as before version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Whether `environment.json` ends with a seal, too; not in manifests of a time before it did.
    #[serde(default)]
    pub sealed_environment: bool,
    /// The resolved settings, by key, as in `config.toml`; empty in manifests of a time before they were
    /// there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, serde_json::Value>,
    /// How many epochs the configuration asks for.
    pub epochs: u32,
    /// How many epochs are committed: the next one is this.
    pub epochs_reached: u32,
    /// Whether the run came to its end; one that was stopped can go on.
    pub finished: bool,
    /// Why the run came to its end before its last epoch, as a success; `None` if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<String>,
    /// Why the run stopped before its end; `None` if it did not.
    pub stopped: Option<String>,
    /// The most bytes of memory that a process had which held the run while it trained, its data set
    /// included; of several processes that of process 0. `None` where it is not known. No program compares
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The run whose record was replayed; `None` for a run that trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<ReplayOf>,
    /// The weights that the run began with, in place of what it would have drawn; `None` if it drew them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_from: Option<StartedFrom>,
    /// The committed segments, in this order: by stream, epoch, worker.
    pub segments: Vec<Segment>,
    /// The committed checkpoint files, by epoch and path.
    pub checkpoints: Vec<Checkpoint>,
    /// The weights after epochs that were the best on the validation set when they were committed, by epoch:
    /// the last is the best. Earlier ones stay as long as the run may go back to before it. A finished run
    /// has one, `checkpoint/best.safetensors`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub best: Vec<Checkpoint>,
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

/// Which weights a run began with: `start.safetensors` in its directory is a copy of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedFrom {
    /// The file, or the directory of the parent run, from the root of the file system on.
    pub path: String,
    /// BLAKE3 of the file of weights, in hexadecimal.
    pub weights: String,
    /// BLAKE3 of the manifest of the parent run, whose masks and momenta the run took over, too, in
    /// hexadecimal; `None` for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

impl Manifest {
    /// The first manifest of a run of `epochs` epochs on `set`: nothing is committed.
    pub fn new(set: &DataSet, epochs: u32) -> Self {
        let (train_rows, test_rows) = (set.train.len() as u64, set.test.len() as u64);
        let Images { channels, height, width, .. } = *set.train;
        let data_set = DataSetRecord {
            name: set.name.clone(),
            train_rows,
            test_rows,
            channels,
            height,
            width,
            classes: set.classes,
            fingerprint: set.fingerprint.clone(),
            class_names: set.class_names.clone(),
            column_names: set.column_names.clone(),
            normalization: Some(set.normalization.clone()),
            table: Some(set.train.is_table()),
        };
        Self::of(data_set, epochs)
    }

    /// As [`Manifest::new`], for a data set that is known by its record only.
    pub fn of(data_set: DataSetRecord, epochs: u32) -> Self {
        let created_by = concat!("spfde ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { version: MANIFEST_VERSION, created_by, data_set, epochs, ..Self::default() }
    }

    /// Reads the manifest of the run directory `run` and checks every field that can be checked without other
    /// files.
    pub fn read(run: &Path) -> Result<Self> {
        Ok(Self::read_hashed(run)?.0)
    }

    /// As [`Manifest::read`], with the BLAKE3 of the file, in hexadecimal.
    pub(crate) fn read_hashed(run: &Path) -> Result<(Self, String)> {
        if run.is_file() {
            let what = "is a file, not the directory of a run";
            return Err(DataError::refused(run, what, "name the directory"));
        }
        let path = inside(run, MANIFEST_NAME)?;
        if matches!(path.try_exists(), Ok(false)) {
            if matches!(run.try_exists(), Ok(false)) {
                let what = "there is nothing of that name";
                return Err(DataError::refused(run, what, "name the directory of a run"));
            }
            // What it had after its first manifest.
            let found = layout::first_file(run).ok().flatten();
            return Err(match found.filter(|_| run.join(layout::CONFIG_NAME).is_file()) {
                Some(found) => Self::lost(run, &found),
                None => {
                    let remedy = "it is not the directory of a run, or the run ended before it began";
                    DataError::refused(run, "has no manifest.json", remedy).of(Kind::NotARun)
                }
            });
        }
        let bytes = read_limited(&path, MANIFEST_LIMIT)?;
        Ok((Self::parse(&path, &bytes)?, blake3::hash(&bytes).to_hex().to_string()))
    }

    /// That the manifest of the run in the directory `run` is gone, where there is the file `found` of a run.
    pub(crate) fn lost(run: &Path, found: &str) -> DataError {
        let what = format!("has no {MANIFEST_NAME}, but {found}, which no run has before its manifest");
        let remedy = "nothing was changed; restore manifest.json from a copy, or start another run";
        DataError::refused(run, what, remedy)
    }

    /// Reads and checks the bytes of a manifest; `path` is for messages.
    ///
    /// # Errors
    /// If they are no manifest, of a later version, or not what was written; if a field cannot be true.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let version = seal::version_of_json(path, "version", bytes, MANIFEST_VERSION)?;
        // The number of a version may be what was changed.
        if version >= SEALED || seal::is_there(bytes) {
            seal::check(path, bytes)?;
        }
        let mut manifest: Self = serde_json::from_slice(bytes).map_err(DataError::json(path))?;
        check::check(path, &manifest)?;
        // They were, unless another program wrote them.
        manifest.segments.sort();
        Ok(manifest)
    }

    /// Replaces the manifest of the run directory `run` by one of the latest version; durable when it
    /// returns.
    pub fn write(&self, run: &Path) -> Result<()> {
        atomic::write(&run.join(MANIFEST_NAME), &self.encode())
    }

    /// The bytes that [`Manifest::write`] writes.
    pub fn encode(&self) -> Vec<u8> {
        let latest = Self { version: MANIFEST_VERSION, ..self.clone() };
        seal::seal(serde_json::to_string_pretty(&latest).expect("a manifest is plain data"))
    }

    /// The segments of a stream in the given epochs, by epoch, then worker.
    pub fn segments_of(&self, stream: &str, epochs: Range<u32>) -> &[Segment] {
        debug_assert!(self.segments.is_sorted(), "segments are in their order");
        let place = |segment: &Segment, epoch| (&*segment.stream, segment.epoch) < (stream, epoch);
        let before = |epoch| self.segments.partition_point(|segment| place(segment, epoch));
        &self.segments[before(epochs.start)..before(epochs.end.max(epochs.start))]
    }

    /// Those of one epoch, by worker.
    pub fn segments_at(&self, stream: &str, epoch: u32) -> &[Segment] {
        self.segments_of(stream, epoch..epoch.saturating_add(1))
    }

    /// An error if some committed epoch has no segment of a stream.
    pub(crate) fn check_stream(&self, run: &Path, stream: &str) -> Result<()> {
        let segments = self.segments.iter().filter(|segment| segment.stream == stream);
        let epochs: BTreeSet<u32> = segments.map(|segment| segment.epoch).collect();
        // Not epoch by epoch: how many there should be is only what the manifest says.
        let begins = epochs.first().copied().filter(|_| ADDED_STREAMS.contains(&stream)).unwrap_or(0);
        let expected = begins.min(self.epochs_reached)..self.epochs_reached;
        let Some(first) = expected.clone().find(|epoch| !epochs.contains(epoch)) else {
            return Ok(());
        };
        let missing = match expected.len() - epochs.range(expected).count() {
            1 => format!("committed epoch {}", first + 1),
            count => format!("{count} committed epochs, the first of them {}", first + 1),
        };
        let what = format!("stream {stream} has no segment of {missing}");
        Err(DataError::refused(&run.join(MANIFEST_NAME), what, "the manifest was changed"))
    }

    /// Every file that it names, relative to the run directory.
    pub fn files(&self) -> BTreeSet<&str> {
        let segments = self.segments.iter().map(|segment| &*segment.path);
        let weights = self.checkpoints.iter().chain(&self.best).map(|file| &*file.path);
        segments.chain(weights).collect()
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
}
