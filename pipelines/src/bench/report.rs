//! What a bench measured, as one record.

use std::collections::BTreeMap;

use serde::Serialize;
use spfde_data::parameter::Value;
use spfde_flow::{Settings, share};
use spfde_model::Storage;

use crate::experiment::Experiment;

use super::clock::StepTime;
use super::layers::Profile;
use super::statistics::{median, quantile};
use super::{flops, flops_of};

/// Settings that a bench does not read.
const UNREAD: [&str; 3] = ["train.epochs", "data.path", "freeze.policy"];

/// What a bench measured: the one object that `--json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model.
    pub model: String,
    /// Threads that trained.
    pub workers: usize,
    /// Processes: one.
    pub processes: usize,
    /// Samples of a step.
    pub batch_size: usize,
    /// Blocks of the model.
    pub blocks: usize,
    /// Blocks that are frozen from the start.
    pub frozen_blocks: usize,
    /// Weights of the dense model.
    pub weights: u64,
    /// Weights that exist.
    pub nonzero: u64,
    /// The configured path.
    #[serde(flatten)]
    pub path: PathReport,
    /// Resident bytes at most, the random images included; absent where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// Bytes of the random images.
    pub image_bytes: u64,
    /// The share of the timed steps in which no worker computes.
    pub dataflow_share: f64,
    /// The share of the timed steps by which the slowest worker computes longer than the average one.
    pub imbalance_share: f64,
    /// Mean seconds a step by stage of the dataflow, of the average worker.
    pub stages: BTreeMap<String, f64>,
    /// The configured path with next to no weights in masked layers.
    pub floor: PathReport,
    /// Bytes of values and gradients that a step reads and writes, beside what stays in caches.
    pub bytes_per_step: u64,
    /// `bytes_per_step / seconds_per_step`.
    pub bytes_per_second: f64,
    /// Bytes that this machine reads and writes a second if as many threads copy memory.
    pub machine_bytes_per_second: f64,
    /// The dense path, unless that is the configured one or was not asked for.
    pub dense: Option<PathReport>,
    /// How many times as fast as the dense path: the medians' ratio.
    pub times_faster_than_dense: Option<f64>,
    /// Threads of the profile by layer.
    pub profile_workers: usize,
    /// Every layer, in forward order.
    pub layers: Vec<LayerReport>,
    /// What else the profile has: operations that are no layer.
    pub operations: Vec<OperationReport>,
    /// The instruction set of the kernels.
    pub kernel: String,
    /// Samples that the kernels compute at once.
    pub lanes: usize,
    /// How outputs and gradients of layers are kept.
    pub storage: Storage,
    /// The settings.
    pub configuration: BTreeMap<String, Value>,
}

/// The timed steps of one path.
#[derive(Clone, Debug, Serialize)]
pub struct PathReport {
    /// The mask policy.
    pub mask: String,
    /// Timed steps.
    pub steps: usize,
    /// Median.
    pub seconds_per_step: f64,
    /// The fastest step.
    pub seconds_per_step_min: f64,
    /// A quarter of the steps are faster.
    pub seconds_per_step_lower_quartile: f64,
    /// A quarter of the steps are slower.
    pub seconds_per_step_upper_quartile: f64,
    /// Every timed step, in order.
    pub step_seconds: Vec<f64>,
    /// `batch_size / seconds_per_step`.
    pub images_per_second: f64,
    /// FLOPs of a step, forward and backward, on existing weights.
    pub flops_per_step: u64,
    /// 10⁹ FLOPs a second: `flops_per_step / seconds_per_step / 10⁹`.
    pub gflops: f64,
}

/// One layer of the profile.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// Its name, and what its passes take.
    #[serde(flatten)]
    pub passes: OperationReport,
    /// Weights of the dense layer.
    pub weights: u64,
    /// Weights that exist.
    pub nonzero: u64,
    /// `nonzero / weights`.
    pub density: f64,
    /// Whether it is frozen.
    pub frozen: bool,
    /// What it computes with.
    pub kernel: String,
    /// 10⁹ FLOPs a second, forward and backward.
    pub gflops: f64,
}

/// A layer, or an operation that is none.
#[derive(Clone, Debug, Serialize)]
pub struct OperationReport {
    /// Its name; `input` turns bytes into activations, `update` is the optimiser's step.
    pub name: String,
    /// Median seconds a step of all its forward passes, on one thread.
    pub forward_seconds: f64,
    /// Median seconds a step of all its backward passes, on one thread; 0 if it is a frozen layer.
    pub backward_seconds: f64,
}

/// What is measured beside the configured path.
pub(super) struct Beside {
    pub(super) dense: Option<PathReport>,
    pub(super) floor: PathReport,
    /// Bytes a second.
    pub(super) bandwidth: f64,
}

