//! The test set, after the last step of each epoch: fixed chunks, shared among the workers, summed in order.

use serde::{Deserialize, Serialize};

use super::replica::Replica;
use crate::{Cause, Stop};

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
