//! The table of a grid, over bare scores or over recorded runs, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use spfde_data::{counted, visible};

use super::replay::{self, cell, spread};
use super::share_of_dense;
use super::table::{Head, number, percent, table};
use crate::grid::{Column, Judged, JudgedRun, Member, NUMBERS, Summary, keys, text};

/// What the answers of a grid over bare scores are, and what not: the first line of its report.
pub const CLAIM: &str = "decisions are exact; what accuracy they would have led to is not predicted";

/// A column of a member's line: whether only recorded runs have it, its head and how soon it is left out
/// where the terminal is narrow, its key in JSON, its value, and
/// how that is shown.
type Shown = (bool, Head<'static>, &'static str, fn(&Summary) -> f64, fn(f64) -> String);

/// The columns of a member's line, after its parameters.
const SHOWN: [Shown; 11] = [
    (true, ("FLOPs of dense", 0), "flops_of_dense", |summary| summary.flops / summary.dense_flops, percent),
    (false, ("active samples", 5), "active_samples", |summary| summary.active_samples, number),
    (false, ("active share", 0), "active_share", |summary| summary.active_share, percent),
    (false, ("trained samples", 6), "trained_samples", |summary| summary.trained_samples, number),
    (true, ("frozen layers", 3), "frozen_layers", |summary| summary.frozen_layers, number),
    (false, ("changes", 4), "changes", |summary| summary.changes, number),
    (true, ("samples as recorded", 7), "samples_as_recorded", |summary| summary.samples_as_recorded, percent),
    (true, ("layers as recorded", 8), "layers_as_recorded", |summary| summary.layers_as_recorded, percent),
    (false, ("censored samples", 1), "censored_samples", |summary| summary.censored_samples, number),
    (true, ("censored layers", 3), "censored_layers", |summary| summary.censored_layers, number),
    (true, ("censored norms", 2), "censored_norms", |summary| summary.censored_norms, number),
];

/// The columns that some records have.
fn shown(runs: &[JudgedRun]) -> impl Iterator<Item = &'static Shown> {
    let is_run = runs.iter().any(JudgedRun::is_run);
    SHOWN.iter().filter(move |(only_of_runs, ..)| is_run || !only_of_runs)
}

/// The parameters that all members of a record have in common, said once; and a line for each member, best
/// first by a column: its number, the parameters in which members differ, and sums.
fn members(runs: &[JudgedRun], by: Column) -> (String, String) {
    let all = || runs.iter().flat_map(|run| &run.members);
    let varies = |run: &JudgedRun, key: &str| {
        let mut values = run.members.iter().filter_map(|member| member.parameters.get(key));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let (varied, common): (Vec<String>, Vec<String>) =
        keys(all()).into_iter().partition(|key| runs.iter().any(|run| varies(run, key)));
    let common: Vec<String> = common.iter().map(|key| format!("{key}={}", texts(all(), key))).collect();
    // The column by which the lines are sorted is never left out.
    let spare = |key: &str, spare: u8| if key == by.name() { 0 } else { spare };
    let sums = shown(runs).map(|(_, (head, soon), key, ..)| (*head, spare(key, *soon)));
    let heads = varied.iter().map(|key| (key.as_str(), 0)).chain(sums);
    let line = |(member, summaries): (usize, Vec<Summary>)| {
        let own = varied.iter().map(|key| texts(runs.iter().map(|run| &run.members[member]), key));
        let sums =
            shown(runs).map(|(.., of, format)| cell(&summaries.iter().map(of).collect::<Vec<f64>>(), format));
        [member.to_string()].into_iter().chain(own).chain(sums).collect()
    };
    let lines = Summary::sorted(runs, by).into_iter().map(line);
    (common.join(" "), table([("member", 0)].into_iter().chain(heads), lines))
}

/// All values that some members have of a key, without quotes.
fn texts<'a>(members: impl Iterator<Item = &'a Member>, key: &str) -> String {
    let values: BTreeSet<String> =
        members.filter_map(|member| member.parameters.get(key)).map(text).collect();
    if values.is_empty() { "–".to_owned() } else { values.into_iter().collect::<Vec<_>>().join(",") }
}

/// Of bare scores: the claim, then one line for each member, best first by a column.
pub fn scores(judged: &Judged, by: Column) -> String {
    let run = &judged.run;
    let (common, table) = members(std::slice::from_ref(run), by);
    format!(
        "{CLAIM}\n\n{}{} of {} over {}; {common}\n\n{table}",
        counted(judged.rows, "row"),
        match judged.repeated_rows {
            0 => String::new(),
            repeated => format!(" ({} left out)", counted(repeated, "repeated row")),
        },
        counted(run.samples, "sample"),
        counted(run.epochs, "epoch"),
    )
}

