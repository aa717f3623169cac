//! How a run goes: a bar on a terminal, silence elsewhere, and what the summary needs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use spfde_data::rows::{EpochRow, TimingRow};
use spfde_data::words::counted;
use spfde_flow::{Observer, StepReport};

use crate::experiment::Experiment;
use crate::report::measure::dense_seconds_per_sample;
use crate::terminal::{show, take_away};

/// Stages whose time is the cost of training; the rest is evaluation and bookkeeping.
const TRAINING: [&str; 6] = ["load", "gradients", "reduce", "update", "mask", "sieve"];

/// Watches a run.
pub struct Progress {
    bar: ProgressBar,
    steps_before: Vec<u64>,
    epochs: u32,
    blocks: usize,
    samples: f64,
    dense_seconds: Option<f64>,
    start: Instant,
    state: Mutex<State>,
}

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The complete epochs.
    pub epochs: Vec<EpochRow>,
    /// FLOPs of the complete epochs.
    pub flops: f64,
    /// FLOPs of as many dense epochs on all samples.
    pub dense_flops: f64,
    /// Seconds spent on training, over all workers.
    pub training_seconds: f64,
    /// Seconds from start to the end of each complete epoch; NaN for those before the run was resumed.
    pub elapsed: Vec<f64>,
}

impl State {
    fn add(&mut self, row: &EpochRow, elapsed: f64) {
        self.flops += (row.forward_flops + row.backward_flops) as f64;
        self.dense_flops += row.dense_flops as f64;
        self.epochs.push(row.clone());
        self.elapsed.push(elapsed);
    }

    fn add_time(&mut self, row: &TimingRow) {
        if TRAINING.contains(&row.stage.as_str()) {
            self.training_seconds += row.seconds;
        }
    }
}

impl Progress {
    /// Watches `experiment`; takes a moment to measure what dense training would take.
    pub fn new(experiment: &Experiment) -> Self {
        let plan = experiment.plan();
        let mut steps_before = vec![0];
        for epoch in 0..plan.epochs {
            steps_before.push(steps_before[epoch as usize] + experiment.steps(epoch));
        }
        let bar = ProgressBar::hidden();
        bar.set_length(steps_before[plan.epochs as usize]);
        let style = "{wide_bar:.cyan} {percent:>3} % │ {elapsed} + {eta} left\n{msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is fixed"));
        show(&bar);
        bar.enable_steady_tick(Duration::from_millis(500));
        Self {
            dense_seconds: dense_seconds_per_sample(experiment.settings()),
            bar,
            steps_before,
            epochs: plan.epochs,
            blocks: plan.architecture.blocks.len(),
            samples: f64::from(plan.samples),
            start: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// Leaves out measured time: only the workers of this process are seen, of `processes`.
    pub fn among(self, processes: usize) -> Self {
        let dense_seconds = self.dense_seconds.filter(|_| processes == 1);
        Self { dense_seconds, ..self }
    }

    /// Takes in what was recorded before: the epochs that are complete, and the times they took.
    pub fn recall(&self, epochs: &[EpochRow], timings: &[TimingRow]) {
        let mut state = self.lock();
        epochs.iter().for_each(|row| state.add(row, f64::NAN));
        timings.iter().for_each(|row| state.add_time(row));
        // What is left is guessed by what is done from now on.
        let done = epochs.iter().map(|row| row.epoch as usize + 1).max().unwrap_or(0);
        self.bar.set_position(self.steps_before[done]);
        self.bar.reset_eta();
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        take_away(&self.bar);
    }

    /// What has been seen so far.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// Counted FLOPs as a share of dense training on all samples, over the complete epochs.
    pub fn counted(&self) -> Option<f64> {
        let state = self.lock();
        (state.dense_flops > 0.0).then(|| state.flops / state.dense_flops)
    }

    /// Measured time of training as a share of what dense training on all samples would take on as many threads.
    pub fn measured(&self) -> Option<f64> {
        let state = self.lock();
        let dense = self.dense_seconds? * self.samples * state.epochs.len() as f64;
        (dense > 0.0).then(|| state.training_seconds / dense)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Progress {
    fn step(&self, report: &StepReport) {
        if self.bar.is_hidden() {
            return;
        }
        let StepReport { tick, steps, loss, accuracy, active, frozen_blocks } = report;
        self.bar.set_position(self.steps_before[tick.epoch as usize] + u64::from(tick.step) + 1);
        let share = |name: &str, share: Option<f64>| {
            share.map_or_else(String::new, |share| format!(" │ {name} {:.1} % of dense", 100.0 * share))
        };
        let last = self.lock().epochs.last().and_then(|row| row.test_accuracy);
        let test = last.map_or_else(String::new, |share| format!(" │ test {:.2} %", 100.0 * share));
        self.bar.set_message(format!(
            "epoch {}/{} step {}/{steps} │ loss {loss:.3} accuracy {:.2} %{test} │ {} │ \
             {frozen_blocks}/{} blocks frozen{}{}",
            tick.epoch + 1,
            self.epochs,
            tick.step + 1,
            100.0 * accuracy,
            counted(*active, "sample"),
            self.blocks,
            share("counted", self.counted()),
            share("measured", self.measured()),
        ));
    }

    fn epoch(&self, row: &EpochRow) {
        self.lock().add(row, self.start.elapsed().as_secs_f64());
    }

    fn timing(&self, row: &TimingRow) {
        self.lock().add_time(row);
    }
}
