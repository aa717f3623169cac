//! What stages took.

use std::collections::BTreeMap;

use spfde_data::TimingRow;

use super::bars::lying;
use super::figure::{Figure, Table, digits};
use super::subject::Subject;
use crate::Result;

/// Stages that are shown at most.
const MOST: usize = 64;

/// The time of each stage of a run.
///
/// # Errors
/// If the timings cannot be read.
pub(super) fn figure(subject: &Subject) -> Result<Figure> {
    let mut stages: BTreeMap<String, (f64, u64)> = BTreeMap::new();
    subject.visit::<TimingRow>(|row| {
        let (seconds, calls) = stages.entry(row.stage).or_default();
        *seconds += row.seconds;
        *calls = calls.saturating_add(row.calls);
    })?;
    let mut stages: Vec<(String, (f64, u64))> = stages.into_iter().collect();
    stages.sort_by(|left, right| right.1.0.total_cmp(&left.1.0));
    let sum: f64 = stages.iter().map(|stage| stage.1.0).sum();
    stages.truncate(MOST);
    let (mut bars, mut rows) = (Vec::new(), Vec::new());
    for (name, (seconds, calls)) in stages {
        let [told, share] = [digits(Some(seconds), 2), digits(Some(100.0 * seconds / sum), 1)];
        bars.push((name.clone(), seconds, format!("{told} s, {share} %")));
        rows.push(vec![name, told, calls.to_string(), share]);
    }
    let query = subject.query(include_str!("query/stages.sql"), &[("most", &MOST.to_string())]);
    Ok(Figure {
        title: "Time of each stage",
        caption: "Seconds that workers spent in each stage, added over workers and epochs.".to_owned(),
        drawings: vec![lying(&bars)],
        tables: vec![Table::new("", &["stage", "seconds", "calls", "percent"], rows, query)],
        ..Figure::default()
    })
}
