//! When layers freeze, and the gradient norms that they had.

use std::collections::BTreeMap;

use spfde_data::{FreezeRow, GradientRow, Row};

use super::figure::{Figure, Table};
use super::heat::scale;
use super::layers::{ByLayer, by_layer, map, table};
use super::subject::Subject;
use crate::Result;

/// Changes that a table lists at most.
const MOST: usize = 400;

/// The timeline of freezing.
///
/// # Errors
/// If the tables cannot be read.
pub(super) fn figure(subject: &Subject) -> Result<Figure> {
    let mut freezes: Vec<FreezeRow> = Vec::new();
    subject.visit(|row| freezes.push(row))?;
    freezes.sort_by_key(Row::order);
    // The layers that are frozen at the end of each epoch that is shown.
    let (mut frozen, mut states) = (BTreeMap::new(), BTreeMap::new());
    let mut left = freezes.iter().peekable();
    for epoch in subject.epochs.shown() {
        while let Some(row) = left.next_if(|row| row.epoch <= epoch) {
            frozen.insert(row.layer, row.diff > 0);
        }
        states.insert(epoch, frozen.clone());
    }
    let is_frozen = |layer: u16, epoch: u32| states[&epoch].get(&layer).copied().unwrap_or(false);
    let mut sums: BTreeMap<(u16, u32), (f64, u64)> = BTreeMap::new();
    subject.visit::<GradientRow>(|row| {
        let (sum, steps) = sums.entry((row.layer, subject.epochs.last(row.epoch))).or_default();
        *sum += f64::from(row.l2).powi(2);
        *steps += 1;
    })?;
    let norms: ByLayer =
        sums.into_iter().map(|(place, (sum, steps))| (place, (sum / steps as f64).sqrt())).collect();
    let mut tables = vec![changes(subject, &freezes)];
    let mut caption = match freezes.is_empty() {
        true => "No layer freezes.".to_owned(),
        false => "Layers that are frozen are struck through; the first table has the reasons.".to_owned(),
    };
    if norms.is_empty() {
        caption += " There are no gradient norms: a replay records none.";
    } else {
        caption += &format!(
            " The stronger the colour, the greater the gradient: root mean square of the L2 norms of a \
             layer's gradient over the steps of an epoch, on a logarithmic scale ({}). Frozen layers have \
             norms only where they were observed (trace.observe=full).",
            scale(norms.values().copied(), 6)
        );
        let (shown, rows) = table(subject, &norms, 6);
        let query = subject.query(include_str!("query/norms.sql"), &[("shown_layers", &shown.join(", "))]);
        tables.push(by_layer("gradient norms", &shown, rows, query));
    }
    let drawings = match norms.is_empty() && freezes.is_empty() {
        true => Vec::new(),
        false => vec![map(subject, &norms, &is_frozen)],
    };
    Ok(Figure { title: "Freezing and gradient norms", caption, drawings, tables, ..Figure::default() })
}

/// The table of changes: those of one reason at one step are one row.
fn changes(subject: &Subject, freezes: &[FreezeRow]) -> Table {
    let mut changes: BTreeMap<(u32, u32, i8, &str), Vec<String>> = BTreeMap::new();
    for FreezeRow { epoch, step, layer, diff, reason } in freezes {
        changes.entry((*epoch, *step, *diff, reason)).or_default().push(layer.to_string());
    }
    let rows = changes.into_iter().take(MOST).map(|((epoch, step, diff, reason), layers)| {
        let [epoch, step] = [epoch, step].map(|number| (u64::from(number) + 1).to_string());
        let change = if diff > 0 { "freeze" } else { "thaw" };
        vec![epoch, step, format!("[{}]", layers.join(", ")), change.to_owned(), reason.to_owned()]
    });
    let query = subject.query(include_str!("query/freezes.sql"), &[("most", &MOST.to_string())]);
    Table::new("freezes", &["epoch", "step", "layers", "change", "reason"], rows.collect(), query)
}
