//! Runs the dataflow of a grid.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use spfde_flow::Tick;
use spfde_flow::grid::{Found, Grid, grid};

use crate::cluster::Network;
use crate::error::Error;
use crate::workers::work;

/// Runs the dataflow of a grid on so many workers; what it finds.
///
/// # Errors
/// If something could not be read or written, on any worker, or the grid was asked to end.
pub(super) fn judge(asked: Grid, workers: usize) -> Result<Found, Error> {
    let shared = Arc::new(asked);
    let built = Arc::clone(&shared);
    let ended = work(Network::alone(workers), move |worker| {
        worker.dataflow::<Tick, _, _>(|scope| grid(scope, &built));
        || ()
    });
    let found = shared.take();
    if let Some((worker, message)) = ended.panicked {
        return Err(Error::no_replay(format!("worker {worker} failed: {message}")));
    }
    if shared.interrupted.load(Ordering::Relaxed) {
        return Err(Error::replay_interrupted("interrupted"));
    }
    match found.failed {
        Some(failure) => Err(Error::no_replay(failure.into_reason())),
        None => Ok(found),
    }
}
