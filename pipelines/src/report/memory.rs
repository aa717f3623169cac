//! What a run takes in memory at its peak, from its configuration alone.

use spfde_flow::{Cache, CacheSettings};
use spfde_policy::mask::Needs;

use crate::Experiment;
use crate::configuration::keys::cache_bytes;

/// Bytes of a process that grow with neither network nor data: the program, threads, files under way.
const PROGRAM: u64 = 40 << 20;
/// Bytes of an existing weight that the owner of its layer keeps over an epoch: value at the start, and the
/// sum of the gradients.
const LEDGER: u64 = 12;
/// Bytes of an existing weight in a checkpoint under way: index, value, momentum, each also as in the file.
const CHECKPOINT: u64 = 24;
/// Bytes of a second number of the optimiser: in the network; in a checkpoint under way, also as in its file.
const SQUARE: [u64; 2] = [4, 8];
/// Bytes of an existing weight that a mask policy is shown: index, value, gradient.
const SHOWN: u64 = 12;
/// Bytes of a weight that is ranked, or of a row of `masks`.
const ROW: u64 = 16;
/// Bytes of a weight while the kernels' lists of its layer are made.
const PLACE: u64 = 12;
/// Bytes of a weight whose gradient is computed whether or not it exists: its index, and what a kernel runs
/// over.
const DENSE_TAP: u64 = 16;
/// Bytes of what layers put out for the probe that a worker holds at a time, unless a single layer has more.
const OUTPUTS: u64 = 64 << 20;
/// Bytes of a product of two of its samples: twice in memory, as a row and as columns of a checkpoint.
const PRODUCT: u64 = 48;
/// Bytes of two squares of its samples, of now and before, by which a worker compares a layer.
const SQUARES: u64 = 16;
/// Bytes that are noted of an output of the frozen prefix.
const ENTRY: u64 = 128;
/// Samples that pass the network at a time where they do not train: test samples, and those of the probe.
const PASSED: usize = 64;

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
    let beyond = dense.iter().sum::<u64>() + trained_of_store(experiment, existing);
    let part = 4 * (settings.network.part_numbers(existing) + beyond);
    // A worker adds up the parts of its shards along a tree, then those of all workers.
    let own = u64::from(shards.div_ceil(working).next_power_of_two().ilog2()) + 1;
    // The lists for momenta are made once, before there are momenta.
    let made = if mask.momentum_steps().is_some() { 0 } else { dense.into_iter().max().unwrap_or(0) };
    let step = part * own.max(1 + working.min(2)) + PLACE * made;
    let begin = ROW * masked + workers * (4 * masked + PLACE * largest);
    let squares = if settings.seams.optimiser.keeps_squares() { SQUARE[1] * weights } else { 0 };
    let beside = beside(experiment, &updates);
    let end = working * part + CHECKPOINT * weights + 4 * beside + squares + SHOWN * updated + ROW * ranked;
    let shard = settings.batch_size.div_ceil(settings.shards);
    // The probe passes as a shard does, whose values stay until all layers have been looked at.
    let most = shard.max(PASSED.min(probed(experiment) as usize));
    let passes = settings.network.pass_bytes(settings.kernel, settings.storage, most, PASSED, existing);
    let replica = workers * (replica(experiment, existing) + 4 * beside + DENSE_TAP * beyond);
    let steady = replica + working * passes + LEDGER * weights + begin.max(end).max(working * step);
    let kept = data(experiment) + start(experiment) + prefix_cache(experiment) + probe(experiment, working);
    PROGRAM + kept + steady.max(choosing(experiment, workers))
}

/// All weights of some layers, whether or not they exist.
fn all_of(experiment: &Experiment, those: &dyn Fn(usize) -> bool) -> u64 {
    let layers = experiment.plan().architecture.layers.iter().enumerate();
    layers.filter(|(layer, _)| those(*layer)).map(|(_, layer)| layer.weights() as u64).sum()
}

/// Numbers that a mask policy keeps beside the network: momenta of dense gradients, values of weights that do
/// not exist, and a state to go back to.
fn beside(experiment: &Experiment, updates: &dyn Fn(usize) -> bool) -> u64 {
    let mask = &experiment.settings().policies.mask;
    let momenta = if mask.momentum_steps().is_some() { all_of(experiment, updates) } else { 0 };
    let store = if mask.explores() { all_of(experiment, &|layer| mask.masked(layer)) } else { 0 };
    let rewound = if mask.rewind().is_some() { all_of(experiment, &|_| true) } else { 0 };
    momenta + store + rewound
}

/// Weights of a store whose gradients a step computes: those that exist, and those that train beyond.
fn trained_of_store(experiment: &Experiment, existing: &[u32]) -> u64 {
    let mask = &experiment.settings().policies.mask;
    let layers = existing.iter().enumerate().filter(|(layer, _)| mask.explores() && mask.masked(*layer));
    layers.map(|(layer, count)| u64::from(*count) + u64::from(mask.explored(layer, 0, *count))).sum()
}

