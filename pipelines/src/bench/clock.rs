//! When each worker ended each step, and what it spent its time on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indicatif::ProgressBar;
use spfde_flow::{Observer, StepReport};

/// The stages in which a worker computes; all else is dataflow.
const COMPUTATION: [&str; 2] = ["gradients", "update"];

/// Seconds by stage.
pub(super) type Stages = BTreeMap<&'static str, f64>;

/// One timed step.
#[derive(Clone, Debug, Default)]
pub(super) struct StepTime {
    /// Seconds from the end of the update before to the end of its own, on the first worker.
    pub(super) seconds: f64,
    /// Seconds by stage of every worker that has shards.
    pub(super) workers: Vec<Stages>,
}

impl StepTime {
    /// Seconds that the slowest worker computed, and a worker on average.
    pub(super) fn computed(&self) -> [f64; 2] {
        let sum = |stages: &Stages| COMPUTATION.iter().filter_map(|stage| stages.get(stage)).sum::<f64>();
        let all = self.workers.iter().map(sum);
        [all.clone().fold(0.0, f64::max), all.sum::<f64>() / self.workers.len().max(1) as f64]
    }
}

/// One worker's steps so far: when each ended, and its stages; and the stages of the step under way.
#[derive(Default)]
struct Timeline {
    steps: Vec<(Instant, Stages)>,
    current: Stages,
}

/// Listens to the workers of one round.
pub(super) struct Clock {
    workers: Vec<Mutex<Timeline>>,
    bar: ProgressBar,
}

impl Clock {
    pub(super) fn new(workers: usize, bar: ProgressBar) -> Self {
        Self { workers: (0..workers).map(|_| Mutex::default()).collect(), bar }
    }

    /// The steps after the first `warm_up`, of which there is at least one, as the first `working` workers
    /// saw them.
    pub(super) fn steps(&self, warm_up: usize, working: usize) -> Vec<StepTime> {
        let timelines: Vec<_> = (0..working.max(1)).map(|worker| self.lock(worker)).collect();
        let steps = timelines.iter().map(|line| line.steps.len()).min().unwrap_or(0);
        let end = |step: usize| timelines[0].steps[step].0;
        let time = |step: usize| StepTime {
            seconds: end(step).duration_since(end(step - 1)).as_secs_f64(),
            workers: timelines.iter().map(|line| line.steps[step].1.clone()).collect(),
        };
        (warm_up.max(1)..steps).map(time).collect()
    }

    fn lock(&self, worker: usize) -> MutexGuard<'_, Timeline> {
        self.workers[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Clock {
    fn step(&self, _: &StepReport) {
        self.bar.inc(1);
    }

    fn worked(&self, worker: usize, stage: &'static str, seconds: f64) {
        let mut line = self.lock(worker);
        *line.current.entry(stage).or_default() += seconds;
        // The update is the last that a step computes.
        if stage == "update" {
            let stages = std::mem::take(&mut line.current);
            line.steps.push((Instant::now(), stages));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_end_with_updates_and_the_slowest_worker_counts() {
        let clock = Clock::new(3, ProgressBar::hidden());
        for step in 0..4 {
            for worker in 0..3 {
                clock.worked(worker, "load", 0.5);
                clock.worked(worker, "gradients", f64::from(step) + worker as f64);
                clock.worked(worker, "update", 0.25);
            }
        }
        let steps = clock.steps(2, 2);
        assert_eq!(steps.len(), 2);
        assert_eq!((steps[0].computed(), steps[1].computed()), ([3.25, 2.75], [4.25, 3.75]));
        assert_eq!(steps[0].workers.len(), 2);
        assert!(steps.iter().all(|step| step.seconds >= 0.0 && step.workers[1]["load"] == 0.5));
    }
}
