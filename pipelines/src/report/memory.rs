//! What a run takes in memory at its peak, from its configuration alone.

use spfde_policy::mask::Needs;

use crate::Experiment;

/// Bytes of a process that grow with neither network nor data: the program, threads, files under way.
const PROGRAM: u64 = 40 << 20;
/// Bytes of an existing weight that the owner of its layer keeps over an epoch: value at the start, and the
/// sum of the gradients.
const LEDGER: u64 = 12;
/// Bytes of an existing weight in a checkpoint under way: index, value, momentum, each also as in the file.
const CHECKPOINT: u64 = 24;
/// Bytes of an existing weight that a mask policy is shown: index, value, gradient.
const SHOWN: u64 = 12;
/// Bytes of a weight that is ranked, or of a row of `masks`.
const ROW: u64 = 16;
/// Bytes of a weight while the kernels' lists of its layer are made.
const PLACE: u64 = 12;
/// Bytes of a weight whose dense gradient is computed: its place, and an entry of the kernel.
const DENSE_TAP: u64 = 24;
/// Test samples that are evaluated at a time.
const EVALUATED: usize = 64;

/// Bytes of the process at the peak of training on so many `workers`, its data set included.
pub fn training(experiment: &Experiment, workers: usize) -> u64 {
    let (plan, settings, existing) = (experiment.plan(), experiment.settings(), fullest(experiment));
    let mask = &settings.policies.mask;
    let needs = |layer: usize, epoch: u32| mask.needs(layer, epoch, plan.spans(layer));
    let updates = |layer: usize| (1..plan.epochs).any(|epoch| needs(layer, epoch) > Needs::Nothing);
    let count = |those: &dyn Fn(usize) -> bool| -> (u64, u64) {
        let those = existing.iter().enumerate().filter(|(layer, _)| those(*layer));
        let counts = || those.clone().map(|(_, count)| u64::from(*count));
        (counts().sum(), counts().max().unwrap_or(0))
    };
    let ((weights, _), (masked, largest)) = (count(&|_| true), count(&|layer| plan.masked[layer]));
    let (updated, ranked) = count(&updates);
    let (shards, workers) = (settings.shards as u64, workers.max(1) as u64);
    let working = workers.min(shards);
    let dense = (0..plan.epochs).map(|epoch| dense_weights(experiment, epoch)).max().unwrap_or_default();
    let part = 4 * (settings.network.part_numbers(existing) + dense.iter().sum::<u64>());
    // A worker adds up the parts of its shards along a tree, then those of all workers.
    let own = u64::from(shards.div_ceil(working).next_power_of_two().ilog2()) + 1;
    let step = part * own.max(1 + working.min(2)) + DENSE_TAP * dense.into_iter().max().unwrap_or(0);
    let begin = ROW * masked + workers * (4 * masked + PLACE * largest);
    let end = working * part + CHECKPOINT * weights + SHOWN * updated + ROW * ranked;
    let shard = settings.batch_size.div_ceil(settings.shards);
    let passes = settings.network.pass_bytes(settings.kernel, settings.storage, shard, EVALUATED, existing);
    let steady = workers * replica(experiment, existing) + working * passes + LEDGER * weights;
    PROGRAM + data(experiment) + steady + begin.max(end).max(working * step)
}

/// Bytes of the process while it measures what dense steps take: before it trains, on one shard.
pub fn dense_steps(experiment: &Experiment) -> u64 {
    let settings = experiment.settings();
    let layers = &experiment.plan().architecture.layers;
    let all: Vec<u32> = layers.iter().map(|layer| layer.weights() as u32).collect();
    let most = all.iter().max().map_or(0, |weights| PLACE * u64::from(*weights));
    let shard = settings.batch_size.div_ceil(settings.shards);
    let passes = settings.network.pass_bytes(settings.kernel, settings.storage, shard, 0, &all);
    let step = passes + 4 * settings.network.part_numbers(&all);
    PROGRAM + data(experiment) + replica(experiment, &all) + step.max(most)
}

/// Bytes of a worker's network when it has the most weights.
pub fn network(experiment: &Experiment) -> u64 {
    replica(experiment, fullest(experiment))
}

/// The existing weights of each layer in the epoch in which there are the most.
fn fullest(experiment: &Experiment) -> &[u32] {
    let plan = experiment.plan();
    let count = |epoch: &u32| plan.nonzero(*epoch).iter().map(|count| u64::from(*count)).sum::<u64>();
    plan.nonzero((0..plan.epochs).max_by_key(count).unwrap_or(0))
}

/// Bytes of a network of whose layers so many weights exist.
fn replica(experiment: &Experiment, existing: &[u32]) -> u64 {
    let network = &experiment.settings().network;
    let bytes = |(layer, count): (usize, &u32)| network.weight_bytes(layer, *count as usize);
    existing.iter().enumerate().map(bytes).sum()
}

/// Bytes of images and labels, and of the compressed files that they come from: about a third of that.
fn data(experiment: &Experiment) -> u64 {
    let data = &experiment.settings().data;
    let bytes = [&data.train, &data.test].map(|images| (images.pixels.len() + 2 * images.len()) as u64);
    bytes.iter().sum::<u64>() * 4 / 3
}

/// The weights of each layer whose dense gradient a step of `epoch` computes.
fn dense_weights(experiment: &Experiment, epoch: u32) -> Vec<u64> {
    let plan = experiment.plan();
    let frozen = plan.frozen_blocks(epoch);
    let [at_end, within]: [Vec<usize>; 2] =
        [plan.dense_gradients(epoch, frozen).collect(), plan.dense_gradients_within(epoch, frozen).collect()];
    let layers = if at_end.len() > within.len() { at_end } else { within };
    layers.into_iter().map(|layer| plan.architecture.layers[layer].weights() as u64).collect()
}
