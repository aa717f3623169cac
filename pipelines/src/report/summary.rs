//! What a run has come to: so far, at its end, or where it was stopped.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};
use spfde_data::{EpochRow, TimingRow};

use super::epochs::Line;
use super::table::{or_dash, percent, precise, short};
use super::{flops, share_of_dense};
use crate::verify::Sound;
use crate::{Error, Experiment};

/// Stages whose time is the cost of training; the rest is evaluation and bookkeeping.
pub(crate) const TRAINING: [&str; 6] = ["load", "gradients", "reduce", "update", "mask", "sieve"];

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

/// Accuracy, counted and measured cost of the epochs so far.
pub fn summary(experiment: &Experiment, state: &State) -> String {
    let settings = experiment.settings();
    let accuracy = or_dash(state.epochs.last().and_then(|row| row.test_accuracy), precise);
    let mut lines = vec![format!("{} on {}: test accuracy {accuracy}", settings.model, settings.data.name)];
    let flops = short(flops(&state.epochs));
    let (counted, measured) = (state.counted().map(percent), state.measured().map(percent));
    let counted = counted.map(|share| format!("cost of training: {flops} FLOPs counted, {share} of dense"));
    let estimated = |share| format!("time of training: {share} of dense (estimated from dense steps)");
    let observed = state.observed();
    let observed = (observed > 0).then(|| format!("observed on top: {} FLOPs", short(observed as f64)));
    lines.extend([counted, measured.map(estimated), observed].into_iter().flatten());
    lines.join("\n")
}

/// An epoch for programs: numbers of the trace keep their names.
pub fn epoch_json(row: &EpochRow) -> Json {
    let mut object = json!(row);
    object["event"] = "epoch".into();
    object
}

/// The end of a run for programs: its summary, where it is, and why it ended, or what was verified of it.
pub fn end_json(state: &State, directory: Option<&Path>, ended: Result<Option<&Sound>, &Error>) -> Json {
    let code = ended.err().map_or(0, Error::exit_code);
    let outcomes = [(0, "finished"), (3, "stopped"), (130, "interrupted")];
    json!({
        "event": "end",
        "outcome": outcomes.iter().find(|(of, _)| *of == code).map_or("failed", |(_, outcome)| outcome),
        "exit_code": code,
        "reason": ended.err().map(ToString::to_string),
        "verified": ended.ok().flatten().map(ToString::to_string),
        "run_directory": directory.map(|path| path.display().to_string()),
        "epochs": state.epochs.len(),
        "test_accuracy": state.epochs.last().and_then(|row| row.test_accuracy),
        "flops": flops(&state.epochs),
        "flops_of_dense": state.counted(),
        "time_of_dense": state.measured(),
        "observed_flops": state.observed(),
        "seconds": state.seconds(),
    })
}
