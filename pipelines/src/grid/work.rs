//! Runs the dataflow of a grid.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use spfde_flow::Tick;
use spfde_flow::grid::{Found, Grid, grid};

use crate::error::Error;
use crate::workers::{Crew, Ending, work};

/// Runs the dataflow of a grid on the workers of `crew`; what it finds, which is for process 0 to see.
///
/// # Errors
/// If something could not be read or written, on any worker, somebody interrupted any process, or one is lost.
pub(super) fn judge(asked: Grid, crew: Crew) -> Result<Found, Error> {
    let first = crew.first_worker();
    let shared = Arc::new(asked);
    let built = Arc::clone(&shared);
    let endings = work(crew, move |worker| {
        worker.dataflow::<Tick, _, _>(|scope| grid(scope, &built));
        || ()
    });
    let found = shared.take();
    let mut lost = None;
    for (worker, ending) in endings.into_iter().enumerate() {
        match ending {
            Ending::Panicked(message) => return Err(Error::ReplayWorker { worker: first + worker, message }),
            Ending::Lost(process) => lost = lost.or(Some(process)),
            Ending::Done(()) | Ending::Abandoned => (),
        }
    }
    if let Some(lost) = lost {
        return Err(Error::lost_in_replay(lost, &shared.interrupted));
    }
    if shared.interrupted.load(Ordering::Relaxed) {
        return Err(Error::GridInterrupted);
    }
    if let Some(failure) = found.failed {
        return Err(Error::Grid { reason: failure.into_reason() });
    }
    Ok(found)
}
