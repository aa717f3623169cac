//! The table of a replay: what was decided and what it would have cost, beside what was recorded.

use spfde_data::rows::{CensoredRow, EpochRow};
use spfde_data::words::{counted, visible};

use super::table::{Table, number, percent, short};
use super::{flops, share_of_dense, shown};
use crate::replay::Replayed;

/// A replay, and the run that it is of.
pub struct Case {
    /// The run.
    pub name: String,
    /// What the replay found.
    pub replayed: Replayed,
    /// The recorded rows of the same epochs.
    pub recorded: Vec<EpochRow>,
}

/// What a replay claims, and what it does not: the first line of every report.
pub const CLAIM: &str = "decisions and costs of a replay are exact; accuracy is not predicted";

/// The claim, a table epoch by epoch (of several runs: with mean and spread), and sums.
pub fn report(cases: &[Case]) -> String {
    let mut parts = vec![CLAIM.to_owned(), epochs(cases)];
    if cases.len() > 1 {
        parts.push(runs(cases));
    }
    parts.extend(cases.iter().map(sums));
    parts.join("\n\n")
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

/// One row for each epoch, or for some of very many.
fn epochs(cases: &[Case]) -> String {
    let count = cases.iter().map(|case| case.replayed.epochs.len()).max().unwrap_or(0);
    let of = |epoch: usize, format: fn(f64) -> String, value: &dyn Fn(&Case) -> f64| {
        // A run that ended earlier has no part in the later rows.
        let cases = cases.iter().filter(|case| epoch < case.replayed.epochs.len());
        cell(&cases.map(value).collect::<Vec<f64>>(), format)
    };
    let cost = |epoch: usize, value: fn(&EpochRow) -> f64| {
        of(epoch, number, &|case| value(&case.replayed.epochs[epoch]))
    };
    let censored = |epoch: usize, value: fn(&CensoredRow) -> f64| {
        of(epoch, number, &|case| value(&case.replayed.censored[epoch]))
    };
    let table = Table::of(
        shown(count),
        &[
            ("epoch", &|epoch| (epoch + 1).to_string()),
            ("samples", &|epoch| cost(*epoch, |row| f64::from(row.active_samples))),
            ("weights", &|epoch| cost(*epoch, |row| row.nonzero as f64)),
            ("frozen layers", &|epoch| cost(*epoch, |row| f64::from(row.frozen_layers))),
            ("FLOPs of dense", &|epoch| {
                of(*epoch, percent, &|case| share_of_dense(case.replayed.epochs.get(*epoch)))
            }),
            ("as recorded", &|epoch| of(*epoch, percent, &|case| share_of_dense(case.recorded.get(*epoch)))),
            ("censored samples", &|epoch| censored(*epoch, |row| f64::from(row.samples))),
            ("censored layers", &|epoch| censored(*epoch, |row| f64::from(row.layers))),
            ("censored norms", &|epoch| censored(*epoch, |row| row.norms as f64)),
        ],
    );
    table.to_string()
}

/// One row for each run, and mean and spread over them.
fn runs(cases: &[Case]) -> String {
    let rows = cases.iter().map(|case| (visible(&case.name).into_owned(), std::slice::from_ref(case)));
    let rows = rows.chain([("mean ± standard deviation".to_owned(), cases)]);
    let of = |cases: &[Case], format: fn(f64) -> String, value: fn(&Case) -> f64| {
        cell(&cases.iter().map(value).collect::<Vec<f64>>(), format)
    };
    let table = Table::of(
        rows,
        &[
            ("run", &|(name, _)| name.clone()),
            ("FLOPs of dense", &|(_, cases)| {
                of(cases, percent, |case| share_of_dense(&case.replayed.epochs))
            }),
            ("as recorded", &|(_, cases)| of(cases, percent, |case| share_of_dense(&case.recorded))),
            ("censored samples", &|(_, cases)| of(cases, number, |case| lacking(case).0 as f64)),
            ("censored norms", &|(_, cases)| of(cases, number, |case| lacking(case).1 as f64)),
        ],
    );
    table.to_string()
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
        "epoch {}: {}, {}, {}, {} of dense; censored: {}, {}",
        epoch + 1,
        counted(*active_samples, "sample"),
        counted(*nonzero, "weight"),
        counted(*frozen_layers, "frozen layer"),
        percent(share_of_dense([costs])),
        counted(censored.samples, "sample"),
        counted(censored.norms, "norm"),
    )
}

/// What a replay adds up to.
pub(crate) fn sums(case: &Case) -> String {
    let Case { name, replayed, recorded } = case;
    let lacking = match lacking(case) {
        (0, 0) => "nothing that it was asked for".to_owned(),
        (samples, 0) => counted(samples, "score"),
        (0, norms) => counted(norms, "norm"),
        (samples, norms) => format!("{} and {}", counted(samples, "score"), counted(norms, "norm")),
    };
    let censored = lacking.starts_with(char::is_numeric);
    format!(
        "{}: {} FLOPs, {} of dense; as recorded {} FLOPs, {} of dense\nthe record lacks {lacking}{}",
        visible(name),
        short(flops(&replayed.epochs)),
        percent(share_of_dense(&replayed.epochs)),
        short(flops(recorded)),
        percent(share_of_dense(recorded)),
        if censored { " (censored); train with trace.observe=full to record them" } else { "" },
    )
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
