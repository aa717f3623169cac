//! The table of a replay: what was decided and what it would have cost, beside what was recorded.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use spfde_data::{CensoredRow, EpochRow, counted, visible};
use spfde_policy::FreezePolicy;

use super::summary::{State, end_json, epoch_json};
use super::table::{self, Head, number, percent, short};
use super::{flops, share_of_dense, shown_epochs};
use crate::verify::Sound;
use crate::{Error, Replayed};

/// A replay, and the run that it is of.
pub struct Case {
    /// The run.
    pub name: String,
    /// What the replay found.
    pub replayed: Replayed,
    /// The recorded rows of the same epochs.
    pub recorded: Vec<EpochRow>,
    /// Epochs that the run was to have.
    pub planned: u32,
    /// What judged by the record what freezes.
    pub freeze: Arc<dyn FreezePolicy>,
}

/// What a replay claims, and what it does not: the first line of every report.
pub const CLAIM: &str = "decisions and costs of a replay are exact; accuracy is not predicted";

/// The claim, a table epoch by epoch (of several runs: with mean and spread), and sums.
pub fn report(cases: &[Case]) -> String {
    let all: Vec<&Case> = cases.iter().collect();
    let count = cases.iter().map(|case| case.replayed.epochs.len()).max().unwrap_or(0);
    let line = |epoch: usize| {
        // A run that ended earlier has no part in the later rows.
        let cases = all.iter().copied().filter(|case| epoch < case.replayed.epochs.len());
        ((epoch + 1).to_string(), cases.collect(), epoch)
    };
    let mut parts = vec![CLAIM.to_owned(), table("epoch", &EPOCH, shown_epochs(count).map(line))];
    if cases.len() > 1 {
        let runs = cases.iter().map(|case| (visible(&case.name).into_owned(), vec![case], ()));
        let runs = runs.chain([("mean ± standard deviation".to_owned(), all, ())]);
        parts.push(table("run", &RUN, runs));
    }
    parts.extend(cases.iter().map(sums));
    parts.join("\n\n")
}

/// A column: its head, its value for a run, and how that is shown.
type Column<K> = (Head<'static>, fn(&Case, K) -> f64, fn(f64) -> String);

/// The columns for an epoch.
const EPOCH: [Column<usize>; 8] = [
    (("samples", 2), |case, epoch| case.replayed.epochs[epoch].active_samples.into(), number),
    (("weights", 3), |case, epoch| case.replayed.epochs[epoch].nonzero as f64, number),
    (("frozen layers", 2), |case, epoch| case.replayed.epochs[epoch].frozen_layers.into(), number),
    (("FLOPs of dense", 0), |case, epoch| share_of_dense(case.replayed.epochs.get(epoch)), percent),
    (("as recorded", 0), |case, epoch| share_of_dense(case.recorded.get(epoch)), percent),
    (("censored samples", 1), |case, epoch| case.replayed.censored[epoch].samples.into(), number),
    (("censored layers", 4), |case, epoch| case.replayed.censored[epoch].layers.into(), number),
    (("censored norms", 1), |case, epoch| case.replayed.censored[epoch].norms as f64, number),
];

/// The columns for a whole run.
const RUN: [Column<()>; 4] = [
    (("FLOPs of dense", 0), |case, ()| share_of_dense(&case.replayed.epochs), percent),
    (("as recorded", 0), |case, ()| share_of_dense(&case.recorded), percent),
    (("censored samples", 1), |case, ()| lacking(case).0 as f64, number),
    (("censored norms", 1), |case, ()| lacking(case).1 as f64, number),
];

/// A table with a line for each of `rows`: its name, the runs that it is of, and what of them.
fn table<'a, K: Copy>(
    head: &str,
    columns: &[Column<K>],
    rows: impl Iterator<Item = (String, Vec<&'a Case>, K)>,
) -> String {
    let line = |(name, cases, at): (String, Vec<&Case>, K)| {
        let values = |of: &fn(&Case, K) -> f64| cases.iter().map(|case| of(case, at)).collect::<Vec<f64>>();
        let cells = columns.iter().map(|(_, of, format)| cell(&values(of), format));
        [name].into_iter().chain(cells).collect()
    };
    table::table([(head, 0)].into_iter().chain(columns.iter().map(|(head, ..)| *head)), rows.map(line))
}

/// Mean and standard deviation (of a sample) of some values.
pub(super) fn spread(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, if count > 1.0 { (squares / (count - 1.0)).sqrt() } else { 0.0 })
}

