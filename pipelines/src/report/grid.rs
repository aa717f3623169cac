//! The table of a grid, for people and for programs.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use spfde_data::parameter::Value;
use spfde_data::words::counted;

use super::table::table;
use crate::grid::{Column, Judged, Summary};

/// What the answers of a grid over bare scores are, and what not: the first line of its report.
pub const CLAIM: &str = "decisions are exact; what accuracy they would have led to is not predicted";

/// The claim, then one line for each member, best first by a column.
pub fn report(judged: &Judged, by: Column) -> String {
    let keys = crate::grid::keys(&judged.members);
    // What is the same for all that have it is said once.
    let of = |key: &str| judged.members.iter().filter_map(|member| member.parameters.get(key)).next();
    let (varied, common): (Vec<&String>, Vec<&String>) = keys.iter().partition(|key| {
        let values = judged.members.iter().filter_map(|member| member.parameters.get(*key));
        values.into_iter().any(|value| Some(value) != of(key))
    });
    let text = |value: Option<&Value>| match value {
        None => "–".to_owned(),
        Some(Value::Text(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let common: Vec<String> = common.iter().map(|key| format!("{key}={}", text(of(key)))).collect();
    let mut heads = vec!["member"];
    heads.extend(varied.iter().map(|key| key.as_str()));
    heads.extend(["active samples", "of all", "trained samples", "changes", "censored samples"]);
    let rows: Vec<Vec<String>> = Summary::of(&judged.found, judged.members.len(), judged.epochs, by)
        .into_iter()
        .map(|summary| {
            let parameters = &judged.members[summary.member as usize].parameters;
            let mut cells = vec![summary.member.to_string()];
            cells.extend(varied.iter().map(|key| text(parameters.get(*key))));
            cells.push(summary.active_samples.to_string());
            cells.push(super::table::percent(
                f64::from(summary.active_samples) / f64::from(judged.samples.max(1)),
            ));
            cells.push(summary.trained_samples.to_string());
            cells.push(summary.changes.to_string());
            cells.push(summary.censored_samples.to_string());
            cells
        })
        .collect();
    format!(
        "{CLAIM}\n\n{} of {} over {}; {}\n\n{}",
        counted(judged.rows, "row"),
        counted(judged.samples, "sample"),
        counted(judged.epochs, "epoch"),
        common.join(" "),
        table(&heads, &rows)
    )
}

/// The same as one line of JSON, with how the final keys are distributed.
pub fn json(judged: &Judged, by: Column) -> String {
    let members: Vec<Json> = Summary::of(&judged.found, judged.members.len(), judged.epochs, by)
        .into_iter()
        .map(|summary| {
            let keys = judged.found.keys.iter().filter(|row| row.member == summary.member);
            let never = keys.clone().filter(|row| row.key == u32::MAX).map(|row| row.samples).sum::<u32>();
            // A sample that was never right was never forgotten.
            let mut counts = BTreeMap::<u32, u32>::new();
            for row in keys {
                *counts.entry(if row.key == u32::MAX { 0 } else { row.key }).or_default() += row.samples;
            }
            let epochs: Vec<Json> = judged
                .found
                .rows
                .iter()
                .filter(|row| row.member == summary.member)
                .map(|row| {
                    json!({
                        "epoch": row.epoch, "active_samples": row.active, "entered": row.entered,
                        "left": row.left, "censored_samples": row.unscored,
                    })
                })
                .collect();
            json!({
                "member": summary.member,
                "parameters": judged.members[summary.member as usize].parameters,
                "active_samples": summary.active_samples,
                "trained_samples": summary.trained_samples,
                "changes": summary.changes,
                "censored_samples": summary.censored_samples,
                "counts": counts.into_iter().collect::<Vec<_>>(),
                "never_right": never,
                "epochs": epochs,
            })
        })
        .collect();
    json!({
        "files": judged.files,
        "rows": judged.rows,
        "samples": judged.samples,
        "epochs": judged.epochs,
        "index_seconds": judged.seconds[0],
        "seconds": judged.seconds[0] + judged.seconds[1],
        "members": members,
    })
    .to_string()
}
