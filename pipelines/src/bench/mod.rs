//! What a training step takes on this machine, beside the dense path.
//!
//! A bench runs the ready [pipeline](crate::pipeline), with its loader, its three closed loops and its workers, on
//! random images of `data.shape` and writes nothing. It runs in rounds: a round is one epoch of the graph, whose
//! first steps warm up and whose other steps are timed, from the end of one update to the end of the next. Rounds of
//! the configured path and of the dense one (the same configuration with `mask.policy = "dense"`) take turns, so that
//! a machine that slows down or wakes up does so for both.
//!
//! - **Density.** `mask.policy` is `static` unless given. A policy that ends sparser than it starts is measured at its
//!   target density, as in a run too short for an update.
//! - **Frozen blocks** are frozen from the first step on, and have no backward pass. Nothing else freezes, nor does a
//!   mask or the active set change: no decision falls within an epoch.
//! - **Data.** Every step has a full batch of different random images, resident in memory as bytes. Turning bytes into
//!   activations is part of the step, as in training, and stands in the profile as `input`. Images are not varied
//!   (`data.augment` is `none` unless given), since nobody else's step includes that.
//! - **FLOPs** are those of [`count`]: forward and backward on existing weights, no padding.
//! - **Peak memory** is the high-water mark of the process after the first round of the configured path, before
//!   anything else has run.
//! - **The dataflow's share** is the part of the time of all timed steps in which not even the slowest worker computes:
//!   1 − Σ max(computation) / Σ step, where a worker's computation is its forward and backward passes and its update.
//!   Loading, reducing, sorting and handing on rows, progress and waiting for messages all count as dataflow. How much
//!   longer than the average worker the slowest computes is stated apart, as imbalance.
//! - **Layers** are profiled afterwards, in steps of their own on one thread without dataflow.

mod clock;
mod data;
mod layers;
mod memory;
mod prefix;
mod prepare;
mod report;
mod rounds;
mod statistics;
mod table;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressStyle};
use spfde_data::architecture::Architecture;
use spfde_data::parameter::Value;
use spfde_flow::Settings;
use spfde_policy::count;

use crate::error::Error;
use crate::experiment::Experiment;
use crate::terminal::{show, take_away};

use prepare::Path;
pub use report::{LayerReport, OperationReport, PathReport, Report};
pub use table::table;

/// Turns that the configured path and the dense one take.
const ROUNDS: u32 = 2;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Settings as in a configuration file, and `data.shape`.
    pub given: Vec<(String, Value)>,
    /// Blocks of the front that are frozen from the start.
    pub frozen: usize,
    /// Timed steps of each path, rounded up to a multiple of the two rounds; `None`: the fewer, the more FLOPs a step
    /// has.
    pub steps: Option<u32>,
    /// Whether to measure the dense path, too.
    pub dense: bool,
}

/// A checked bench, ready to run.
pub struct Bench {
    options: Options,
    path: Path,
    experiment: Experiment,
    notes: Vec<String>,
}

impl Bench {
    /// Checks everything that can be checked before the first step.
    ///
    /// # Errors
    /// If a setting is unknown, out of its range or contradicts another, more blocks are to be frozen than the model
    /// has, or the random images would not fit into memory.
    pub fn new(options: Options) -> Result<Self, Error> {
        let (path, notes) = Path::configured(&options)?;
        let experiment = path.experiment()?;
        Ok(Self { options, path, experiment, notes })
    }

    /// What the user should know although it is no error.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the workers are told.
    pub fn settings(&self) -> &Arc<Settings> {
        self.experiment.settings()
    }

    /// Measures on `workers` threads; a bar shows how it goes if standard error is a terminal.
    ///
    /// # Errors
    /// If `interrupted` is set on the way, or training fails: then there is no measurement.
    pub fn run(&self, workers: usize, interrupted: &Arc<AtomicBool>) -> Result<Report, Error> {
        // The dense path's images are made when the first round has shown how much memory the other path takes.
        let dense = self.options.dense && self.path.mask() != "dense";
        let dense = dense.then(|| self.path.dense(&self.options)).transpose()?;
        let profiled = layers::steps(self.flops());
        let steps = |path: &Path| u64::from(path.steps_of_round()) * u64::from(ROUNDS);
        let all = steps(&self.path) + dense.as_ref().map_or(0, steps) + u64::from(profiled);
        let bar = bar(all);
        let measured = self.measure(workers, interrupted, dense, profiled, &bar);
        take_away(&bar);
        measured
    }

    fn measure(
        &self,
        workers: usize,
        interrupted: &Arc<AtomicBool>,
        dense: Option<Path>,
        profiled: u32,
        bar: &ProgressBar,
    ) -> Result<Report, Error> {
        let settings = self.settings();
        let path = self.path.mask();
        let round = |experiment: &Experiment, path: &Path| {
            rounds::round(experiment, workers, path.warm_up(), interrupted, bar)
        };
        bar.set_message(format!("{path}: warming up and first round"));
        let mut steps = round(&self.experiment, &self.path)?;
        let peak = memory::peak();
        let dense = dense.map(|path| Ok::<_, Error>((path.experiment()?, path))).transpose()?;
        let mut dense_steps = Vec::new();
        for turn in 1..=ROUNDS {
            if let Some((experiment, path)) = &dense {
                bar.set_message(format!("dense: round {turn} of {ROUNDS}"));
                dense_steps.extend(round(experiment, path)?);
            }
            if turn < ROUNDS {
                bar.set_message(format!("{path}: round {} of {ROUNDS}", turn + 1));
                steps.extend(round(&self.experiment, &self.path)?);
            }
        }
        bar.set_message("layer by layer");
        let profile = layers::profile(settings, profiled, interrupted, bar)?;
        let dense = dense.as_ref().map(|(experiment, _)| (experiment.settings(), &dense_steps[..]));
        Ok(Report::new(&self.experiment, workers, &steps, peak, dense, profile))
    }

    fn flops(&self) -> u64 {
        flops(self.settings())
    }
}

/// FLOPs of a step: forward and backward of a full batch on the weights that exist at the start.
fn flops(settings: &Settings) -> u64 {
    let plan = &settings.plan;
    let frozen = plan.frozen_blocks(0);
    count(&plan.architecture, plan.nonzero(0), frozen, settings.batch_size as u32).total()
}

/// The step's FLOPs of one layer, forward and backward.
fn layer_flops(settings: &Settings, layer: usize) -> u64 {
    let plan = &settings.plan;
    let architecture: &Architecture = &plan.architecture;
    let mut alone = vec![0; architecture.layers.len()];
    alone[layer] = plan.nonzero(0)[layer];
    count(architecture, &alone, plan.frozen_blocks(0), settings.batch_size as u32).total()
}

fn bar(steps: u64) -> ProgressBar {
    let bar = ProgressBar::hidden();
    bar.set_length(steps);
    let style = "{wide_bar:.cyan} {percent:>3} % │ {elapsed}\n{msg}";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is fixed"));
    show(&bar);
    bar
}
