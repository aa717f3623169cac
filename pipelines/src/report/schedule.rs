//! What a run would do and cost, from its configuration alone: the text of `--dry-run`.

use spfde_data::words::counted;
use spfde_flow::Observe;
use spfde_model::Form;
use spfde_policy::{Cost, cost};

use super::table::{percent, short, table};
use crate::experiment::Experiment;

/// Bytes of an existing weight: index, value and momentum, and an entry and a position in each of two kernel views.
const WEIGHT_BYTES: u64 = 3 * 4 + 2 * (8 + 4);

/// Layers, freezing times, and each epoch's samples, weights, FLOPs and memory.
pub fn schedule(experiment: &Experiment) -> String {
    let (plan, settings) = (experiment.plan(), experiment.settings());
    let architecture = &plan.architecture;
    let mut parts = Vec::new();

    let last = plan.epochs - 1;
    let layers: Vec<Vec<String>> = architecture
        .layers
        .iter()
        .enumerate()
        .map(|(index, layer)| {
            let (first_count, last_count) = (plan.nonzero(0)[index], plan.nonzero(last)[index]);
            let density = |count: u32| percent(f64::from(count) / layer.weights() as f64);
            let form = |count: u32| Form::of(count as usize, layer.weights()).name();
            let kernel = match (form(first_count), form(last_count)) {
                (first, last) if first == last => first.to_owned(),
                (first, last) => format!("{first}, then {last}"),
            };
            let frozen = frozen(plan.spans(index));
            let block = architecture.blocks.get(layer.block).map_or("classifier", String::as_str);
            let mask = if plan.masked[index] { "masked" } else { "dense" };
            vec![
                format!("{index} {}", layer.name),
                block.to_owned(),
                layer.weights().to_string(),
                mask.to_owned(),
                density(first_count),
                density(last_count),
                kernel,
                frozen,
            ]
        })
        .collect();
    parts.push(table(
        &["layer", "block", "weights", "mask", "at first", "at last", "kernel", "freezes"],
        &layers,
    ));

    let epochs: Vec<Vec<String>> = (0..plan.epochs)
        .map(|epoch| {
            let frozen = plan.frozen_blocks(epoch);
            let nonzero: u64 = plan.nonzero(epoch).iter().map(|count| u64::from(*count)).sum();
            let Cost { forward, backward } = plan.cost[epoch as usize];
            vec![
                epoch.to_string(),
                plan.active_samples[epoch as usize].to_string(),
                experiment.steps(epoch).to_string(),
                nonzero.to_string(),
                frozen.to_string(),
                short(forward as f64),
                short(backward as f64),
                percent((forward + backward) as f64 / plan.dense_cost.total() as f64),
                short((architecture.activation_bytes[frozen] * settings.batch_size as u64) as f64),
            ]
        })
        .collect();
    let heads = [
        "epoch",
        "samples",
        "steps",
        "weights",
        "frozen blocks",
        "forward FLOPs",
        "backward FLOPs",
        "of dense",
        "activation bytes",
    ];
    parts.push(table(&heads, &epochs));

    if settings.observe == Observe::Full {
        parts.push(format!(
            "trace.observe = \"full\" costs {} FLOPs on top",
            short(observed(experiment) as f64)
        ));
    }

    let total = plan.total().total();
    let dense = plan.dense_cost.total() * u64::from(plan.epochs);
    let steps: u64 = (0..plan.epochs).map(|epoch| experiment.steps(epoch)).sum();
    let most: u64 = (0..plan.epochs)
        .map(|epoch| plan.nonzero(epoch).iter().map(|count| u64::from(*count)).sum::<u64>())
        .max()
        .unwrap_or(0);
    let weights = short((most * WEIGHT_BYTES) as f64);
    let shard = settings.batch_size.div_ceil(settings.shards) as u64;
    let activations = short((architecture.activation_bytes[0] * shard) as f64);
    parts.push(format!(
        "total: {}, {} FLOPs, {} of the {} FLOPs of dense training on all samples\n\
         freezing saves {} of the FLOPs of the same run without it\n\
         memory of a worker: {weights} bytes for {}, {activations} bytes of activations kept for a shard's \
         backward pass\n(buffers of the kernels and the data set come on top)",
        counted(steps, "step"),
        short(total as f64),
        percent(total as f64 / dense as f64),
        short(dense as f64),
        percent(plan.reduction()),
        counted(most, "weight"),
    ));
    parts.join("\n\n")
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

/// When a layer is frozen, in words.
fn frozen(spans: &spfde_policy::Spans) -> String {
    let word = |(from, until): (u32, Option<u32>)| match until {
        None => format!("epoch {from}"),
        Some(until) => format!("epoch {from} to {until}"),
    };
    let words: Vec<String> = spans.iter().map(word).collect();
    if words.is_empty() { "never".to_owned() } else { words.join(", ") }
}
