//! What a run has come to, at its end or where it was stopped.

use serde_json::{Value as Json, json};

use super::state::State;
use super::table::{or_dash, percent, precise, short};
use crate::experiment::Experiment;

/// Accuracy, counted and measured cost of the epochs so far.
pub fn summary(experiment: &Experiment, state: &State) -> String {
    let settings = experiment.settings();
    let accuracy = or_dash(state.epochs.last().and_then(|row| row.test_accuracy), precise);
    let mut lines = vec![format!("{} on {}: test accuracy {accuracy}", settings.model, settings.data.name)];
    let counted = state.counted().map(|share| {
        format!("cost of training: {} FLOPs counted, {} of dense", short(state.flops), percent(share))
    });
    let measured = state
        .measured()
        .map(|share| format!("time of training: {} of dense (estimated from dense steps)", percent(share)));
    let observed = state.observed();
    let observed = (observed > 0).then(|| format!("observed on top: {} FLOPs", short(observed as f64)));
    lines.extend([counted, measured, observed].into_iter().flatten());
    lines.join("\n")
}

/// The same for programs: numbers of the trace keep their names.
pub fn summary_json(state: &State) -> Json {
    json!({
        "epochs": state.epochs.len(),
        "test_accuracy": state.epochs.last().and_then(|row| row.test_accuracy),
        "flops": state.flops,
        "flops_of_dense": state.counted(),
        "time_of_dense": state.measured(),
        "observed_flops": state.observed(),
        "seconds": state.seconds,
    })
}
