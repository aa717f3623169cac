//! One round: the ready pipeline for one epoch, on workers of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::ProgressBar;
use spfde_data::nowhere::Nowhere;
use spfde_flow::{Cause, Fault, Observer, Run, Services, Stop, Tick};

use crate::error::Error;
use crate::experiment::Experiment;
use crate::workers::{Ending, work};

use super::clock::{Clock, StepTime};

/// Runs the graph for the one epoch of `experiment`; its steps after the first `warm_up`.
pub(super) fn round(
    experiment: &Experiment,
    workers: usize,
    warm_up: u32,
    interrupted: &Arc<AtomicBool>,
    bar: &ProgressBar,
) -> Result<Vec<StepTime>, Error> {
    let settings = Arc::clone(experiment.settings());
    let working = workers.min(settings.shards);
    let clock = Arc::new(Clock::new(workers, bar.clone()));
    let services = Services {
        store: Arc::new(Nowhere),
        commit: Arc::new(Nowhere),
        stop: Stop::when(Arc::clone(interrupted)),
        checkpoints: None,
        resumed: None,
        recorded: None,
        observer: Arc::clone(&clock) as Arc<dyn Observer>,
    };
    let endings = work(workers, move |worker: &mut timely::worker::Worker| {
        let finished = worker.dataflow::<Tick, _, _>(|scope| {
            let run = Run::new(scope, Arc::clone(&settings), services.clone());
            crate::pipeline(&run);
            run.finish()
        });
        move || finished.fault()
    });
    for (worker, ending) in endings.into_iter().enumerate() {
        let reason = match ending {
            Ending::Done(Some(Fault { cause: Cause::Interrupted, .. })) => return Err(interruption()),
            Ending::Done(Some(fault)) => fault.to_string(),
            Ending::Panicked(message) => format!("worker {worker} failed: {message}"),
            Ending::Done(None) | Ending::Abandoned => continue,
        };
        return Err(Error::Unkept { reason, bench: true, interrupted: false });
    }
    Ok(clock.steps(warm_up as usize, working))
}

/// The end that the user wanted.
pub(super) fn interruption() -> Error {
    Error::Unkept { reason: "interrupted".to_owned(), bench: true, interrupted: true }
}
