//! What epochs cost: the share of dense training that is computed, what each axis saved of it, and seconds.

use std::collections::BTreeMap;

use spfde_data::{EpochRow, Row, TimingRow};
use spfde_policy::cost::count_layers;

use super::bars::upright;
use super::chart::EPOCH;
use super::figure::{Figure, Table, digits};
use super::lines::{COLOURS, Curve, left_out, lines};
use super::subject::{Subject, quoted};
use crate::Result;
use crate::report::summary::TRAINING;

const COUNTED: &str = "Counted: FLOPs of training in percent of the same epoch of dense training \
                       (“computed”). Measured: seconds from the end of the epoch before, evaluation \
                       included, and those of the stages that train, added over workers (“training”). \
                       Beside a dense run of the same network and data, “of_dense” is the percentage of \
                       its mean seconds.";

/// The share of dense training that an epoch computes, in percent.
fn computed(row: &EpochRow) -> f64 {
    100.0 * (row.forward_flops as f64 + row.backward_flops as f64) / row.dense_flops as f64
}

/// What some runs cost, counted and measured; seconds against dense, if one of them is dense.
///
/// # Errors
/// If the timings cannot be read.
pub(super) fn overview(subjects: &[Subject]) -> Result<Figure> {
    let mut figure = Figure { title: "Cost of each epoch, counted and measured", ..Figure::default() };
    let [mut counted, mut measured] = [Vec::new(), Vec::new()];
    for (number, subject) in subjects.iter().enumerate().filter(|(_, subject)| !subject.costs.is_empty()) {
        let curve = |points: Vec<(f64, f64)>| {
            let (class, told) = (format!("l{number}"), subject.name.clone());
            Curve { class, told, points }
        };
        let at = |row: &EpochRow| f64::from(row.epoch) + 1.0;
        if number < COLOURS {
            counted.push(curve(subject.shown().map(|row| (at(row), computed(row))).collect()));
            measured.push(curve(subject.shown().filter_map(|row| Some((at(row), row.seconds?))).collect()));
            figure.legend.push((format!("f{number}"), subject.name.clone()));
        }
        figure.tables.push(table(subject, subjects)?);
    }
    let counted = lines(&counted, EPOCH, "FLOPs, percent of dense", true);
    figure.drawings = counted.into_iter().chain(lines(&measured, EPOCH, "seconds", true)).collect();
    figure.caption = COUNTED.to_owned() + &left_out(subjects.len());
    Ok(figure)
}

/// The cost of a run among others.
fn table(subject: &Subject, subjects: &[Subject]) -> Result<Table> {
    let mut training: BTreeMap<u32, f64> = BTreeMap::new();
    subject.visit::<TimingRow>(|row| {
        if TRAINING.contains(&row.stage.as_str()) {
            *training.entry(row.epoch).or_default() += row.seconds;
        }
    })?;
    // Files of early versions lack the column.
    let is_timed = subject.costs.iter().any(|row| row.seconds.is_some());
    let dense = subjects.iter().find(|other| is_timed && is_dense_of(other, subject));
    let of_dense = dense.map_or_else(String::new, |dense| {
        let table = dense.table(EpochRow::STREAM);
        format!(",\n       round(100 * seconds / (SELECT avg(seconds) FROM {table}), 1) AS of_dense")
    });
    let stages = TRAINING.map(quoted).join(", ");
    let seconds = if is_timed { "seconds" } else { "NULL" };
    let more = [("of_dense", &*of_dense), ("stages", &stages), ("seconds", seconds)];
    let mean = |dense: &Subject| {
        dense.costs.iter().filter_map(|row| row.seconds).sum::<f64>() / dense.costs.len() as f64
    };
    let mean = dense.map(mean);
    let rows = subject.shown().map(|row| {
        let training = training.get(&row.epoch).copied();
        let numbers = [digits(Some(computed(row)), 2), digits(row.seconds, 2), digits(training, 2)];
        let of_dense = mean.map(|mean| digits(row.seconds.map(|own| 100.0 * own / mean), 1));
        [(row.epoch + 1).to_string()].into_iter().chain(numbers).chain(of_dense).collect()
    });
    let (rows, query) = (rows.collect(), subject.query(include_str!("query/cost.sql"), &more));
    let heads = ["epoch", "computed", "seconds", "training", "of_dense"];
    Ok(Table::new(&subject.name, &heads[..4 + usize::from(dense.is_some())], rows, query))
}

