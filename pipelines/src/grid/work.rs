//! Runs the dataflow of a grid.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use spfde_flow::Tick;
use spfde_flow::grid::{Found, Grid, grid};

use crate::error::Error;
use crate::workers::{Ending, work};

/// Runs the dataflow of a grid on `workers` threads; what it finds.
///
/// # Errors
/// If something could not be read or written, or somebody interrupted.
pub(super) fn judge(asked: Grid, workers: usize) -> Result<Found, Error> {
    let shared = Arc::new(asked);
    let (built, watched) = (Arc::clone(&shared), Arc::clone(&shared));
    let endings = work(
        workers,
        move |worker| {
            worker.dataflow::<Tick, _, _>(|scope| grid(scope, &built));
            || ()
        },
        move || watched.failed(),
    );
    let found = shared.take();
    let panicked = endings.into_iter().enumerate().find_map(|(worker, ending)| match ending {
        Ending::Panicked(message) => Some(Error::ReplayWorker { worker, message }),
        _ => None,
    });
    if let Some(error) = panicked {
        return Err(error);
    }
    if shared.interrupted.load(Ordering::Relaxed) {
        return Err(Error::GridInterrupted);
    }
    if let Some((_, reason)) = found.failed {
        return Err(Error::Grid { reason });
    }
    Ok(found)
}