/// Bytes of the dense networks by which a mask is chosen before the first step: one for each worker, which
/// the chosen weights are taken from, and one that is looked at, with its gradients and scores.
fn choosing(experiment: &Experiment, workers: u64) -> u64 {
    let settings = experiment.settings();
    if !settings.policies.mask.chooses() {
        return 0;
    }
    let layers = &experiment.plan().architecture.layers;
    let all: Vec<u32> = layers.iter().map(|layer| layer.weights() as u32).collect();
    let shard = settings.batch_size.div_ceil(settings.shards);
    let scores = ROW * all_of(experiment, &|layer| experiment.plan().masked[layer]);
    if settings.policies.mask.explores() {
        // Each worker takes its store from them.
        return 2 * workers * replica(experiment, &all);
    }
    let passes = settings.network.pass_bytes(settings.kernel, settings.storage, shard, 0, &all);
    // Weights, those to set, and the gradients of a shard, a batch, all batches and of each layer.
    replica(experiment, &all) + scores + passes + 6 * 4 * settings.network.part_numbers(&all)
}

/// Samples of the probe, if there is one.
fn probed(experiment: &Experiment) -> u64 {
    let probe = experiment.settings().probe;
    u64::from(probe.map_or(0, |probe| probe.samples.min(experiment.plan().samples)))
}

/// Bytes of what layers put out for the probe, all that so many workers hold at a time, and of products of
/// its samples: of now and before, compared, and in a checkpoint under way.
fn probe(experiment: &Experiment, workers: u64) -> u64 {
    let (network, samples) = (&experiment.settings().network, probed(experiment));
    let bytes = || network.layer_numbers().map(move |numbers| 4 * numbers as u64 * samples);
    let held = workers * bytes().max().unwrap_or(0).max(OUTPUTS);
    let pairs = samples.pow(2);
    let products = network.architecture().layers.len() as u64 * pairs / 2;
    bytes().sum::<u64>().min(held) + products * PRODUCT + workers * pairs * SQUARES
}

/// Bytes of outputs of the frozen prefix at most, if memory keeps them.
fn prefix_cache(experiment: &Experiment) -> u64 {
    let settings = experiment.settings();
    let CacheSettings { cache, bytes, packing, variants } = settings.prefix_cache;
    if cache != Cache::Memory {
        return 0;
    }
    let network = &settings.network;
    let numbers = |blocks: usize| network.front_numbers(network.front(blocks));
    let most = (0..=network.architecture().blocks.len()).map(numbers).max().unwrap_or(0);
    let variants = if settings.is_augmented() { u64::from(variants) } else { 1 };
    let entry = (most * packing.bytes(settings.storage)) as u64 + ENTRY;
    bytes.min(u64::from(experiment.plan().samples) * variants * entry)
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
    PROGRAM + data(experiment) + start(experiment) + replica(experiment, &all) + step.max(most)
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
    let settings = experiment.settings();
    let square = if settings.seams.optimiser.keeps_squares() { SQUARE[0] } else { 0 };
    let bytes = |(layer, count): (usize, &u32)| {
        settings.network.weight_bytes(layer, *count as usize) + square * u64::from(*count)
    };
    existing.iter().enumerate().map(bytes).sum()
}

/// Bytes of what layers begin with in place of what would be drawn: all workers of a process share it.
fn start(experiment: &Experiment) -> u64 {
    let layers = experiment.settings().start.iter().flat_map(|layers| layers.iter());
    let numbers = layers.map(|layer| {
        let lists = layer.lists.values().map(Vec::len).sum::<usize>();
        layer.values.len() + layer.momenta.len() + layer.mask.as_ref().map_or(0, Vec::len) + lists
    });
    4 * numbers.sum::<usize>() as u64
}

/// Bytes of images and labels, and of the compressed files that they come from: about a third of that. Of
/// images that are read by need, those of the cache.
fn data(experiment: &Experiment) -> u64 {
    let data = &experiment.settings().data;
    let parts = [&data.train, &data.validation, &data.test];
    let held = parts.map(|images| if images.is_stored() { 0 } else { images.pixels.bytes() });
    let labels = parts.map(|images| 2 * images.len());
    let bytes = held.iter().chain(&labels).sum::<usize>() as u64;
    let is_stored = parts.iter().any(|images| images.is_stored());
    let cached = if is_stored { cache_bytes(experiment.configuration().values()) } else { 0 };
    cached + bytes * 4 / 3
}

/// The weights of each layer whose gradients a step of `epoch` computes although they need not exist: those
/// of its last step, of the last before an update within it, or of its first, whichever are most.
fn dense_weights(experiment: &Experiment, epoch: u32) -> Vec<u64> {
    let (plan, mask) = (experiment.plan(), &experiment.settings().policies.mask);
    let (steps, frozen) = (experiment.steps(epoch) as u32, plan.frozen_blocks(epoch));
    let window = mask.steps().map_or(1, |window| window.get());
    let at = [Some(0), steps.checked_sub(1), (window < steps).then(|| window - 1)];
    let weights = |(layer, needs): (usize, Needs)| match needs {
        Needs::DenseGradient => plan.architecture.layers[layer].weights() as u64,
        _ => {
            let existing = plan.nonzero(epoch)[layer];
            let sums = mask.sampling().sums(&plan.architecture.layers[layer]);
            u64::from(existing) + u64::from(mask.candidate_count(layer, existing)) + sums
        }
    };
    let of_step = |step: u32| plan.extra([epoch, step, steps], frozen).into_iter().map(weights);
    let all = at.into_iter().flatten().map(|step| of_step(step).collect::<Vec<u64>>());
    all.max_by_key(|weights| weights.iter().sum::<u64>()).unwrap_or_default()
}
