//! When each worker ended each step, and what it spent its time on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
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
    /// Seconds that each worker computed.
    fn computed(&self) -> impl Iterator<Item = f64> + '_ {
        let sum = |stages: &Stages| COMPUTATION.iter().filter_map(|stage| stages.get(stage)).sum();
        self.workers.iter().map(sum)
    }

    /// Seconds that the slowest worker computed.
    pub(super) fn slowest(&self) -> f64 {
        self.computed().fold(0.0, f64::max)
    }

    /// Seconds that a worker computed on average.
    pub(super) fn average(&self) -> f64 {
        self.computed().sum::<f64>() / self.workers.len().max(1) as f64
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
    /// The first worker of this process.
    first: usize,
    workers: Vec<Mutex<Timeline>>,
    bar: ProgressBar,
}

impl Clock {
    pub(super) fn new(first: usize, workers: usize, bar: ProgressBar) -> Self {
        Self { first, workers: (0..workers).map(|_| Mutex::default()).collect(), bar }
    }

    /// The steps after the first `warm_up`, of which there is at least one, as the first `working` workers saw them.
    pub(super) fn steps(&self, warm_up: usize, working: usize) -> Vec<StepTime> {
        let timelines: Vec<_> = self.workers.iter().take(working.max(1)).collect();
        let timelines: Vec<_> =
            timelines.into_iter().map(|line| line.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let steps = timelines.iter().map(|line| line.steps.len()).min().unwrap_or(0);
        let time = |step: usize| {
            let ends = &timelines[0].steps;
            StepTime {
                seconds: ends[step].0.duration_since(ends[step - 1].0).as_secs_f64(),
                workers: timelines.iter().map(|line| line.steps[step].1.clone()).collect(),
            }
        };
        (warm_up.max(1)..steps).map(time).collect()
    }
}

impl Observer for Clock {
    fn step(&self, _: &StepReport) {
        self.bar.inc(1);
    }

    fn worked(&self, worker: usize, stage: &'static str, seconds: f64) {
        let mut line = self.workers[worker - self.first].lock().unwrap_or_else(PoisonError::into_inner);
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
        let clock = Clock::new(0, 3, ProgressBar::hidden());
        for step in 0..4 {
            for worker in 0..3 {
                clock.worked(worker, "load", 0.5);
                clock.worked(worker, "gradients", f64::from(step) + worker as f64);
                clock.worked(worker, "update", 0.25);
            }
        }
        let steps = clock.steps(2, 2);
        assert_eq!(steps.len(), 2);
        assert_eq!((steps[0].slowest(), steps[1].slowest()), (3.25, 4.25));
        assert_eq!((steps[0].average(), steps[0].workers.len()), (2.75, 2));
        assert!(steps.iter().all(|step| step.seconds >= 0.0 && step.workers[1]["load"] == 0.5));
    }
}
