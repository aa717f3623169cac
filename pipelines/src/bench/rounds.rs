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

/// Runs the graph for the one epoch of `experiment`, and times the steps after the first `warm_up`.
pub(super) fn round(
    experiment: &Experiment,
    workers: usize,
    warm_up: u32,
    interrupted: &Arc<AtomicBool>,
    bar: &ProgressBar,
) -> Result<Vec<StepTime>, Error> {
    let settings = experiment.settings();
    let clock = Arc::new(Clock::new(0, workers, bar.clone()));
    let services = Services {
        store: Arc::new(Nowhere),
        commit: Arc::new(Nowhere),
        stop: Stop::when(Arc::clone(interrupted)),
        checkpoints: None,
        resumed: None,
        recorded: None,
        observer: Arc::clone(&clock) as Arc<dyn Observer>,
    };
    let shared = Arc::clone(settings);
    let build = move |worker: &mut timely::worker::Worker| {
        let finished = worker.dataflow::<Tick, _, _>(|scope| {
            let run = Run::new(scope, Arc::clone(&shared), services.clone());
            crate::pipeline(&run);
            run.finish()
        });
        move || finished.fault()
    };
    let endings = work(workers, build);
    for (worker, ending) in endings.into_iter().enumerate() {
        match ending {
            Ending::Done(None) => (),
            Ending::Done(Some(Fault { cause: Cause::Interrupted, .. })) => return Err(interruption()),
            Ending::Done(Some(fault)) => return Err(unmeasured(fault.to_string())),
            Ending::Panicked(message) => {
                return Err(unmeasured(format!("worker {} failed: {message}", worker)));
            }
            Ending::Abandoned => (),
        }
    }
    Ok(clock.steps(warm_up as usize, workers.min(settings.shards)))
}

/// The end of a bench that was asked to end.
pub(super) fn interruption() -> Error {
    Error::Unkept { reason: "interrupted".to_owned(), bench: true, interrupted: true }
}

fn unmeasured(reason: String) -> Error {
    Error::Unkept { reason, bench: true, interrupted: false }
}
