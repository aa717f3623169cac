//! The test set and the validation set, after the last step of each epoch: fixed chunks, shared among the
//! workers, summed in order.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use spfde_data::{DataSet, EpochRow, Images, PredictionRow, StorageError};

use super::replica::Replica;
use crate::{Cause, Flow, Run, Stop};

/// Samples in a chunk: a multiple of sixteen, small enough for the caches.
const CHUNK: usize = 64;

/// One chunk's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Evaluation {
    /// The chunk, from 0: those of the test set, then those of the validation set.
    pub(super) chunk: usize,
    /// Sum of its samples' losses.
    pub(super) loss: f64,
    /// How many of its samples are right.
    pub(super) correct: u32,
}

/// The chunks of the test set, then those of the validation set, each with its samples.
fn chunks(data: &DataSet) -> impl Iterator<Item = (&'static str, &Images, Range<usize>)> {
    let sets = [(PredictionRow::TEST, &data.test), (PredictionRow::VALIDATION, &data.validation)];
    sets.into_iter().flat_map(|(set, images)| {
        let samples = images.len();
        (0..samples).step_by(CHUNK).map(move |first| (set, &**images, first..samples.min(first + CHUNK)))
    })
}

/// This worker's chunks, and of a run that records it the predicted classes of their samples in `epoch`.
///
/// # Errors
/// Why the run is to end, if that cut the evaluation short. The epoch is incomplete then.
pub(super) fn evaluate(
    replica: &mut Replica,
    epoch: u32,
    worker: usize,
    workers: usize,
    stop: &Stop,
) -> Result<(Vec<Evaluation>, Vec<PredictionRow>), Cause> {
    let data = Arc::clone(&replica.settings.data);
    let mine = chunks(&data).enumerate().skip(worker).step_by(workers);
    let mut predictions = Vec::new();
    let evaluations = mine.map(|(chunk, (set, images, range))| {
        if let Some(cause) = stop.cause() {
            return Err(cause);
        }
        let unread = |error: StorageError| Cause::Data(error.to_string());
        let first = range.start;
        let evaluation = replica.evaluate(images, range).map_err(unread)?;
        if replica.settings.predictions {
            let classes = evaluation.classes.iter().enumerate();
            let row = |(place, class): (usize, &Option<u16>)| row(epoch, set, (first + place) as u32, *class);
            predictions.extend(classes.map(row));
        }
        Ok(Evaluation { chunk, loss: evaluation.loss, correct: evaluation.correct })
    });
    let evaluations = evaluations.collect::<Result<_, _>>()?;
    Ok((evaluations, predictions))
}

/// That a sample of a set is taken for `class`.
pub(super) fn row(epoch: u32, set: &str, sample: u32, class: Option<u16>) -> PredictionRow {
    PredictionRow { epoch, set: set.to_owned(), sample, class: class.unwrap_or(PredictionRow::NONE) }
}

/// Completes the rows of `summaries` with the results of both sets, on worker 0. An epoch whose evaluation is
/// not whole has no row.
pub(super) fn epochs<'s>(
    run: &Run<'s>,
    summaries: Flow<'s, EpochRow>,
    evaluations: Flow<'s, Evaluation>,
) -> Flow<'s, EpochRow> {
    let data = Arc::clone(&run.settings().data);
    let mut window = run.window("Epochs");
    let summaries = window.own(summaries);
    let evaluations = window.on_first(evaluations);
    let (mut rows_out, rows) = window.output();
    // Only people read it: no decision, and no comparison of runs, looks at the clock.
    let mut since = Instant::now();
    window.build(move |close| {
        let mut results = evaluations.through(close.epoch);
        results.sort_by_key(|result| result.chunk);
        let whole = results.len() == chunks(&data).count();
        let rows = summaries.through(close.epoch).into_iter().filter(|_| whole);
        let seconds = std::mem::replace(&mut since, Instant::now()).elapsed().as_secs_f64();
        let with_clock = |row| EpochRow { seconds: Some(seconds), ..row };
        rows_out.give(close, rows.map(|row| with_clock(with_results(row, &results, &data))));
    });
    rows
}

/// The row with the means over each set, if it has samples.
fn with_results(row: EpochRow, results: &[Evaluation], data: &DataSet) -> EpochRow {
    let (test, validation) = results.split_at(data.test.len().div_ceil(CHUNK));
    let means = |results: &[Evaluation], samples: usize| {
        let loss: f64 = results.iter().map(|result| result.loss).sum();
        let correct: u64 = results.iter().map(|result| u64::from(result.correct)).sum();
        let mean = |sum: f64| (samples > 0).then(|| sum / samples as f64);
        (mean(loss), mean(correct as f64))
    };
    let (test_loss, test_accuracy) = means(test, data.test.len());
    let (validation_loss, validation_accuracy) = means(validation, data.validation.len());
    EpochRow { test_loss, test_accuracy, validation_loss, validation_accuracy, ..row }
}
