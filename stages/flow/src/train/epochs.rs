//! One row for each epoch that is complete: costs and means from training, accuracy from the test set.

use std::time::Instant;

use spfde_data::EpochRow;

use crate::{Flow, Run};

use super::evaluate::{Evaluation, chunks};

/// Completes the rows of `summaries` with the test set's results, on worker 0. An epoch whose evaluation is
/// not whole has no row.
pub(super) fn epochs<'s>(
    run: &Run<'s>,
    summaries: Flow<'s, EpochRow>,
    evaluations: Flow<'s, Evaluation>,
) -> Flow<'s, EpochRow> {
    let samples = run.settings().data.test.len();
    let mut window = run.window("Epochs");
    let summaries = window.own(summaries);
    let evaluations = window.on_first(evaluations);
    let (mut rows_out, rows) = window.output();
    // Only people read it: no decision, and no comparison of runs, looks at the clock.
    let mut since = Instant::now();
    window.build(move |close| {
        let mut results = evaluations.through(close.epoch);
        results.sort_by_key(|result| result.chunk);
        let whole = results.len() == chunks(samples);
        let rows = summaries.through(close.epoch).into_iter().filter(|_| whole);
        let seconds = std::mem::replace(&mut since, Instant::now()).elapsed().as_secs_f64();
        let with_clock = |row| EpochRow { seconds: Some(seconds), ..row };
        rows_out.give(close, rows.map(|row| with_clock(with_test(row, &results, samples))));
    });
    rows
}

fn with_test(row: EpochRow, results: &[Evaluation], samples: usize) -> EpochRow {
    if samples == 0 {
        return row;
    }
    let loss: f64 = results.iter().map(|result| result.loss).sum();
    let correct: u64 = results.iter().map(|result| u64::from(result.correct)).sum();
    let mean = |sum: f64| Some(sum / samples as f64);
    EpochRow { test_loss: mean(loss), test_accuracy: mean(correct as f64), ..row }
}
