//! The table at the end of a run.

use super::table::{percent, short, table};
use crate::experiment::Experiment;
use crate::progress::Progress;

/// Epochs in the table at most: evenly spaced, the last among them.
const ROWS: usize = 20;

/// Epochs, accuracy, counted and measured cost.
pub fn summary(experiment: &Experiment, progress: &Progress) -> String {
    let state = progress.state();
    let count = state.epochs.len();
    let every = count.div_ceil(ROWS).max(1);
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    let share =
        |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{:.2} %", 100.0 * value));
    let shown = state.epochs.iter().zip(&state.elapsed).enumerate();
    let rows: Vec<Vec<String>> = shown
        .filter(|(index, _)| (index + 1) % every == 0 || index + 1 == count)
        .map(|(_, (row, elapsed))| {
            let spent = (row.forward_flops + row.backward_flops) as f64;
            vec![
                (row.epoch + 1).to_string(),
                number(row.train_loss),
                share(row.train_accuracy),
                number(row.test_loss),
                share(row.test_accuracy),
                row.active_samples.to_string(),
                row.nonzero.to_string(),
                row.frozen_layers.to_string(),
                percent(spent / row.dense_flops as f64),
                if elapsed.is_nan() { "–".to_owned() } else { format!("{elapsed:.0} s") },
            ]
        })
        .collect();
    let heads = [
        "epoch",
        "loss",
        "accuracy",
        "test loss",
        "test accuracy",
        "samples",
        "weights",
        "frozen layers",
        "FLOPs of dense",
        "elapsed",
    ];
    let last = state.epochs.last();
    let shares = [
        progress
            .counted()
            .map(|share| format!("counted {}FLOPs, {} of dense", short(state.flops) + " ", percent(share))),
        progress
            .measured()
            .map(|share| format!("measured time {} of dense (estimated from dense steps)", percent(share))),
    ];
    let observed: u64 = state.epochs.iter().map(|row| row.observed_flops).sum();
    let observed = (observed > 0).then(|| format!("observed {} FLOPs on top", short(observed as f64)));
    let cost: Vec<String> = shares.into_iter().flatten().chain(observed).collect();
    format!(
        "{}\n\n{} on {}: test accuracy {}\ncost of training: {}",
        table(&heads, &rows),
        experiment.settings().model,
        experiment.settings().data.name,
        share(last.and_then(|row| row.test_accuracy)),
        cost.join("; "),
    )
}
