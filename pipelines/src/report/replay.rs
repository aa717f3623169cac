//! The table of a replay: what was decided and what it would have cost, beside what was recorded.

use spfde_data::rows::{CensoredRow, EpochRow};
use spfde_data::words::{counted, visible};

use super::table::{percent, short, table};
use crate::replay::Replayed;

/// Epochs in the table at most: evenly spaced, the last among them.
const ROWS: usize = 20;

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

/// FLOPs of training as a share of dense training.
fn share<'a>(rows: impl IntoIterator<Item = &'a EpochRow>) -> f64 {
    let (mut spent, mut dense) = (0.0, 0.0);
    for row in rows {
        spent += (row.forward_flops + row.backward_flops) as f64;
        dense += row.dense_flops as f64;
    }
    if dense > 0.0 { spent / dense } else { 0.0 }
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

pub(super) fn number(value: f64) -> String {
    let digits = usize::from(value.fract() != 0.0);
    format!("{value:.digits$}")
}

/// One row for each epoch, or for some of very many.
fn epochs(cases: &[Case]) -> String {
    let count = cases.iter().map(|case| case.replayed.epochs.len()).max().unwrap_or(0);
    let every = count.div_ceil(ROWS).max(1);
    let shown = (0..count).filter(|epoch| (epoch + 1) % every == 0 || epoch + 1 == count);
    let rows: Vec<Vec<String>> = shown
        .map(|epoch| {
            // A run that ended earlier has no part in the later rows.
            let cases: Vec<&Case> = cases.iter().filter(|case| epoch < case.replayed.epochs.len()).collect();
            let of =
                |value: &dyn Fn(&Case) -> f64| cases.iter().map(|case| value(case)).collect::<Vec<f64>>();
            vec![
                (epoch + 1).to_string(),
                cell(&of(&|case| f64::from(case.replayed.epochs[epoch].active_samples)), number),
                cell(&of(&|case| case.replayed.epochs[epoch].nonzero as f64), number),
                cell(&of(&|case| f64::from(case.replayed.epochs[epoch].frozen_layers)), number),
                cell(&of(&|case| share(case.replayed.epochs.get(epoch))), percent),
                cell(&of(&|case| share(case.recorded.get(epoch))), percent),
                cell(&of(&|case| f64::from(case.replayed.censored[epoch].samples)), number),
                cell(&of(&|case| f64::from(case.replayed.censored[epoch].layers)), number),
                cell(&of(&|case| case.replayed.censored[epoch].norms as f64), number),
            ]
        })
        .collect();
    let heads = [
        "epoch",
        "samples",
        "weights",
        "frozen layers",
        "FLOPs of dense",
        "as recorded",
        "censored samples",
        "censored layers",
        "censored norms",
    ];
    table(&heads, &rows)
}

/// One row for each run, and mean and spread over them.
fn runs(cases: &[Case]) -> String {
    let columns = |case: &Case| {
        let Replayed { epochs, censored, .. } = &case.replayed;
        [
            share(epochs),
            share(&case.recorded),
            censored.iter().map(|row| f64::from(row.samples)).sum(),
            censored.iter().map(|row| row.norms as f64).sum(),
        ]
    };
    let formats: [fn(f64) -> String; 4] = [percent, percent, number, number];
    let values: Vec<[f64; 4]> = cases.iter().map(columns).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (case, values) in cases.iter().zip(&values) {
        let cells = values.iter().zip(formats).map(|(value, format)| format(*value));
        rows.push([visible(&case.name).into_owned()].into_iter().chain(cells).collect());
    }
    let over = (0..4).map(|column| {
        let values: Vec<f64> = values.iter().map(|values| values[column]).collect();
        cell(&values, formats[column])
    });
    rows.push(["mean ± standard deviation".to_owned()].into_iter().chain(over).collect());
    table(&["run", "FLOPs of dense", "as recorded", "censored samples", "censored norms"], &rows)
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
        percent(share([costs])),
        counted(censored.samples, "sample"),
        counted(censored.norms, "norm"),
    )
}

/// What a replay adds up to.
pub(crate) fn sums(case: &Case) -> String {
    let flops =
        |rows: &[EpochRow]| rows.iter().map(|row| (row.forward_flops + row.backward_flops) as f64).sum();
    let (spent, recorded): (f64, f64) = (flops(&case.replayed.epochs), flops(&case.recorded));
    let samples: u64 = case.replayed.censored.iter().map(|row| u64::from(row.samples)).sum();
    let norms: u64 = case.replayed.censored.iter().map(|row| row.norms).sum();
    let lacking = match (samples, norms) {
        (0, 0) => "nothing that it was asked for".to_owned(),
        (samples, 0) => counted(samples, "score"),
        (0, norms) => counted(norms, "norm"),
        (samples, norms) => format!("{} and {}", counted(samples, "score"), counted(norms, "norm")),
    };
    format!(
        "{}: {} FLOPs, {} of dense; as recorded {} FLOPs, {} of dense\nthe record lacks {lacking}{}",
        visible(&case.name),
        short(spent),
        percent(share(&case.replayed.epochs)),
        short(recorded),
        percent(share(&case.recorded)),
        if samples + norms > 0 { " (censored); train with trace.observe=full to record them" } else { "" },
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