impl Report {
    pub(super) fn new(
        experiment: &Experiment,
        workers: usize,
        steps: &[StepTime],
        peak_rss_bytes: Option<u64>,
        Beside { dense, floor, bandwidth }: Beside,
        mut profile: Profile,
    ) -> Self {
        let settings = experiment.settings();
        let plan = &settings.plan;
        let path = PathReport::new(settings, steps);
        let total: f64 = steps.iter().map(|step| step.seconds).sum();
        let [slowest, average] = [0, 1].map(|of| steps.iter().map(|step| step.computed()[of]).sum::<f64>());
        let layers =
            (0..plan.architecture.layers.len()).map(|layer| layer_report(settings, layer, &mut profile));
        let layers: Vec<LayerReport> = layers.collect();
        // Groups of lanes are carried whole.
        let samples = |shard: usize| share(settings.batch_size, shard, settings.shards).len();
        let groups = (0..settings.shards).map(|shard| settings.kernel.groups(samples(shard)));
        let carried = groups.sum::<usize>() * settings.kernel.lanes() * settings.storage.bytes();
        let bytes_per_step = settings.network.traffic(plan.frozen_blocks(0)) * carried as u64;
        let values = experiment.configuration().values().iter().filter(|(key, _)| !UNREAD.contains(key));
        Self {
            model: settings.model.clone(),
            workers,
            processes: 1,
            batch_size: settings.batch_size,
            blocks: plan.architecture.blocks.len(),
            frozen_blocks: plan.frozen_blocks(0),
            weights: layers.iter().map(|layer| layer.weights).sum(),
            nonzero: layers.iter().map(|layer| layer.nonzero).sum(),
            times_faster_than_dense: dense
                .as_ref()
                .map(|dense| dense.seconds_per_step / path.seconds_per_step),
            bytes_per_step,
            bytes_per_second: bytes_per_step as f64 / path.seconds_per_step,
            machine_bytes_per_second: bandwidth,
            floor,
            path,
            peak_rss_bytes,
            image_bytes: settings.data.train.pixels.bytes() as u64,
            dataflow_share: 1.0 - slowest / total,
            imbalance_share: (slowest - average) / total,
            stages: stages(steps),
            dense,
            profile_workers: 1,
            layers,
            operations: profile.seconds.into_iter().map(OperationReport::of).collect(),
            kernel: settings.kernel.name().to_owned(),
            lanes: settings.kernel.lanes(),
            storage: settings.storage,
            configuration: values.map(|(key, value)| (key.to_owned(), value.clone())).collect(),
        }
    }
}

impl PathReport {
    pub(super) fn new(settings: &Settings, steps: &[StepTime]) -> Self {
        let seconds: Vec<f64> = steps.iter().map(|step| step.seconds).collect();
        let (middle, flops) = (median(&seconds), flops(settings));
        Self {
            mask: settings.policies.mask.name().to_owned(),
            steps: seconds.len(),
            seconds_per_step: middle,
            seconds_per_step_min: quantile(&seconds, 0.0),
            seconds_per_step_lower_quartile: quantile(&seconds, 0.25),
            seconds_per_step_upper_quartile: quantile(&seconds, 0.75),
            images_per_second: settings.batch_size as f64 / middle,
            flops_per_step: flops,
            gflops: flops as f64 / middle / 1e9,
            step_seconds: seconds,
        }
    }
}

impl OperationReport {
    fn of((name, [forward_seconds, backward_seconds]): (String, [f64; 2])) -> Self {
        Self { name, forward_seconds, backward_seconds }
    }
}

/// Takes a layer out of `profile`.
fn layer_report(settings: &Settings, layer: usize, profile: &mut Profile) -> LayerReport {
    let plan = &settings.plan;
    let shape = &plan.architecture.layers[layer];
    let mut alone = vec![0; plan.architecture.layers.len()];
    alone[layer] = plan.nonzero(0)[layer];
    let (weights, nonzero) = (shape.weights() as u64, u64::from(alone[layer]));
    let [forward, backward] = profile.seconds.remove(&shape.name).unwrap_or_default();
    let gflops = flops_of(settings, &alone) as f64 / (forward + backward) / 1e9;
    LayerReport {
        passes: OperationReport::of((shape.name.clone(), [forward, backward])),
        weights,
        nonzero,
        density: nonzero as f64 / weights as f64,
        frozen: shape.block < plan.frozen_blocks(0),
        kernel: profile.kernels[layer].clone(),
        gflops: if forward + backward > 0.0 { gflops } else { 0.0 },
    }
}

/// Mean seconds a step and worker by stage.
fn stages(steps: &[StepTime]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for stages in steps.iter().flat_map(|step| &step.workers) {
        stages.iter().for_each(|(stage, seconds)| *sums.entry((*stage).to_owned()).or_default() += seconds);
    }
    let count = steps.iter().map(|step| step.workers.len()).sum::<usize>().max(1) as f64;
    sums.values_mut().for_each(|sum| *sum /= count);
    sums
}
