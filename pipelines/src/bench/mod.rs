//! What a training step takes on this machine, beside the dense path.
//!
//! A bench runs the ready [pipeline](crate::pipeline), with its loader, its three closed loops and its
//! workers, on random images of `data.shape` and writes nothing. It runs in rounds: a round is one epoch of
//! the graph, whose first steps warm up and whose other steps are timed, from the end of one update to the
//! end of the next. Rounds of the configured path, of the dense one (the same configuration with
//! `mask.policy = "dense"`) and of the floor take turns, so that a machine that slows down or wakes up does
//! so for all.
//!
//! - **Density.** `mask.policy` is `static` unless given. A policy that ends sparser than it starts is
//!   measured at its target density, as in a run too short for an update.
//! - **Frozen blocks** are frozen from the first step on, and have no backward pass. Nothing else freezes,
//!   nor does a mask or the active set change: no decision falls within an epoch.
//! - **A cache of the frozen prefix** (`freeze.cache`) is filled by an epoch before the timed one: every
//!   timed step finds all of its samples, as far as `freeze.cache_bytes` go. Both epochs show the same
//!   variant of an augmented image. An interval of one epoch becomes one of two, so that nothing changes
//!   between them.
//! - **Data.** Every step has a full batch of different random images, resident in memory as bytes. Turning
//!   bytes into activations is part of the step, as in training, and stands in the profile as `input`. Images
//!   are not varied (`data.augment` is `none` unless given), since other programs' steps do not include that.
//! - **The floor** is the same configuration with next to no weight in its masked layers: what a step takes
//!   however few weights there are, such as carrying values and gradients to memory and back.
//! - **Bandwidth.** Bytes are those of values and gradients that a step reads and writes, told from shapes
//!   ([`traffic`](spfde_model::Description::traffic)). The machine's bandwidth is what as many threads reach
//!   that copy 64 MiB each at once, with what a third-level cache adds to it.
//! - **FLOPs** are those of [`count`]: forward and backward on existing weights, no padding.
//! - **Peak memory** is the high-water mark of the process after the first round of the configured path,
//!   before anything else has run.
//! - **The dataflow's share** is the part of the time of all timed steps in which not even the slowest worker
//!   computes: 1 − Σ max(computation) / Σ step, where a worker's computation is its forward and backward
//!   passes and its update. Loading, reducing, sorting and handing on rows, progress and waiting for messages
//!   all count as dataflow. How much longer than the average worker the slowest computes is stated apart, as
//!   imbalance.
//! - **Layers** are profiled afterwards, in steps of their own on one thread without dataflow.

mod bandwidth;
mod clock;
mod data;
mod layers;
mod prefix;
mod prepare;
mod report;
mod statistics;
mod table;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::ProgressBar;
use spfde_data::Scratch;
use spfde_data::files::ScratchFile;
use spfde_data::nowhere::Nowhere;
use spfde_data::parameter::Value;
use spfde_flow::{Observer, PrefixCache, Services, Settings, Stop};
use spfde_policy::count;

use crate::cluster::Network;
use crate::replay::failure;
use crate::workers::{Ended, execute};
use crate::{Experiment, Registry, Result, memory};

use clock::{Clock, StepTime};
use prepare::Path;
use report::Beside;
pub use report::{LayerReport, OperationReport, PathReport, Report};
pub use table::table;

/// Turns that the paths take.
const ROUNDS: u32 = 2;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// What there is to choose from.
    pub registry: Arc<Registry>,
    /// Settings as in a configuration file, and `data.shape`.
    pub given: Vec<(String, Value)>,
    /// Blocks of the front that are frozen from the start.
    pub frozen: usize,
    /// Timed steps of each path, in two rounds; `None`: the fewer, the more FLOPs a step has.
    pub steps: Option<u32>,
    /// Whether to measure the dense path, too.
    pub dense: bool,
}

/// A checked bench, ready to run.
pub struct Bench {
    path: Path,
    dense: Option<Path>,
    floor: Path,
    experiment: Experiment,
    notes: Vec<String>,
}

impl Bench {
    /// Checks everything that can be checked before the first step.
    ///
    /// # Errors
    /// If a setting is unknown, out of its range or contradicts another, more blocks are to be frozen than
    /// the model has, or the random images would not fit into memory.
    pub fn new(options: Options) -> Result<Self> {
        let (path, mut notes) = Path::configured(&options)?;
        let dense = options.dense && path.mask() != "dense";
        let dense = dense.then(|| path.dense(&options)).transpose()?;
        let floor = path.floor(&options)?;
        let experiment = path.experiment()?;
        let sieve = &experiment.settings().policies.sieve;
        if (1..path.epochs()).any(|epoch| sieve.decides(epoch)) {
            let note = "the active set changes between the epoch that fills the cache and the timed one, \
                        which may not find all of its samples; `sieve.policy=none` keeps it";
            notes.push(note.to_owned());
        }
        Ok(Self { experiment, path, dense, floor, notes })
    }

