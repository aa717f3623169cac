//! A run in a comparison: its settings, and what came of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use spfde_data::files::{RunDirectory, plausible};
use spfde_data::{EpochRow, Value, are, counted};

use crate::replay::rows;
use crate::{Result, Source};

/// The setting that tells a replay from a run that trained, where both are compared.
const REPLAY: &str = "replay";

/// A recorded run, as far as it is committed.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The run directory.
    pub directory: PathBuf,
    /// The resolved settings, by key; `replay` says whether it is one, `"true"` or `"false"`.
    pub settings: BTreeMap<String, Value>,
    /// What it was trained on: the fingerprint of its data set.
    pub data_set: String,
    /// Epochs that are committed.
    pub epochs: u32,
    /// Whether it came to its end; if not, how many epochs it was to have.
    pub unfinished: Option<u32>,
    /// Share of the test set that is right after the last epoch; `None` of a replay, or before an epoch.
    pub test_accuracy: Option<f64>,
    /// FLOPs of training that were counted: forward, backward, and what policies asked for beyond.
    pub flops: f64,
    /// FLOPs of as many epochs without mask, freezing and sieve.
    pub dense_flops: f64,
    /// Seconds of wall clock in all sessions, evaluation included; `None` if some epoch lacks them.
    pub seconds: Option<f64>,
    /// The most bytes of memory of the process that trained it, if that is known.
    pub peak_memory_bytes: Option<u64>,
}

impl Case {
    /// Reads the run in `directory`, which may go on.
    ///
    /// # Errors
    /// If there is no run, or its manifest, its configuration or its table `epochs` cannot be read.
    pub fn read(directory: &Path) -> Result<Self> {
        let run = RunDirectory::open(directory)?;
        let manifest = run.manifest();
        plausible::rows(directory, manifest)?;
        // Those of the manifest lack what an earlier version had no key for.
        let source = Source::of_run(directory, &run.config_unchanged()?)?;
        let mut settings: BTreeMap<String, Value> = source.entries().iter().cloned().collect();
        settings.insert(REPLAY.to_owned(), Value::Text(manifest.replay_of.is_some().to_string()));
        let epochs: Vec<EpochRow> = rows(directory, manifest, 0..manifest.epochs_reached)?;
        let sum = |of: fn(&EpochRow) -> u64| epochs.iter().fold(0.0, |sum, row| sum + of(row) as f64);
        let seconds = epochs.iter().try_fold(0.0, |sum, row| Some(sum + row.seconds?));
        Ok(Self {
            directory: directory.to_owned(),
            settings,
            data_set: manifest.data_set.fingerprint.clone(),
            epochs: manifest.epochs_reached,
            unfinished: (!manifest.finished).then_some(manifest.epochs),
            test_accuracy: epochs.last().and_then(|row| row.test_accuracy),
            flops: sum(|row| row.forward_flops + row.backward_flops + row.extra_flops),
            dense_flops: sum(|row| row.dense_flops),
            seconds: seconds.filter(|_| !epochs.is_empty()),
            peak_memory_bytes: manifest.peak_memory_bytes,
        })
    }

    /// Counted FLOPs as a share of dense training; `None` before there is an epoch.
    pub fn of_dense(&self) -> Option<f64> {
        (self.dense_flops > 0.0).then(|| self.flops / self.dense_flops)
    }

    /// That its numbers are of a part of a run, in words.
    pub(super) fn note(&self) -> Option<String> {
        let (reached, directory) = (self.epochs, self.directory.display());
        let planned = counted(self.unfinished?, "epoch");
        Some(format!("{directory}: {reached} of {planned} {} recorded", are(reached)))
    }
}
