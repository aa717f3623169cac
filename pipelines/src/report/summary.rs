//! The table at the end of a run.

use super::table::{or_dash, percent, precise, short, table_of};
use super::{share_of_dense, shown};
use crate::experiment::Experiment;
use crate::progress::{Progress, State};

/// Epochs, accuracy, counted and measured cost.
pub fn summary(experiment: &Experiment, progress: &Progress) -> String {
    let state = progress.state();
    let State { epochs, elapsed, flops, .. } = &state;
    let loss = |value| or_dash(value, |value| format!("{value:.3}"));
    let share = |value| or_dash(value, precise);
    let table = table_of(
        shown(epochs.len()),
        &[
            ("epoch", &|epoch| (epochs[*epoch].epoch + 1).to_string()),
            ("loss", &|epoch| loss(epochs[*epoch].train_loss)),
            ("accuracy", &|epoch| share(epochs[*epoch].train_accuracy)),
            ("test loss", &|epoch| loss(epochs[*epoch].test_loss)),
            ("test accuracy", &|epoch| share(epochs[*epoch].test_accuracy)),
            ("samples", &|epoch| epochs[*epoch].active_samples.to_string()),
            ("weights", &|epoch| epochs[*epoch].nonzero.to_string()),
            ("frozen layers", &|epoch| epochs[*epoch].frozen_layers.to_string()),
            ("FLOPs of dense", &|epoch| percent(share_of_dense(epochs.get(*epoch)))),
            ("elapsed", &|epoch| {
                or_dash(Some(elapsed[*epoch]).filter(|seconds| !seconds.is_nan()), |seconds| {
                    format!("{seconds:.0} s")
                })
            }),
        ],
    );
    let counted =
        state.counted().map(|share| format!("counted {} FLOPs, {} of dense", short(*flops), percent(share)));
    let measured = state
        .measured()
        .map(|share| format!("measured time {} of dense (estimated from dense steps)", percent(share)));
    let observed: u64 = epochs.iter().map(|row| row.observed_flops).sum();
    let observed = (observed > 0).then(|| format!("observed {} FLOPs on top", short(observed as f64)));
    let cost: Vec<String> = [counted, measured, observed].into_iter().flatten().collect();
    format!(
        "{table}\n\n{} on {}: test accuracy {}\ncost of training: {}",
        experiment.settings().model,
        experiment.settings().data.name,
        share(epochs.last().and_then(|row| row.test_accuracy)),
        cost.join("; "),
    )
}
