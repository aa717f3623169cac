//! A profile of the step: layer by layer, on one thread, apart from the timed steps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use indicatif::ProgressBar;
use spfde_flow::{Settings, share};
use spfde_model::{Activations, Network, Shard, Workspace, input};

use crate::{Error, Result};

use super::statistics::median;

/// FLOPs that all profiled steps have together.
const PROFILED_FLOPS: u64 = 80_000_000_000;

/// Seconds of a step by layer and other operation, such as `update`: of its forward and of its backward pass.
pub(super) type Seconds = BTreeMap<String, [f64; 2]>;

/// A profile of the step.
pub(super) struct Profile {
    /// Medians over the steps.
    pub(super) seconds: Seconds,
    /// What each layer computes with.
    pub(super) kernels: Vec<String>,
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
    /// An operation begins, such as `backward block0.convolution1` or `update`, and the one before it ends;
    /// `end` is none.
    fn next(&mut self, operation: &str) {
        if let Some((before, since)) = self.running.take() {
            let (direction, name) = match before.split_once(' ') {
                Some(("forward", name)) => (0, name),
                Some(("backward", name)) => (1, name),
                _ => (0, before.as_str()),
            };
            self.seconds.entry(name.to_owned()).or_default()[direction] += since.elapsed().as_secs_f64();
        }
        self.running = (operation != "end").then(|| (operation.to_owned(), Instant::now()));
    }
}

/// Profiles so many `steps`, all on the same batch.
pub(super) fn profile(
    settings: &Settings,
    steps: u32,
    interrupted: &AtomicBool,
    bar: &ProgressBar,
) -> Result<Profile> {
    let mut network = settings.initial_network();
    let mut workspace = Workspace::new(&network);
    let recorder = Arc::new(Mutex::new(Recorder::default()));
    let shared = Arc::clone(&recorder);
    let record = move |name: &str| shared.lock().unwrap_or_else(PoisonError::into_inner).next(name);
    workspace.listen(record.clone());
    let mut measured: Vec<Seconds> = Vec::new();
    for _ in 0..steps {
        step(settings, &mut network, &mut workspace, interrupted, &record)?;
        let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        measured.push(std::mem::take(&mut recorder.seconds));
        bar.inc(1);
    }
    let of = |name: &String, direction: usize| {
        let seconds = measured[1..].iter().map(|step| step.get(name).map_or(0.0, |pair| pair[direction]));
        median(&seconds.collect::<Vec<f64>>())
    };
    let names = measured[1..].iter().flat_map(BTreeMap::keys);
    let seconds = names.map(|name| (name.clone(), [of(name, 0), of(name, 1)])).collect();
    let layers = 0..network.architecture().layers.len();
    Ok(Profile { seconds, kernels: layers.map(|layer| network.form(layer).name().to_owned()).collect() })
}

/// One step: the batch's shards one after another, and the update.
fn step(
    settings: &Settings,
    network: &mut Network,
    workspace: &mut Workspace,
    interrupted: &AtomicBool,
    record: &impl Fn(&str),
) -> Result<()> {
    let (batch, shards) = (settings.batch_size, settings.shards);
    let images = &settings.data.train;
    let mut inputs = Activations::default((0, 0, 0, 0, 0));
    let mut sum = vec![0.0; network.part_len()];
    let mut part = sum.clone();
    for shard in 0..shards {
        if interrupted.load(Ordering::Relaxed) {
            return Err(Error::Unkept { reason: "interrupted".to_owned(), bench: true, interrupted: true });
        }
        let range = share(batch, shard, shards);
        let samples: Vec<u32> = range.clone().map(|sample| sample as u32).collect();
        let shape = [images.height, images.width];
        let place = |position: usize| settings.augment.place(settings.seed, 0, samples[position], shape);
        record("input");
        input::gather(settings.kernel, images, &settings.data.normalization, &samples, place, &mut inputs);
        record("end");
        let weights = vec![1.0; samples.len()];
        let noise: Vec<u64> = samples.iter().map(|sample| u64::from(*sample)).collect();
        let labels = &images.labels[range];
        let shard = Shard { inputs: &inputs, labels, weights: &weights, noise: &noise, batch_samples: batch };
        network.train_shard(workspace, &shard, &mut part);
        sum.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
    }
    let rates = vec![settings.learning_rate as f32; network.architecture().blocks.len() + 1];
    record("update");
    network.update(&sum, &rates, &*settings.seams.optimiser);
    record("end");
    Ok(())
}
