//! What a run has come to so far.

use std::collections::BTreeMap;

use spfde_data::rows::{EpochRow, TimingRow};

use super::epochs::Line;

/// Stages whose time is the cost of training; the rest is evaluation and bookkeeping.
const TRAINING: [&str; 6] = ["load", "gradients", "reduce", "update", "mask", "sieve"];

/// What a run has come to so far.
#[derive(Clone, Debug)]
pub struct State {
    /// The committed epochs.
    pub epochs: Vec<EpochRow>,
    /// FLOPs of the committed epochs.
    pub flops: f64,
    /// FLOPs of as many dense epochs on all samples.
    pub dense_flops: f64,
    /// Seconds of the committed epochs, in all sessions of the run; `None` if some are not recorded.
    pub seconds: Option<f64>,
    /// Seconds spent on training in each epoch, over all workers.
    training: BTreeMap<u32, f64>,
    /// Seconds that one thread would take for a dense epoch on all samples, if that was measured.
    pub dense_epoch_seconds: Option<f64>,
}

impl State {
    /// Before the first epoch, with what a dense epoch would take.
    pub(crate) fn new(dense_epoch_seconds: Option<f64>) -> Self {
        Self {
            epochs: Vec::new(),
            flops: 0.0,
            dense_flops: 0.0,
            seconds: Some(0.0),
            training: BTreeMap::new(),
            dense_epoch_seconds,
        }
    }

    /// Adds an epoch; its line in the table.
    pub(crate) fn add(&mut self, row: &EpochRow) -> Line {
        self.flops += (row.forward_flops + row.backward_flops) as f64;
        self.dense_flops += row.dense_flops as f64;
        self.seconds = self.seconds.zip(row.seconds).map(|(sum, seconds)| sum + seconds);
        self.epochs.push(row.clone());
        (row.clone(), self.seconds)
    }

    /// Adds the time that a worker spent in a stage.
    pub(crate) fn add_time(&mut self, row: &TimingRow) {
        if TRAINING.contains(&row.stage.as_str()) {
            *self.training.entry(row.epoch).or_default() += row.seconds;
        }
    }

    /// FLOPs of what was only observed.
    pub fn observed(&self) -> u64 {
        self.epochs.iter().map(|row| row.observed_flops).sum()
    }

    /// Counted FLOPs as a share of dense training on all samples, over the complete epochs.
    pub fn counted(&self) -> Option<f64> {
        (self.dense_flops > 0.0).then(|| self.flops / self.dense_flops)
    }

    /// Measured time of training as a share of what dense training on all samples would take on as many
    /// threads.
    pub fn measured(&self) -> Option<f64> {
        let dense = self.dense_epoch_seconds? * self.epochs.len() as f64;
        let training = self.epochs.iter().filter_map(|row| self.training.get(&row.epoch));
        (dense > 0.0).then(|| training.sum::<f64>() / dense)
    }
}
