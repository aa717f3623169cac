//! How a run goes: a bar for the terminal, and what the summary needs. Whether the bar is shown is up to the
//! command.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use spfde_data::augment::Placement;
use spfde_data::rows::{EpochRow, TimingRow};
use spfde_data::words::counted;
use spfde_flow::{Observer, Settings, StepReport};
use spfde_model::{Activations, Shard, Workspace, input};

use crate::experiment::Experiment;

/// Stages whose time is the cost of training; the rest is evaluation and bookkeeping.
const TRAINING: [&str; 6] = ["load", "gradients", "reduce", "update", "mask", "sieve"];

/// Watches a run.
pub struct Progress {
    experiment: Experiment,
    bar: ProgressBar,
    /// Steps before each epoch, and of all.
    steps_before: Vec<u64>,
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
    /// Seconds that one thread would take for a dense epoch on all samples, if that was measured.
    pub dense_epoch_seconds: Option<f64>,
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

    /// Counted FLOPs as a share of dense training on all samples, over the complete epochs.
    pub fn counted(&self) -> Option<f64> {
        (self.dense_flops > 0.0).then(|| self.flops / self.dense_flops)
    }

    /// Measured time of training as a share of what dense training on all samples would take on as many
    /// threads.
    pub fn measured(&self) -> Option<f64> {
        let dense = self.dense_epoch_seconds? * self.epochs.len() as f64;
        (dense > 0.0).then(|| self.training_seconds / dense)
    }
}

impl Progress {
    /// Watches `experiment`; takes a moment to measure what dense training would take.
    pub fn new(experiment: &Experiment) -> Self {
        let mut steps_before = vec![0];
        for epoch in 0..experiment.plan().epochs {
            steps_before.push(steps_before[epoch as usize] + experiment.steps(epoch));
        }
        let bar = ProgressBar::hidden();
        bar.set_length(steps_before[steps_before.len() - 1]);
        let style = "{wide_bar:.cyan} {percent:>3} % │ {elapsed} + {eta} left\n{msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is fixed"));
        let dense_epoch_seconds = dense_seconds_per_sample(experiment.settings())
            .map(|seconds| seconds * f64::from(experiment.plan().samples));
        Self {
            experiment: experiment.clone(),
            bar,
            steps_before,
            start: Instant::now(),
            state: Mutex::new(State { dense_epoch_seconds, ..State::default() }),
        }
    }

    /// Leaves out measured time: only the workers of this process are seen, of `processes`.
    pub fn among(self, processes: usize) -> Self {
        if processes > 1 {
            self.lock().dense_epoch_seconds = None;
        }
        self
    }

    /// Takes in what was recorded before: the epochs that are complete, and the times they took.
    pub fn recall(&self, epochs: &[EpochRow], timings: &[TimingRow]) {
        let mut state = self.lock();
        epochs.iter().for_each(|row| state.add(row, f64::NAN));
        timings.iter().for_each(|row| state.add_time(row));
        // The time that is left is guessed from the steps from now on.
        let done = epochs.iter().map(|row| row.epoch as usize + 1).max().unwrap_or(0);
        self.bar.set_position(self.steps_before[done]);
        self.bar.reset_eta();
    }

    /// The bar, hidden until it gets a place to be drawn.
    pub fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// What has been seen so far.
    pub fn state(&self) -> State {
        self.lock().clone()
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
        let state = self.lock();
        let last = state.epochs.last().and_then(|row| row.test_accuracy);
        let test = last.map_or_else(String::new, |share| format!(" │ test {:.2} %", 100.0 * share));
        let plan = self.experiment.plan();
        self.bar.set_message(format!(
            "epoch {}/{} step {}/{steps} │ loss {loss:.3} accuracy {:.2} %{test} │ {} │ \
             {frozen_blocks}/{} blocks frozen{}{}",
            tick.epoch + 1,
            plan.epochs,
            tick.step + 1,
            100.0 * accuracy,
            counted(*active, "sample"),
            plan.architecture.blocks.len(),
            share("counted", state.counted()),
            share("measured", state.measured()),
        ));
    }

    fn epoch(&self, row: &EpochRow) {
        self.lock().add(row, self.start.elapsed().as_secs_f64());
    }

    fn timing(&self, row: &TimingRow) {
        self.lock().add_time(row);
    }
}

/// Seconds that one thread takes to train one sample densely, with this network, kernel and data: the fastest
/// of three steps on one shard. Only people read it.
fn dense_seconds_per_sample(settings: &Settings) -> Option<f64> {
    let network = settings.fresh_network();
    let images = &settings.data.train;
    let shard = settings.batch_size.div_ceil(settings.shards);
    let samples: Vec<u32> = (0..images.len().min(shard) as u32).collect();
    let labels: Vec<u16> = samples.iter().map(|sample| images.labels[*sample as usize]).collect();
    let weights = vec![1.0; samples.len()];
    let mut inputs = Activations::default((0, 0, 0, 0));
    input::gather(images, &settings.data.normalization, &samples, |_| Placement::default(), &mut inputs);
    let shard = Shard { inputs: &inputs, labels: &labels, weights: &weights, batch_samples: samples.len() };
    let mut workspace = Workspace::new(&network);
    let mut part = vec![0.0; network.part_len()];
    let mut step = || {
        let start = Instant::now();
        part.fill(0.0);
        network.train_shard(&mut workspace, &shard, &mut part);
        start.elapsed().as_secs_f64() / samples.len() as f64
    };
    (0..3).map(|_| step()).min_by(f64::total_cmp)
}
