//! What a run has come to so far.

use std::collections::BTreeMap;

use spfde_data::{EpochRow, TimingRow};

use super::epochs::Line;
use super::share_of_dense;

/// Stages whose time is the cost of training; the rest is evaluation and bookkeeping.
const TRAINING: [&str; 6] = ["load", "gradients", "reduce", "update", "mask", "sieve"];

/// What a run has come to so far.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The committed epochs.
    pub epochs: Vec<EpochRow>,
    /// Seconds spent on training in each epoch, over all workers.
    pub training: BTreeMap<u32, f64>,
    /// Seconds that one thread would take for a dense epoch on all samples, if that was measured.
    pub dense_epoch_seconds: Option<f64>,
}

impl State {
    /// Adds an epoch; its line in the table.
    pub(crate) fn add(&mut self, row: &EpochRow) -> Line {
        self.epochs.push(row.clone());
        (row.clone(), self.seconds())
    }

    /// Adds the time that a worker spent in a stage.
    pub(crate) fn add_time(&mut self, row: &TimingRow) {
        if TRAINING.contains(&row.stage.as_str()) {
            *self.training.entry(row.epoch).or_default() += row.seconds;
        }
    }

    /// Seconds of the epochs, in all sessions of the run; `None` if some are not recorded.
    pub fn seconds(&self) -> Option<f64> {
        self.epochs.iter().try_fold(0.0, |sum, row| Some(sum + row.seconds?))
    }

    /// FLOPs of what was only observed.
    pub fn observed(&self) -> u64 {
        self.epochs.iter().map(|row| row.observed_flops).sum()
    }

    /// Counted FLOPs as a share of dense training on all samples, over the complete epochs.
    pub fn counted(&self) -> Option<f64> {
        (!self.epochs.is_empty()).then(|| share_of_dense(&self.epochs))
    }

    /// Measured time of training as a share of what dense training on all samples would take on as many
    /// threads.
    pub fn measured(&self) -> Option<f64> {
        let dense = self.dense_epoch_seconds? * self.epochs.len() as f64;
        let training = self.epochs.iter().filter_map(|row| self.training.get(&row.epoch));
        (dense > 0.0).then(|| training.sum::<f64>() / dense)
    }
}