/// As [`scores`], in one line of JSON, with how the final keys are distributed.
pub fn scores_json(judged: &Judged, by: Column) -> String {
    let run = &judged.run;
    let runs = std::slice::from_ref(run);
    let member = |(number, summaries): (usize, Vec<Summary>)| {
        let keys = run.found.keys.iter().filter(|row| row.member as usize == number);
        let never = keys.clone().filter(|row| row.key == u32::MAX).map(|row| row.samples).sum::<u32>();
        // A sample that was never right was never forgotten.
        let mut counts = BTreeMap::<u32, u32>::new();
        for row in keys {
            *counts.entry(if row.key == u32::MAX { 0 } else { row.key }).or_default() += row.samples;
        }
        let mut object = json!({
            "member": number,
            "parameters": run.members[number].parameters,
            "counts": counts.into_iter().collect::<Vec<_>>(),
            "never_right": never,
            "epochs": epochs(run, number),
        });
        for (_, _, key, of, _) in shown(runs) {
            let value = of(&summaries[0]);
            object[*key] = if value.fract() == 0.0 { json!(value as u64) } else { json!(value) };
        }
        object
    };
    let [index, judging] = judged.seconds;
    json!({
        "files": judged.files, "rows": judged.rows, "repeated_rows": judged.repeated_rows,
        "missing_epochs": judged.missing_epochs, "samples": run.samples, "epochs": run.epochs,
        "index_seconds": index, "seconds": index + judging,
        "members": Summary::sorted(runs, by).into_iter().map(member).collect::<Vec<Json>>(),
    })
    .to_string()
}

/// Of recorded runs: the claim, then one line for each member, best first by a column; of several runs with
/// mean and spread.
pub fn runs(runs: &[JudgedRun], by: Column) -> String {
    let (common, table) = members(runs, by);
    let recorded = runs.iter().map(|run| {
        format!(
            "{}: {} of {}, {}, {}; as recorded {} of dense training",
            visible(&run.name),
            run.epochs,
            counted(run.planned, "epoch"),
            counted(run.samples, "sample"),
            counted(run.layers, "layer"),
            percent(share_of_dense(&run.recorded)),
        )
    });
    let recorded = recorded.collect::<Vec<_>>().join("\n");
    format!("{}\n\n{recorded}\n\n{common}\n\n{table}", replay::CLAIM)
}

/// As [`runs`], in one line of JSON, epoch by epoch.
pub fn runs_json(runs: &[JudgedRun], by: Column) -> String {
    let of_run = |run: &JudgedRun, member: usize| {
        json!({
            "run": run.name, "samples": run.samples, "layers": run.layers,
            "recorded_epochs": run.epochs, "planned_epochs": run.planned,
            "parameters": run.members[member].parameters, "epochs": epochs(run, member),
        })
    };
    let member = |(member, summaries): (usize, Vec<Summary>)| {
        let mean = |of: fn(&Summary) -> f64| {
            let (mean, deviation) = spread(&summaries.iter().map(of).collect::<Vec<_>>());
            json!({"mean": mean, "standard_deviation": deviation})
        };
        let mut object = json!({
            "member": member,
            "flops": mean(|summary| summary.flops),
            "runs": runs.iter().map(|run| of_run(run, member)).collect::<Vec<Json>>(),
        });
        shown(runs).for_each(|(_, _, key, of, _)| object[*key] = mean(*of));
        object
    };
    let members: Vec<Json> = Summary::sorted(runs, by).into_iter().map(member).collect();
    let names: Vec<_> = runs.iter().map(|run| &run.name).collect();
    json!({"claim": replay::CLAIM, "runs": names, "members": members}).to_string()
}

/// What a member did in each epoch, by the record of one run.
fn epochs(run: &JudgedRun, member: usize) -> Vec<Json> {
    let costs = run.found.costs.iter().filter(|costs| costs.member as usize == member);
    let numbers = NUMBERS.iter().filter(|(_, only_of_runs, _)| run.is_run() || !only_of_runs);
    let object = |costs| {
        let numbers = numbers.clone().map(|(name, _, number)| ((*name).to_owned(), json!(number(costs))));
        Json::Object(numbers.collect())
    };
    costs.map(object).collect()
}
