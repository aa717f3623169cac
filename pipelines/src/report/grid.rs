//! The table of a grid, over bare scores or over recorded runs, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use spfde_data::parameter::Value;
use spfde_data::words::{counted, visible};

use super::replay::{self, cell, spread};
use super::share_of_dense;
use super::table::{Table, number, percent};
use crate::grid::{Column, Judged, JudgedRun, Member, RunSummary, Summary, keys};

/// What the answers of a grid over bare scores are, and what not: the first line of its report.
pub const CLAIM: &str = "decisions are exact; what accuracy they would have led to is not predicted";

/// A column of a grid over runs: its head, its key in JSON, its value, and how that is shown.
type Shown = (&'static str, &'static str, fn(&RunSummary) -> f64, fn(f64) -> String);

/// The columns of a member's line, after its parameters.
const SHOWN: [Shown; 9] = [
    ("FLOPs of dense", "flops_of_dense", |summary| summary.of_dense, percent),
    ("active samples", "active_samples", |summary| summary.active_samples, number),
    ("trained samples", "trained_samples", |summary| summary.trained_samples, number),
    ("frozen layers", "frozen_layers", |summary| summary.frozen_layers, number),
    ("changes", "changes", |summary| summary.changes, number),
    ("samples as recorded", "samples_as_recorded", |summary| summary.samples_as_recorded, percent),
    ("layers as recorded", "layers_as_recorded", |summary| summary.layers_as_recorded, percent),
    ("censored samples", "censored_samples", |summary| summary.censored_samples, number),
    ("censored norms", "censored_norms", |summary| summary.censored_norms, number),
];

/// What the members of a grid over some records are set to.
struct Parameters<'a> {
    /// The members, record by record.
    records: Vec<&'a [Member]>,
    /// The keys in which the members of a record differ.
    varied: Vec<String>,
    /// All other keys, with their values: said once.
    common: String,
}

impl<'a> Parameters<'a> {
    fn of(records: impl IntoIterator<Item = &'a [Member]>) -> Self {
        let records: Vec<&[Member]> = records.into_iter().collect();
        let varies = |members: &&[Member], key: &str| {
            let mut values = members.iter().filter_map(|member| member.parameters.get(key));
            let first = values.next();
            values.any(|value| Some(value) != first)
        };
        let all = || records.iter().copied().flatten();
        let (varied, common): (Vec<_>, Vec<_>) =
            keys(all()).into_iter().partition(|key| records.iter().any(|members| varies(members, key)));
        let common: Vec<String> = common.iter().map(|key| format!("{key}={}", texts(all(), key))).collect();
        Self { varied, common: common.join(" "), records }
    }

    /// A table of the members: number, what they differ in, and the cells of `columns`.
    fn table<'b>(
        &'b self,
        columns: impl IntoIterator<Item = &'b str>,
        rows: impl IntoIterator<Item = (usize, Vec<String>)>,
    ) -> Table {
        let heads = ["member"].into_iter().chain(self.varied.iter().map(String::as_str)).chain(columns);
        let of = |member: usize, key: &str| texts(self.records.iter().map(|members| &members[member]), key);
        let line = |(member, cells): (usize, Vec<String>)| {
            let own = self.varied.iter().map(|key| of(member, key));
            [member.to_string()].into_iter().chain(own).chain(cells).collect()
        };
        Table::new(heads, rows.into_iter().map(line))
    }
}

/// All values that some members have of a key, without quotes.
fn texts<'a>(members: impl Iterator<Item = &'a Member>, key: &str) -> String {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        value => value.to_string(),
    };
    let values: BTreeSet<String> =
        members.filter_map(|member| member.parameters.get(key)).map(text).collect();
    if values.is_empty() { "–".to_owned() } else { values.into_iter().collect::<Vec<_>>().join(",") }
}

/// Of bare scores: the claim, then one line for each member, best first by a column.
pub fn scores(judged: &Judged, by: Column) -> String {
    let parameters = Parameters::of([&judged.members[..]]);
    let heads = ["active samples", "of all", "trained samples", "changes", "censored samples"];
    let cells = |summary: Summary| {
        let cells = vec![
            summary.active_samples.to_string(),
            percent(f64::from(summary.active_samples) / f64::from(judged.samples.max(1))),
            summary.trained_samples.to_string(),
            summary.changes.to_string(),
            summary.censored_samples.to_string(),
        ];
        (summary.member as usize, cells)
    };
    let summaries = Summary::of(&judged.found, judged.members.len(), judged.epochs, by);
    format!(
        "{CLAIM}\n\n{} of {} over {}; {}\n\n{}",
        counted(judged.rows, "row"),
        counted(judged.samples, "sample"),
        counted(judged.epochs, "epoch"),
        parameters.common,
        parameters.table(heads, summaries.into_iter().map(cells))
    )
}

