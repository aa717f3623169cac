//! One round: the ready pipeline for one epoch, on workers of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::ProgressBar;
use spfde_data::nowhere::Nowhere;
use spfde_flow::{Cause, Fault, Observer, Services, Stop};

use crate::cluster::Network;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::workers::{Ended, execute};

use super::clock::{Clock, StepTime};

/// Runs the graph for the one epoch of `experiment`; its steps after the first `warm_up`.
pub(super) fn round(
    experiment: &Experiment,
    workers: usize,
    warm_up: u32,
    interrupted: &Arc<AtomicBool>,
    bar: &ProgressBar,
) -> Result<Vec<StepTime>, Error> {
    let working = workers.min(experiment.settings().shards);
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
    let network = Network::alone(workers);
    let Ended { done, panicked, .. } = execute(experiment.settings(), services, network, crate::wire);
    let panicked = panicked.map(|(worker, message)| format!("worker {worker} failed: {message}"));
    let reason = match (panicked, done.into_iter().flatten().min()) {
        (Some(reason), _) => reason,
        (None, Some(Fault { cause: Cause::Interrupted, .. })) => return Err(interruption()),
        (None, Some(fault)) => fault.to_string(),
        (None, None) => return Ok(clock.steps(warm_up as usize, working)),
    };
    Err(Error::Unkept { reason, bench: true, interrupted: false })
}

/// The end that the user wanted.
pub(super) fn interruption() -> Error {
    Error::Unkept { reason: "interrupted".to_owned(), bench: true, interrupted: true }
}