    /// What the user should know although it is no error.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the workers are told.
    pub fn settings(&self) -> &Arc<Settings> {
        self.experiment.settings()
    }

    /// Steps of everything that is measured.
    pub fn steps(&self) -> u64 {
        let paths = [Some(&self.path), self.dense.as_ref(), Some(&self.floor)].into_iter().flatten();
        let timed: u32 = paths.map(|path| path.epochs() * path.steps_of_epoch() * ROUNDS).sum();
        u64::from(timed + layers::steps(flops(self.settings())))
    }

    /// Measures on `workers` threads; `bar` is told of every step, and what it belongs to.
    ///
    /// # Errors
    /// If `interrupted` is set on the way, or training fails: then there is no measurement.
    pub fn run(&self, workers: usize, interrupted: &Arc<AtomicBool>, bar: &ProgressBar) -> Result<Report> {
        let round = |experiment: &Experiment, path: &Path, turn: u32| {
            bar.set_message(format!("{}: round {turn} of {ROUNDS}", path.name()));
            measure(experiment, workers, path.warm_up(turn), interrupted, bar)
        };
        let mut steps = round(&self.experiment, &self.path, 1)?;
        let peak = memory::peak();
        // The images of other paths are made only now that the peak of this one is known.
        let others = [self.dense.as_ref(), Some(&self.floor)].into_iter().flatten();
        let others = others.map(|path| Ok((path.experiment()?, path, Vec::new())));
        let mut others: Vec<(Experiment, &Path, Vec<StepTime>)> = others.collect::<Result<_>>()?;
        for turn in 1..=ROUNDS {
            for (experiment, path, steps) in &mut others {
                steps.extend(round(experiment, path, turn)?);
            }
            if turn < ROUNDS {
                steps.extend(round(&self.experiment, &self.path, turn + 1)?);
            }
        }
        bar.set_message("layer by layer");
        let steps_by_layer = layers::steps(flops(self.settings()));
        let profile = layers::profile(self.settings(), steps_by_layer, interrupted, bar)?;
        let mut others = others.iter().map(|(one, _, steps)| PathReport::new(one.settings(), steps));
        let dense = self.dense.as_ref().and_then(|_| others.next());
        let floor = others.next().expect("the floor is the last of them");
        let beside = Beside { dense, floor, bandwidth: bandwidth::measure(workers) };
        Ok(Report::new(&self.experiment, workers, &steps, peak, beside, profile))
    }
}

/// Runs the graph for the epochs of `experiment`; its steps after the first `warm_up`.
fn measure(
    experiment: &Experiment,
    workers: usize,
    warm_up: u32,
    interrupted: &Arc<AtomicBool>,
    bar: &ProgressBar,
) -> Result<Vec<StepTime>> {
    let settings = experiment.settings();
    let clock = Arc::new(Clock::new(workers, bar.clone()));
    let directory = std::env::temp_dir().join(format!("spfde-bench-{}", std::process::id()));
    let scratch = || Box::new(ScratchFile::new(&directory)) as Box<dyn Scratch>;
    let services = Services {
        store: Arc::new(Nowhere),
        commit: Arc::new(Nowhere),
        stop: Stop::when(Arc::clone(interrupted)),
        checkpoints: None,
        resumed: None,
        recorded: None,
        prefix_cache: PrefixCache::new(&settings.kept_of_prefix(), &scratch),
        observer: Arc::clone(&clock) as Arc<dyn Observer>,
    };
    let Ended { done, panicked, .. } = execute(settings, services, Network::alone(workers), crate::wire);
    match failure(panicked, done.into_iter().flatten().min().as_ref(), true) {
        Some(failure) => Err(failure),
        None => Ok(clock.steps(warm_up as usize, workers.min(settings.shards))),
    }
}

/// FLOPs of a step: forward and backward of a full batch on the weights that exist at the start.
fn flops(settings: &Settings) -> u64 {
    flops_of(settings, settings.plan.nonzero(0))
}

/// The step's FLOPs if the layers have so many weights.
fn flops_of(settings: &Settings, nonzero: &[u32]) -> u64 {
    let plan = &settings.plan;
    count(&plan.architecture, nonzero, plan.frozen_blocks(0), settings.batch_size as u32).total()
}
