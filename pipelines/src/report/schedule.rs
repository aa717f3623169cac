//! What a run would do and cost, from its configuration alone: the text of `--dry-run`.

use spfde_data::counted;
use spfde_flow::{Observe, batches};
use spfde_policy::{cost, count};

use super::memory;
use super::table::{percent, short, table_of};
use crate::Experiment;

/// Layers, freezing times, and each epoch's samples, weights, FLOPs, and the memory of so many `workers`.
pub fn schedule(experiment: &Experiment, workers: usize) -> String {
    let mut parts = vec![layers(experiment), epochs(experiment)];
    if experiment.settings().observe == Observe::Full {
        let flops = short(observed(experiment) as f64);
        parts.push(format!("trace.observe = \"full\" costs {flops} FLOPs on top"));
    }
    parts.extend(probed(experiment));
    parts.push(masks(experiment).join("\n"));
    parts.push(total(experiment, workers));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// A row for each layer.
fn layers(experiment: &Experiment) -> String {
    let plan = experiment.plan();
    let (architecture, network) = (&plan.architecture, &experiment.settings().network);
    let layer = |index: usize| &architecture.layers[index];
    // Existing weights in the first and in the last epoch.
    let counts = |index: usize| [0, plan.epochs - 1].map(|epoch| plan.nonzero(epoch)[index]);
    let density = |index: usize, count: u32| percent(f64::from(count) / layer(index).weights() as f64);
    table_of(
        0..architecture.layers.len(),
        &[
            (("layer", 0), &|index| format!("{index} {}", layer(*index).name)),
            (("block", 4), &|index| {
                let block = architecture.blocks.get(layer(*index).block);
                block.map_or("classifier", String::as_str).to_owned()
            }),
            (("weights", 3), &|index| layer(*index).weights().to_string()),
            (("mask", 0), &|index| if plan.masked[*index] { "masked" } else { "dense" }.to_owned()),
            (("at first", 1), &|index| density(*index, counts(*index)[0])),
            (("at last", 2), &|index| density(*index, counts(*index)[1])),
            (("kernel", 0), &|index| {
                let form = |count: u32| network.form(*index, count as usize).name();
                match counts(*index).map(form) {
                    [first, last] if first == last => first.to_owned(),
                    [first, last] => format!("{first}, then {last}"),
                }
            }),
            (("freezes", 0), &|index| {
                let words: Vec<String> = plan.spans(*index).iter().map(span).collect();
                match &words[..] {
                    [] => "never".to_owned(),
                    // Periodic: each time at the same distance.
                    [first, second, _, _, ..] => format!("{first}, {second}, … {} times", words.len()),
                    few => few.join(", "),
                }
            }),
        ],
    )
}

/// A row for each epoch.
fn epochs(experiment: &Experiment) -> String {
    let (plan, batch) = (experiment.plan(), experiment.settings().batch_size as u64);
    let cost = |epoch: u32| &plan.cost[epoch as usize];
    let activations = |epoch: u32| plan.architecture.activation_bytes[plan.frozen_blocks(epoch)] * batch;
    table_of(
        0..plan.epochs,
        &[
            (("epoch", 0), &|epoch| (epoch + 1).to_string()),
            (("samples", 0), &|epoch| plan.active_samples[*epoch as usize].to_string()),
            (("steps", 2), &|epoch| experiment.steps(*epoch).to_string()),
            (("weights", 3), &|epoch| weights(experiment, *epoch).to_string()),
            (("frozen blocks", 0), &|epoch| plan.frozen_blocks(*epoch).to_string()),
            (("forward FLOPs", 3), &|epoch| short(cost(*epoch).forward as f64)),
            (("backward FLOPs", 4), &|epoch| short(cost(*epoch).backward as f64)),
            (("of dense", 0), &|epoch| percent(cost(*epoch).total() as f64 / plan.dense_cost.total() as f64)),
            (("activation bytes", 5), &|epoch| short(activations(*epoch) as f64)),
        ],
    )
}

/// What masks leave at last, and what their updates compute beyond training; nothing of a dense network.
fn masks(experiment: &Experiment) -> Vec<String> {
    let (plan, settings) = (experiment.plan(), experiment.settings());
    let layers = || (0..plan.masked.len()).filter(|layer| plan.masked[*layer]);
    if layers().next().is_none() {
        return Vec::new();
    }
    let all: usize = layers().map(|layer| plan.architecture.layers[layer].weights()).sum();
    let last = plan.nonzero(plan.epochs - 1);
    let left: u64 = layers().map(|layer| u64::from(last[layer])).sum();
    let sparsity = percent(1.0 - left as f64 / all as f64);
    let mut lines =
        vec![format!("the masked layers end with {left} of {all} weights: a sparsity of {sparsity}")];
    if !settings.policies.mask.is_scheduled() {
        lines.push("how many each layer has depends on the data: the table has the targets".to_owned());
    }
    let of_epoch = |epoch: u32| {
        let batches = batches(plan.active_samples[epoch as usize], settings.batch_size);
        plan.extra_flops(epoch, plan.frozen_blocks(epoch), plan.nonzero(epoch), &batches)
    };
    let extra = (0..plan.epochs).map(of_epoch).fold(0, u64::saturating_add);
    if extra > 0 {
        lines.push(format!(
            "gradients of absent weights, for the masks: {} FLOPs on top",
            short(extra as f64)
        ));
    }
    lines
}

/// What the epochs add up to, and what the run takes in memory.
fn total(experiment: &Experiment, workers: usize) -> String {
    let (plan, settings) = (experiment.plan(), experiment.settings());
    let total = plan.total().total();
    let dense = plan.dense_cost.total() * u64::from(plan.epochs);
    let steps: u64 = (0..plan.epochs).map(|epoch| experiment.steps(epoch)).sum();
    let shard = settings.batch_size.div_ceil(settings.shards) as u64;
    let peak = memory::training(experiment, workers);
    format!(
        "total: {}, {} FLOPs, {} of the {} FLOPs of dense training on all samples\n\
         freezing saves {} of the FLOPs of the same run without it\n\
         memory at the peak: {} bytes with {}, data set included\n\
         of each worker: {} bytes for the network, {} bytes of activations kept for a shard's backward pass",
        counted(steps, "step"),
        short(total as f64),
        percent(total as f64 / dense as f64),
        short(dense as f64),
        percent(plan.reduction()),
        short(peak as f64),
        counted(workers, "worker"),
        short(memory::network(experiment) as f64),
        short((plan.architecture.activation_bytes[0] * shard) as f64),
    )
}

/// Existing weights in an epoch.
fn weights(experiment: &Experiment, epoch: u32) -> u64 {
    experiment.plan().nonzero(epoch).iter().map(|count| u64::from(*count)).sum()
}

/// FLOPs of what is observed but does not train.
fn observed(experiment: &Experiment) -> u64 {
    let plan = experiment.plan();
    let of_epoch = |epoch: u32| {
        let active = plan.active_samples[epoch as usize];
        let frozen = plan.frozen_blocks(epoch);
        cost::observed(&plan.architecture, plan.nonzero(epoch), frozen, active, plan.samples - active)
    };
    (0..plan.epochs).map(of_epoch).sum()
}

/// What the probe costs, if there is one, in words.
fn probed(experiment: &Experiment) -> Option<String> {
    let (plan, probe) = (experiment.plan(), experiment.settings().probe?);
    let samples = probe.samples.min(plan.samples);
    let pass = |epoch: u32| count(&plan.architecture, plan.nonzero(epoch), 0, samples).forward;
    let flops = short((0..plan.epochs).map(pass).fold(0, u64::saturating_add) as f64);
    Some(format!("comparing layers by {}: {flops} FLOPs on top", counted(samples, "sample")))
}

/// The epochs during which a layer is frozen, in words.
fn span((from, until): (u32, Option<u32>)) -> String {
    let from = from + 1;
    until.map_or_else(|| format!("epoch {from}"), |until| format!("epoch {from} to {until}"))
}
