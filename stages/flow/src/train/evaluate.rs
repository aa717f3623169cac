//! The test set, after the last step of each epoch: fixed chunks, shared among the workers, summed in order.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use spfde_data::EpochRow;

use super::replica::Replica;
use crate::{Cause, Flow, Run, Stop};

/// Test samples in a chunk: a multiple of sixteen, small enough for the caches.
const CHUNK: usize = 64;

/// One chunk's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Evaluation {
    /// The chunk, from 0.
    pub(super) chunk: usize,
    /// Sum of its samples' losses.
    pub(super) loss: f64,
    /// How many of its samples are right.
    pub(super) correct: u32,
}

/// How many chunks `samples` make.
pub(super) fn chunks(samples: usize) -> usize {
    samples.div_ceil(CHUNK)
}

/// This worker's chunks.
///
/// # Errors
/// Why the run is to end, if that cut the evaluation short. The epoch is incomplete then.
pub(super) fn evaluate(
    replica: &mut Replica,
    worker: usize,
    workers: usize,
    stop: &Stop,
) -> Result<Vec<Evaluation>, Cause> {
    let samples = replica.settings.data.test.len();
    let mine = (worker..chunks(samples)).step_by(workers);
    mine.map(|chunk| {
        if let Some(cause) = stop.cause() {
            return Err(cause);
        }
        let (loss, correct) = replica.evaluate(chunk * CHUNK..samples.min((chunk + 1) * CHUNK));
        Ok(Evaluation { chunk, loss, correct })
    })
    .collect()
}

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
