//! What a run has come to, at its end or where it was stopped.

use std::path::Path;

use serde_json::{Value as Json, json};
use spfde_data::EpochRow;

use super::flops;
use super::state::State;
use super::table::{or_dash, percent, precise, short};
use crate::verify::Sound;
use crate::{Error, Experiment};

/// Accuracy, counted and measured cost of the epochs so far.
pub fn summary(experiment: &Experiment, state: &State) -> String {
    let settings = experiment.settings();
    let accuracy = or_dash(state.epochs.last().and_then(|row| row.test_accuracy), precise);
    let mut lines = vec![format!("{} on {}: test accuracy {accuracy}", settings.model, settings.data.name)];
    let flops = short(flops(&state.epochs));
    let counted = state
        .counted()
        .map(|share| format!("cost of training: {flops} FLOPs counted, {} of dense", percent(share)));
    let measured = state
        .measured()
        .map(|share| format!("time of training: {} of dense (estimated from dense steps)", percent(share)));
    let observed = state.observed();
    let observed = (observed > 0).then(|| format!("observed on top: {} FLOPs", short(observed as f64)));
    lines.extend([counted, measured, observed].into_iter().flatten());
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