/// Whether a run is dense training of the same network on the same data as another.
fn is_dense_of(run: &Subject, other: &Subject) -> bool {
    let what = |subject: &Subject| {
        (subject.manifest().data_set.fingerprint.clone(), subject.costs.first().map(|row| row.dense_flops))
    };
    let is_dense = |row: &EpochRow| row.seconds.is_some() && computed(row) == 100.0;
    !run.costs.is_empty() && run.costs.iter().all(is_dense) && what(run) == what(other)
}

/// The parts of the cost of dense training, the class of each in a drawing, and what it is.
const PARTS: [(&str, &str, &str); 4] = [
    ("computed", "f0", "computed"),
    ("freezing", "f2 saved", "saved by freezing"),
    ("mask", "f1 saved", "saved by the mask"),
    ("sieving", "f3 saved", "saved by sieving"),
];

/// What each axis saved in each epoch of a run.
pub(super) fn saved(subject: &Subject) -> Figure {
    const TITLE: &str = "What each axis saved";
    let Ok((_, network)) = &subject.settings else {
        return Figure::absent(TITLE, "Not known: the network of the run cannot be read.");
    };
    let dense: Vec<u32> = network.layers.iter().map(|layer| layer.weights() as u32).collect();
    let by_layer = count_layers(network, &dense, 0, 1);
    let sample: u64 = by_layer.iter().map(|cost| cost.total()).sum();
    // The FLOPs of a weight, forward, in layers that need no gradient of their input.
    let costs = network.layers.iter().zip(&by_layer).enumerate();
    let reading: BTreeMap<u16, u64> = costs
        .filter(|(_, (_, cost))| cost.backward == cost.forward)
        .map(|(layer, (shape, _))| (layer as u16, shape.flops_per_weight()))
        .collect();
    let mut read: BTreeMap<u32, f64> = BTreeMap::new();
    for state in &subject.layers {
        let flops = reading.get(&state.layer).map(|flops| f64::from(state.nonzero) * *flops as f64);
        *read.entry(state.epoch).or_default() += flops.unwrap_or(0.0);
    }
    let (mut bars, mut rows) = (Vec::new(), Vec::new());
    for row in subject.shown().filter(|row| row.dense_flops > 0) {
        let Some(read) = read.get(&row.epoch) else { continue };
        let (dense, active) = (row.dense_flops as f64, f64::from(row.active_samples));
        let (forward, unsieved) = (row.forward_flops as f64, active * sample as f64);
        let read = active * read;
        let computed = forward + row.backward_flops as f64;
        // Weights that train although they do not exist are the mask's.
        let frozen = 2.0 * forward - read - row.backward_flops as f64;
        let frozen = if row.frozen_layers == 0 { 0.0 } else { frozen };
        let flops = [computed, frozen, unsieved - computed - frozen, dense - unsieved];
        let shares = flops.map(|flops| 100.0 * flops / dense);
        let (number, mut from) = (row.epoch + 1, 0.0);
        let parts = PARTS.iter().zip(shares).map(|((_, class, words), share)| {
            from += share;
            (*class, from - share, from, format!("epoch {number}: {share:.2} % {words}"))
        });
        bars.push((row.epoch, parts.collect()));
        let extra = 100.0 * (row.observed_flops as f64 + row.extra_flops as f64) / dense;
        let cells = shares.into_iter().chain([extra]).map(|share| digits(Some(share), 2));
        rows.push([number.to_string(), digits(Some(dense / 1e9), 3)].into_iter().chain(cells).collect());
    }
    // Files of early versions lack the column `extra_flops`.
    let has_extra = subject.costs.iter().any(|row| row.extra_flops > 0);
    let extra = if has_extra { "observed_flops::DOUBLE + extra_flops" } else { "observed_flops" };
    let reading: Vec<String> = reading.iter().map(|(layer, flops)| format!("({layer}, {flops})")).collect();
    let more = [("reading", &*reading.join(", ")), ("sample", &sample.to_string()), ("extra", extra)];
    let query = subject.query(include_str!("query/saved.sql"), &more);
    let heads = ["epoch", "dense_gflops", "computed", "freezing", "mask", "sieving", "extra"];
    Figure {
        title: TITLE,
        caption:
            "FLOPs of training in percent of the same epoch with all samples, all weights and no frozen \
                  layer. What each axis saved is counted in this order: sieving leaves out samples, the mask \
                  weights, freezing backward passes. “extra” is what observation took, and what policies \
                  asked for on top, such as dense gradients."
                .to_owned(),
        legend: PARTS.map(|(_, class, words)| (class.to_owned(), words.to_owned())).into(),
        drawings: upright(&bars, subject.epochs, "percent of dense"),
        tables: vec![Table::new("", &heads, rows, query)],
        ..Figure::default()
    }
}
