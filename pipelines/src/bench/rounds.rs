//! One round: the ready pipeline for one epoch, on workers of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use spfde_data::nowhere::Nowhere;
use spfde_flow::{Cause, Fault, Observer, Run, Services, Stop, Tick};

use crate::cluster::{Lost, Meeting, Purpose, Subject};
use crate::error::Error;
use crate::experiment::Experiment;
use crate::workers::{Crew, Ending, work};

use super::Team;
use super::clock::{Clock, StepTime};

/// Runs the graph for the one epoch of `experiment`, of `steps` steps; those after the first `warm_up`.
pub(super) fn round(
    experiment: &Experiment,
    team: Team<'_>,
    (warm_up, steps): (u32, u32),
    interrupted: &Arc<AtomicBool>,
    bar: &ProgressBar,
) -> Result<Vec<StepTime>, Error> {
    let (settings, workers) = (experiment.settings(), team.workers);
    let crew = match team.cluster {
        None => Crew::from(workers),
        Some(cluster) => {
            let mut meeting = Meeting::of(Purpose::Bench, experiment, workers);
            // Neither is a setting. The data set is made anew, of the settings.
            let frozen = settings.plan.frozen_blocks(0);
            meeting.subject = Subject::new(
                &format!("{frozen} frozen, {steps} steps"),
                "they measure different things; give all processes the same --frozen and --steps",
            );
            let first = cluster.is_first();
            let network = match first {
                true => cluster.gather(&meeting, None, 0, interrupted)?,
                false => cluster.join(&meeting, None, interrupted, |_| Ok(()))?.0,
            };
            network.into()
        }
    };
    let first = crew.first_worker();
    let clock = Arc::new(Clock::new(first, workers, bar.clone()));
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
    let endings = work(crew, build);
    for (worker, ending) in endings.into_iter().enumerate() {
        match ending {
            Ending::Done(None) => (),
            Ending::Done(Some(Fault { cause: Cause::Interrupted, .. })) => return Err(interruption()),
            Ending::Done(Some(fault)) => return Err(unmeasured(fault.to_string())),
            Ending::Panicked(message) => {
                return Err(unmeasured(format!("worker {} failed: {message}", first + worker)));
            }
            Ending::Lost(Lost { process, address, reason }) => {
                let name = format!("process {process} at {address}");
                return Err(match interrupted.load(Ordering::Relaxed) {
                    true => ended(format!("interrupted, without {name} ({reason})")),
                    false => unmeasured(format!("{name} was lost ({reason})")),
                });
            }
            Ending::Abandoned => (),
        }
    }
    Ok(clock.steps(warm_up as usize, workers.min(settings.shards)))
}

/// The end that somebody wanted.
pub(super) fn interruption() -> Error {
    ended("interrupted".to_owned())
}

fn ended(reason: String) -> Error {
    Error::Unmeasured { reason, interrupted: true }
}

fn unmeasured(reason: String) -> Error {
    Error::Unmeasured { reason, interrupted: false }
}