/// As [`scores`], in one line of JSON, with how the final keys are distributed.
pub fn scores_json(judged: &Judged, by: Column) -> String {
    let member = |summary: Summary| {
        let keys = judged.found.keys.iter().filter(|row| row.member == summary.member);
        let never = keys.clone().filter(|row| row.key == u32::MAX).map(|row| row.samples).sum::<u32>();
        // A sample that was never right was never forgotten.
        let mut counts = BTreeMap::<u32, u32>::new();
        for row in keys {
            *counts.entry(if row.key == u32::MAX { 0 } else { row.key }).or_default() += row.samples;
        }
        let rows = judged.found.rows.iter().filter(|row| row.member == summary.member);
        let epochs = rows.map(|row| {
            json!({
                "epoch": row.epoch, "active_samples": row.active, "entered": row.entered,
                "left": row.left, "censored_samples": row.unscored,
            })
        });
        json!({
            "member": summary.member,
            "parameters": judged.members[summary.member as usize].parameters,
            "active_samples": summary.active_samples,
            "trained_samples": summary.trained_samples,
            "changes": summary.changes,
            "censored_samples": summary.censored_samples,
            "counts": counts.into_iter().collect::<Vec<_>>(),
            "never_right": never,
            "epochs": epochs.collect::<Vec<Json>>(),
        })
    };
    let summaries = Summary::of(&judged.found, judged.members.len(), judged.epochs, by);
    let [index, judging] = judged.seconds;
    json!({
        "files": judged.files, "rows": judged.rows, "samples": judged.samples, "epochs": judged.epochs,
        "index_seconds": index, "seconds": index + judging,
        "members": summaries.into_iter().map(member).collect::<Vec<Json>>(),
    })
    .to_string()
}

/// Of recorded runs: the claim, then one line for each member, best first by a column; of several runs with
/// mean and spread.
pub fn runs(runs: &[JudgedRun], by: Column) -> String {
    let parameters = Parameters::of(runs.iter().map(|run| &run.members[..]));
    let cells = |(member, summaries): (usize, Vec<RunSummary>)| {
        let values = |of: fn(&RunSummary) -> f64| summaries.iter().map(of).collect::<Vec<f64>>();
        (member, SHOWN.iter().map(|(.., of, format)| cell(&values(*of), format)).collect())
    };
    let table =
        parameters.table(SHOWN.map(|(head, ..)| head), RunSummary::sorted(runs, by).into_iter().map(cells));
    let recorded = runs.iter().map(|run| {
        format!(
            "{}: {}, {}, {}; as recorded {} of dense training",
            visible(&run.name),
            counted(run.epochs, "epoch"),
            counted(run.samples, "sample"),
            counted(run.layers, "layer"),
            percent(share_of_dense(&run.recorded)),
        )
    });
    let recorded = recorded.collect::<Vec<_>>().join("\n");
    format!("{}\n\n{recorded}\n\n{}\n\n{table}", replay::CLAIM, parameters.common)
}

/// As [`runs`], in one line of JSON, epoch by epoch.
pub fn runs_json(runs: &[JudgedRun], by: Column) -> String {
    let member = |(member, summaries): (usize, Vec<RunSummary>)| {
        let mean = |of: fn(&RunSummary) -> f64| {
            let (mean, deviation) = spread(&summaries.iter().map(of).collect::<Vec<_>>());
            json!({"mean": mean, "standard_deviation": deviation})
        };
        let mut object = json!({
            "member": member,
            "flops": mean(|summary| summary.flops),
            "runs": runs.iter().map(|run| of_run(run, member)).collect::<Vec<Json>>(),
        });
        SHOWN.iter().for_each(|(_, key, of, _)| object[*key] = mean(*of));
        object
    };
    let members: Vec<Json> = RunSummary::sorted(runs, by).into_iter().map(member).collect();
    let names: Vec<_> = runs.iter().map(|run| &run.name).collect();
    json!({"claim": replay::CLAIM, "runs": names, "members": members}).to_string()
}

/// A member by the record of one run.
fn of_run(run: &JudgedRun, member: usize) -> Json {
    let costs = run.found.costs.iter().filter(|costs| costs.member as usize == member);
    let epochs = costs.map(|costs| {
        let (epoch, censored) = (&costs.epoch, &costs.censored);
        json!({
            "epoch": epoch.epoch, "active_samples": epoch.active_samples,
            "entered": costs.entered, "left": costs.left,
            "nonzero": epoch.nonzero, "frozen_layers": epoch.frozen_layers,
            "forward_flops": epoch.forward_flops, "backward_flops": epoch.backward_flops,
            "observed_flops": epoch.observed_flops, "dense_flops": epoch.dense_flops,
            "samples_as_recorded": costs.samples_as_recorded, "layers_as_recorded": costs.layers_as_recorded,
            "censored_samples": censored.samples, "censored_layers": censored.layers,
            "censored_norms": censored.norms,
        })
    });
    json!({
        "run": run.name, "samples": run.samples, "layers": run.layers,
        "parameters": run.members[member].parameters, "epochs": epochs.collect::<Vec<Json>>(),
    })
}
