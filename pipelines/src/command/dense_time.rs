//! What dense training would take on this machine, from a few dense steps.

use std::time::Instant;

use spfde_data::Placement;
use spfde_model::{Activations, Shard, Workspace, input};

use crate::Experiment;
use crate::report::memory;

/// Steps that are measured.
const STEPS: u32 = 3;

/// The greatest part of a run's FLOPs that these steps may take.
const PART: f64 = 0.01;

/// Seconds of a step at least: a shorter one says more of the clock than of the network.
const BRIEF: f64 = 1e-4;

/// Seconds that one thread takes to train one sample densely, with this network, kernel and data: the fastest
/// of a few steps on one shard. Only people read it. `None` if these steps would be a large part of the run,
/// or too short to be told from the clock.
pub(super) fn dense_seconds_per_sample(experiment: &Experiment) -> Option<f64> {
    let (settings, plan) = (experiment.settings(), experiment.plan());
    let images = &settings.data.train;
    let shard = settings.batch_size.div_ceil(settings.shards).min(images.len());
    let dense = plan.dense_cost.total() as f64 / f64::from(plan.samples);
    let cost = f64::from(STEPS) * shard as f64 * dense;
    // Nor may they take clearly more memory than the run itself.
    let takes_more = memory::dense_steps(experiment) / 5 > memory::training(experiment, 1) / 4;
    if takes_more || cost > PART * plan.total().total() as f64 {
        return None;
    }
    let network = settings.fresh_network();
    let samples: Vec<u32> = (0..shard as u32).collect();
    let labels: Vec<u16> = samples.iter().map(|sample| images.labels[*sample as usize]).collect();
    let weights = vec![1.0; samples.len()];
    let mut inputs = Activations::default((0, 0, 0, 0, 0));
    let (normalization, place) = (&settings.data.normalization, |_: usize| Placement::default());
    // If images cannot be read, the first step of the run says why.
    let (held, places) = images.at_hand(&samples).ok()?;
    input::gather(settings.kernel, &held, normalization, &places, place, &mut inputs);
    let (labels, weights, batch_samples) = (&labels[..], &weights[..], samples.len());
    let shard = Shard { inputs: &inputs, labels, weights, noise: &[], batch_samples };
    let mut workspace = Workspace::new(&network);
    let mut part = vec![0.0; network.part_len()];
    let mut step = || {
        let start = Instant::now();
        part.fill(0.0);
        network.train_shard(&mut workspace, &shard, &mut part);
        start.elapsed().as_secs_f64()
    };
    let fastest = (0..STEPS).map(|_| step()).min_by(f64::total_cmp)?;
    (fastest >= BRIEF).then(|| fastest / samples.len() as f64)
}
