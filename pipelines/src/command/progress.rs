//! How a run goes: a bar for the terminal, a row for each epoch, and what the summary needs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use indicatif::ProgressBar;
use serde_json::json;
use spfde_data::{EpochRow, TimingRow, counted};
use spfde_flow::{Observer, StepReport};

use super::dense_time::dense_seconds_per_sample;
use crate::Experiment;
use crate::report::epochs::{Epochs, Line, loss};
use crate::report::guessing::guessing;
use crate::report::shown_epochs;
use crate::report::summary::{State, epoch_json};
use crate::report::table::{percent, precise};
use crate::terminal::{bar_width, hidden_bar, remark, say, say_json};

/// Watches a run, and prints its rows.
pub(super) struct Progress {
    experiment: Experiment,
    /// Hidden until it gets a place to be drawn.
    pub(super) bar: ProgressBar,
    table: Epochs,
    /// Steps before each epoch, and of all.
    steps_before: Vec<u64>,
    state: Mutex<State>,
    /// The run directory, once the run has begun.
    directory: OnceLock<PathBuf>,
    /// The first epoch after which the network did no better than guessing.
    guessed: Mutex<Option<u32>>,
}

impl Progress {
    /// Watches `experiment`; with `dense` it takes a moment to measure what dense training would take, if
    /// that is a small part of the run.
    pub(super) fn new(experiment: &Experiment, dense: bool) -> Self {
        let mut steps_before = vec![0];
        for epoch in 0..experiment.plan().epochs {
            steps_before.push(steps_before[epoch as usize] + experiment.steps(epoch));
        }
        let style = "{wide_bar:.cyan} {percent:>3} % │ {elapsed} + {eta} left\n{msg}";
        let bar = hidden_bar(steps_before[steps_before.len() - 1], style);
        let seconds = if dense { dense_seconds_per_sample(experiment) } else { None };
        let dense_epoch_seconds = seconds.map(|seconds| seconds * f64::from(experiment.plan().samples));
        Self {
            experiment: experiment.clone(),
            bar,
            table: Epochs::new(experiment),
            steps_before,
            state: Mutex::new(State { dense_epoch_seconds, ..State::default() }),
            directory: OnceLock::new(),
            guessed: Mutex::default(),
        }
    }

    /// Takes in what was recorded before, the epochs that are complete and the times they took, and prints
    /// their rows: of many some.
    pub(super) fn recall(&self, epochs: &[EpochRow], timings: &[TimingRow]) {
        let lines: Vec<Line> = {
            let mut state = locked(&self.state);
            timings.iter().for_each(|row| state.add_time(row));
            epochs.iter().map(|row| state.add(row)).collect()
        };
        if !lines.is_empty() {
            say(self.table.heads());
            shown_epochs(lines.len()).for_each(|line| say(self.table.line(&lines[line])));
        }
        // The time that is left is guessed from the steps from now on.
        self.bar.set_position(self.steps_before[epochs.len()]);
        self.bar.reset_eta();
    }

    /// The run directory, once the run has begun.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.directory.get().map(PathBuf::as_path)
    }

    /// What the run has come to so far.
    pub(super) fn state(&self) -> State {
        locked(&self.state).clone()
    }

    /// Says at the end of a run that its network does no better than guessing, unless that was said of the
    /// same epoch.
    pub(super) fn remark_on_end(&self) {
        let guessed = *locked(&self.guessed);
        if let Some(last) = locked(&self.state).epochs.last().filter(|row| guessed != Some(row.epoch)) {
            guessing(&self.experiment, last).iter().for_each(remark);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observer for Progress {
    fn begun(&self, directory: &Path) {
        let _ = self.directory.set(directory.to_owned());
        let directory = directory.display();
        if locked(&self.state).epochs.is_empty() {
            say(format_args!("recording to {directory}"));
        }
        say_json(|| {
            let settings = self.experiment.configuration().settings();
            json!({"event": "settings", "run_directory": directory.to_string(), "settings": settings})
        });
    }

    fn step(&self, report: &StepReport) {
        if self.bar.is_hidden() {
            return;
        }
        let StepReport { tick, steps, loss: mean, accuracy, active, frozen_blocks, .. } = report;
        self.bar.set_position(self.steps_before[tick.epoch as usize] + u64::from(tick.step) + 1);
        let state = locked(&self.state);
        let last = state.epochs.last().and_then(|row| row.test_accuracy);
        let plan = self.experiment.plan();
        let parts = [
            Some(format!("epoch {}/{}, step {}/{steps}", tick.epoch + 1, plan.epochs, tick.step + 1)),
            Some(format!("loss {}, accuracy {}", loss(*mean), precise(*accuracy))),
            last.map(|share| format!("test {}", precise(share))),
            state.counted().map(|share| format!("{} of dense FLOPs", percent(share))),
            state.measured().map(|share| format!("{} of dense time", percent(share))),
            Some(format!("{frozen_blocks}/{} blocks frozen", plan.architecture.blocks.len())),
            Some(counted(*active, "sample")),
        ];
        let message = parts.into_iter().flatten().collect::<Vec<_>>().join(" │ ");
        self.bar.set_message(message.chars().take(bar_width()).collect::<String>());
    }

    fn committed(&self, row: &EpochRow) {
        let (is_first, line) = {
            let mut state = locked(&self.state);
            (state.epochs.is_empty(), state.add(row))
        };
        if is_first {
            say(self.table.heads());
        }
        say(self.table.line(&line));
        say_json(|| epoch_json(row));
        let mut guessed = locked(&self.guessed);
        if guessed.is_none()
            && let Some(note) = guessing(&self.experiment, row)
        {
            *guessed = Some(row.epoch);
            remark(note);
        }
    }

    fn timing(&self, row: &TimingRow) {
        locked(&self.state).add_time(row);
    }
}
