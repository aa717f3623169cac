//! The table of a grid over recorded runs, for people and for programs.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use spfde_data::parameter::Value;
use spfde_data::words::{counted, visible};

use super::replay::{CLAIM, cell, number, spread};
use super::table::{percent, table};
use crate::grid::{Column, JudgedRun, Member, RunSummary, keys};

/// The columns of a member's line, after its parameters: head, value, how it is shown.
type Shown = (&'static str, fn(&RunSummary) -> f64, fn(f64) -> String);

const SHOWN: [Shown; 9] = [
    ("FLOPs of dense", |summary| summary.of_dense, percent),
    ("active samples", |summary| summary.active_samples, number),
    ("trained samples", |summary| summary.trained_samples, number),
    ("frozen layers", |summary| summary.frozen_layers, number),
    ("changes", |summary| summary.changes, number),
    ("samples as recorded", |summary| summary.samples_as_recorded, percent),
    ("layers as recorded", |summary| summary.layers_as_recorded, percent),
    ("censored samples", |summary| summary.censored_samples, number),
    ("censored norms", |summary| summary.censored_norms, number),
];

/// The claim, then one line for each member, best first by a column; of several runs with mean and spread.
pub fn report(runs: &[JudgedRun], by: Column) -> String {
    let keys = keys(runs.iter().flat_map(|run| &run.members));
    // What is the same for all members that have it is said once.
    let varies = |key: &String| {
        runs.iter().any(|run| {
            let mut values = run.members.iter().filter_map(|member| member.parameters.get(key));
            let first = values.next();
            values.any(|value| Some(value) != first)
        })
    };
    let (varied, common): (Vec<String>, Vec<String>) = keys.into_iter().partition(varies);
    let of = |key: &String| texts(runs.iter().flat_map(|run| &run.members), key);
    let common: Vec<String> = common.iter().map(|key| format!("{key}={}", of(key))).collect();
    let mut heads = vec!["member"];
    heads.extend(varied.iter().map(String::as_str));
    heads.extend(SHOWN.iter().map(|(head, ..)| *head));
    let line = |(member, summaries): (usize, Vec<RunSummary>)| {
        let mut cells = vec![member.to_string()];
        cells.extend(varied.iter().map(|key| value(runs, member, key)));
        cells.extend(SHOWN.iter().map(|(_, of, format)| {
            let values: Vec<f64> = summaries.iter().map(of).collect();
            cell(&values, format)
        }));
        cells
    };
    let rows: Vec<Vec<String>> = RunSummary::sorted(runs, by).into_iter().map(line).collect();
    let mut parts = vec![CLAIM.to_owned(), runs.iter().map(recorded).collect::<Vec<_>>().join("\n")];
    parts.push(common.join(" "));
    parts.push(table(&heads, &rows));
    parts.join("\n\n")
}

/// What a run is, and what it cost.
fn recorded(run: &JudgedRun) -> String {
    let flops: f64 = run.recorded.iter().map(|row| (row.forward_flops + row.backward_flops) as f64).sum();
    let dense: f64 = run.recorded.iter().map(|row| row.dense_flops as f64).sum();
    let JudgedRun { name, samples, layers, epochs, .. } = run;
    let share = percent(if dense > 0.0 { flops / dense } else { 0.0 });
    format!(
        "{}: {}, {}, {}; as recorded {share} of dense training",
        visible(name),
        counted(*epochs, "epoch"),
        counted(*samples, "sample"),
        counted(*layers, "layer")
    )
}

/// A member's value of a key: of several runs all that there are.
fn value(runs: &[JudgedRun], member: usize, key: &str) -> String {
    texts(runs.iter().map(|run| &run.members[member]), key)
}

/// All values that some members have of a key.
fn texts<'a>(members: impl Iterator<Item = &'a Member>, key: &str) -> String {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        value => value.to_string(),
    };
    let values: BTreeSet<String> =
        members.filter_map(|member| member.parameters.get(key)).map(text).collect();
    if values.is_empty() { "–".to_owned() } else { values.into_iter().collect::<Vec<_>>().join(",") }
}

/// The same as one line of JSON, epoch by epoch.
pub fn json(runs: &[JudgedRun], by: Column) -> String {
    let member = |(member, summaries): (usize, Vec<RunSummary>)| {
        let mean = |of: &dyn Fn(&RunSummary) -> f64| {
            let (mean, deviation) = spread(&summaries.iter().map(of).collect::<Vec<_>>());
            json!({"mean": mean, "standard_deviation": deviation})
        };
        json!({
            "member": member,
            "flops": mean(&|summary| summary.flops),
            "flops_of_dense": mean(&|summary| summary.of_dense),
            "active_samples": mean(&|summary| summary.active_samples),
            "trained_samples": mean(&|summary| summary.trained_samples),
            "frozen_layers": mean(&|summary| summary.frozen_layers),
            "changes": mean(&|summary| summary.changes),
            "samples_as_recorded": mean(&|summary| summary.samples_as_recorded),
            "layers_as_recorded": mean(&|summary| summary.layers_as_recorded),
            "censored_samples": mean(&|summary| summary.censored_samples),
            "censored_norms": mean(&|summary| summary.censored_norms),
            "runs": runs.iter().map(|run| of_run(run, member)).collect::<Vec<Json>>(),
        })
    };
    let members: Vec<Json> = RunSummary::sorted(runs, by).into_iter().map(member).collect();
    json!({"claim": CLAIM, "runs": runs.iter().map(|run| &run.name).collect::<Vec<_>>(), "members": members})
        .to_string()
}

/// A member by the record of one run.
fn of_run(run: &JudgedRun, member: usize) -> Json {
    let costs = run.found.costs.iter().filter(|costs| costs.member as usize == member);
    let epochs: Vec<Json> = costs
        .map(|costs| {
            json!({
                "epoch": costs.epoch.epoch,
                "active_samples": costs.epoch.active_samples,
                "entered": costs.entered,
                "left": costs.left,
                "nonzero": costs.epoch.nonzero,
                "frozen_layers": costs.epoch.frozen_layers,
                "forward_flops": costs.epoch.forward_flops,
                "backward_flops": costs.epoch.backward_flops,
                "observed_flops": costs.epoch.observed_flops,
                "dense_flops": costs.epoch.dense_flops,
                "samples_as_recorded": costs.samples_as_recorded,
                "layers_as_recorded": costs.layers_as_recorded,
                "censored_samples": costs.censored.samples,
                "censored_layers": costs.censored.layers,
                "censored_norms": costs.censored.norms,
            })
        })
        .collect();
    json!({
        "run": run.name, "samples": run.samples, "layers": run.layers,
        "parameters": run.members[member].parameters, "epochs": epochs,
    })
}
