//! A profile of the step: layer by layer, on one thread, apart from the timed steps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use indicatif::ProgressBar;
use spfde_data::augment::Placement;
use spfde_flow::Settings;
use spfde_model::{Activations, MomentumSgd, Network, Shard, Workspace, input};

use crate::error::Error;

use super::rounds::interruption;
use super::statistics::median;

/// FLOPs that all profiled steps have together.
const PROFILED_FLOPS: u64 = 80_000_000_000;

/// Seconds of one step by operation, such as `forward block0.convolution1`.
type Seconds = BTreeMap<String, f64>;

/// Median seconds of a step by operation.
#[derive(Debug, Default)]
pub(super) struct Profile {
    seconds: BTreeMap<String, f64>,
    /// What each layer computes with.
    pub(super) kernels: Vec<String>,
}

impl Profile {
    /// Takes the seconds of an operation; 0 if it was not computed.
    pub(super) fn take(&mut self, direction: &str, name: &str) -> f64 {
        self.seconds.remove(&format!("{direction} {name}")).unwrap_or(0.0)
    }

    /// What is left: operations that are no layer, by name, with the seconds of `forward` and `backward`.
    pub(super) fn others(self) -> BTreeMap<String, [f64; 2]> {
        let mut others: BTreeMap<String, [f64; 2]> = BTreeMap::new();
        for (operation, seconds) in self.seconds {
            let (direction, name) = match operation.split_once(' ') {
                Some((direction @ ("forward" | "backward"), name)) => (direction, name),
                _ => ("forward", operation.as_str()),
            };
            others.entry(name.to_owned()).or_default()[usize::from(direction == "backward")] += seconds;
        }
        others
    }
}

/// Steps of a profile, the first of which warms up.
pub(super) fn steps(flops: u64) -> u32 {
    1 + (PROFILED_FLOPS / flops.max(1)).clamp(2, 50) as u32
}

/// What runs now since when, and the seconds of what has run.
#[derive(Default)]
struct Recorder {
    seconds: Seconds,
    running: Option<(String, Instant)>,
}

impl Recorder {
    fn next(&mut self, name: &str) {
        if let Some((name, since)) = self.running.take() {
            *self.seconds.entry(name).or_default() += since.elapsed().as_secs_f64();
        }
        self.running = (name != "end").then(|| (name.to_owned(), Instant::now()));
    }
}

/// Profiles so many `steps`, all on the same batch.
pub(super) fn profile(
    settings: &Settings,
    steps: u32,
    interrupted: &AtomicBool,
    bar: &ProgressBar,
) -> Result<Profile, Error> {
    let mut network = settings.initial_network()?;
    let mut workspace = Workspace::new(&network);
    let recorder = Arc::new(Mutex::new(Recorder::default()));
    let listener = Arc::clone(&recorder);
    workspace.listen(move |name| listener.lock().unwrap_or_else(PoisonError::into_inner).next(name));
    let mut measured: Vec<Seconds> = Vec::new();
    for _ in 0..steps {
        let mut seconds = step(settings, &mut network, &mut workspace, interrupted)?;
        let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        seconds.append(&mut std::mem::take(&mut recorder.seconds));
        measured.push(seconds);
        bar.inc(1);
    }
    let measured = &measured[1..];
    let operations: Vec<&String> = measured.iter().flat_map(BTreeMap::keys).collect();
    let of = |operation: &String| {
        let seconds: Vec<f64> =
            measured.iter().map(|step| step.get(operation).copied().unwrap_or(0.0)).collect();
        (operation.clone(), median(&seconds))
    };
    let kernels =
        (0..network.architecture().layers.len()).map(|layer| network.form(layer).name().to_owned()).collect();
    Ok(Profile { seconds: operations.into_iter().map(of).collect(), kernels })
}

/// One step: the batch's shards one after another, and the update; seconds of what the listener does not hear of.
fn step(
    settings: &Settings,
    network: &mut Network,
    workspace: &mut Workspace,
    interrupted: &AtomicBool,
) -> Result<Seconds, Error> {
    let (batch, shards) = (settings.batch_size, settings.shards);
    let images = &settings.data.train;
    let mut inputs = Activations::default((0, 0, 0, 0));
    let mut seconds = Seconds::new();
    let mut sum = vec![0.0; network.part_len()];
    let (mut part, mut scores) = (sum.clone(), Vec::new());
    for shard in 0..shards {
        if interrupted.load(Ordering::Relaxed) {
            return Err(interruption());
        }
        let range = batch * shard / shards..batch * (shard + 1) / shards;
        let samples: Vec<u32> = range.clone().map(|sample| sample as u32).collect();
        let place = |sample: u32| -> Placement { settings.augment.place(settings.seed, 0, sample) };
        let start = Instant::now();
        input::gather(images, &settings.data.normalization, &samples, place, &mut inputs);
        *seconds.entry("input".to_owned()).or_default() += start.elapsed().as_secs_f64();
        let weights = vec![1.0; samples.len()];
        let labels = &images.labels[range];
        let shard = Shard { inputs: &inputs, labels, weights: &weights, batch_samples: batch };
        network.train_shard(workspace, &shard, &mut part, &mut scores);
        sum.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
    }
    let rates = vec![settings.learning_rate as f32; network.architecture().blocks.len() + 1];
    let start = Instant::now();
    let (momentum, weight_decay) = (settings.momentum as f32, settings.weight_decay as f32);
    network.update(&sum, &rates, &MomentumSgd { momentum, weight_decay });
    seconds.insert("update".to_owned(), start.elapsed().as_secs_f64());
    Ok(seconds)
}