/// A cell: the value of one run, or mean ± spread of several.
pub(super) fn cell(values: &[f64], format: impl Fn(f64) -> String) -> String {
    let (mean, deviation) = spread(values);
    if values.len() == 1 { format(mean) } else { format!("{} ± {}", format(mean), format(deviation)) }
}

/// Scores and norms that the record lacks.
fn lacking(case: &Case) -> (u64, u64) {
    let rows = &case.replayed.censored;
    (rows.iter().map(|row| u64::from(row.samples)).sum(), rows.iter().map(|row| row.norms).sum())
}

/// An epoch in one line.
pub(crate) fn line(costs: &EpochRow, censored: &CensoredRow) -> String {
    let EpochRow { epoch, active_samples, nonzero, frozen_layers, .. } = costs;
    format!(
        "epoch {}: {}, {}, {}, {} of dense; censored: {}, {}, {}",
        epoch + 1,
        counted(*active_samples, "sample"),
        counted(*nonzero, "weight"),
        counted(*frozen_layers, "frozen layer"),
        percent(share_of_dense([costs])),
        counted(censored.samples, "sample"),
        counted(censored.layers, "layer"),
        counted(censored.norms, "norm"),
    )
}

/// The same for programs, with the name of its run.
pub(crate) fn line_json(run: &str, costs: &EpochRow, censored: &CensoredRow) -> Json {
    let mut object = epoch_json(costs);
    object["run"] = run.into();
    object["censored"] = json!(censored);
    object
}

/// How many epochs the record has; the rows of a run that goes on again may be out of reach.
fn recorded_epochs(case: &Case) -> usize {
    case.recorded.len().max(case.replayed.epochs.len())
}

/// What a replay adds up to, for programs; why it failed, or what was verified of the run that it wrote.
pub(crate) fn sums_json(case: &Case, ended: Result<Option<&Sound>, &Error>) -> Json {
    let Case { name, replayed, recorded, planned, .. } = case;
    let state = State { epochs: replayed.epochs.clone(), ..State::default() };
    let mut object = end_json(&state, replayed.directory.as_deref(), ended);
    object["run"] = name.as_str().into();
    object["recorded_epochs"] = recorded_epochs(case).into();
    object["planned_epochs"] = (*planned).into();
    object["recorded_flops_of_dense"] = (!recorded.is_empty()).then(|| share_of_dense(recorded)).into();
    object
}

/// What a replay adds up to.
pub(crate) fn sums(case: &Case) -> String {
    let Case { name, replayed, recorded, planned, .. } = case;
    let (lacking, advice) = lacks(case);
    format!(
        "{}: {} FLOPs, {} of dense; as recorded {} FLOPs, {} of dense\nthe record has {} of {} and lacks \
         {lacking}{advice}",
        visible(name),
        short(flops(&replayed.epochs)),
        percent(share_of_dense(&replayed.epochs)),
        short(flops(recorded)),
        percent(share_of_dense(recorded)),
        recorded_epochs(case),
        counted(*planned, "epoch"),
    )
}

/// What the record lacks of what a replay asked for, and which run would have it.
fn lacks(case: &Case) -> (String, &'static str) {
    let (samples, norms) = lacking(case);
    // A policy that judges by similarity reads no norms. Of a frozen layer no run has more than norms.
    let (similarity, layers) = (case.freeze.reads_similarity(), case.freeze.reads_layers());
    let frozen = case.replayed.censored.iter().map(|row| u64::from(row.layers)).sum::<u64>();
    let frozen = if similarity || layers { frozen } else { 0 };
    let of_frozen = if similarity { "comparison" } else { "gradient sum" };
    let parts = [(samples, "score"), (if similarity { 0 } else { norms }, "norm"), (frozen, of_frozen)];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, of)| counted(count, of)).collect();
    match frozen {
        _ if parts.is_empty() => ("nothing that it was asked for".to_owned(), ""),
        0 => (parts.join(" and "), " (censored); train with trace.observe=full to record them"),
        _ => {
            let advice = " of frozen layers (censored); a run with freeze.policy=none and trace.observe=full \
                          has them";
            (parts.join(" and "), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_stands_alone_and_several_have_a_spread() {
        assert_eq!(cell(&[3.0], number), "3");
        assert_eq!(cell(&[1.0, 2.0, 3.0], number), "2 ± 1");
        assert_eq!(cell(&[0.1, 0.3], percent), "20.0 % ± 14.1 %");
    }
}
