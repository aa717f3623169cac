//! Which weights exist: density by layer, and how many weights masks exchange.

use std::collections::BTreeMap;

use spfde_data::MaskRow;

use super::bars::opposed;
use super::figure::{Figure, Table, digits};
use super::heat::{Heat, scale};
use super::subject::Subject;
use crate::Result;

/// Numbers by layer and by an epoch that is shown.
pub(super) type ByLayer = BTreeMap<(u16, u32), f64>;

/// The density of every layer over time.
pub(super) fn density(subject: &Subject) -> Figure {
    const TITLE: &str = "Density by layer";
    let states = subject.layers.iter().filter(|state| state.weights > 0);
    let share = |nonzero: u32, weights: usize| 100.0 * f64::from(nonzero) / weights as f64;
    let densities: ByLayer =
        states.map(|state| ((state.layer, state.epoch), share(state.nonzero, state.weights))).collect();
    if densities.is_empty() {
        return Figure::absent(TITLE, "Not known: no layers are recorded.");
    }
    // The rows of a replay lack the number of weights.
    let known: BTreeMap<u16, usize> =
        subject.layers.iter().map(|state| (state.layer, state.weights)).collect();
    let cases = known.iter().map(|(layer, weights)| format!("WHEN {layer} THEN {weights} "));
    let weights = match subject.is_replay() {
        true => format!("CASE layer {}END", cases.collect::<String>()),
        false => "weights".to_owned(),
    };
    let (shown, rows) = table(subject, &densities, 2);
    let more = [("weights", &*weights), ("shown_layers", &shown.join(", "))];
    let query = subject.query(include_str!("query/density.sql"), &more);
    let range = scale(densities.values().copied(), 1);
    Figure {
        title: TITLE,
        caption: format!(
            "Weights that exist in each layer at the end of an epoch, in percent of those of the dense \
             layer, on a logarithmic scale ({range})."
        ),
        drawings: vec![map(subject, &densities, &|_, _| false)],
        tables: vec![by_layer("", &shown, rows, query)],
        ..Figure::default()
    }
}

/// A map of numbers.
pub(super) fn map(subject: &Subject, values: &ByLayer, is_struck: &dyn Fn(u16, u32) -> bool) -> String {
    let (layers, rows) = subject.shown_layers();
    let epochs: Vec<u32> = subject.epochs.shown().collect();
    let columns: Vec<String> = epochs.iter().map(|epoch| (epoch + 1).to_string()).collect();
    let heat = Heat {
        rows: &rows,
        columns: &columns,
        title: "epoch",
        value: &|row, column| values.get(&(layers[row], epochs[column])).copied(),
        is_struck: &|row, column| is_struck(layers[row], epochs[column]),
        written: false,
    };
    heat.draw()
}

/// The layers that are shown, and a row for each epoch: its number, and one for each of these layers.
pub(super) fn table(
    subject: &Subject,
    values: &ByLayer,
    precision: usize,
) -> (Vec<String>, Vec<Vec<String>>) {
    let (layers, _) = subject.shown_layers();
    let has_any = |epoch: &u32| layers.iter().any(|layer| values.contains_key(&(*layer, *epoch)));
    let rows = subject.epochs.shown().filter(has_any).map(|epoch| {
        let value = |layer: &u16| digits(values.get(&(*layer, epoch)).copied(), precision);
        std::iter::once((epoch + 1).to_string()).chain(layers.iter().map(value)).collect()
    });
    (layers.iter().map(u16::to_string).collect(), rows.collect())
}

/// A table with a column for each layer.
pub(super) fn by_layer(title: &str, shown: &[String], rows: Vec<Vec<String>>, query: String) -> Table {
    let heads: Vec<&str> = std::iter::once("epoch").chain(shown.iter().map(String::as_str)).collect();
    Table::new(title, &heads, rows, query)
}

/// The weights that masks drop and grow.
///
/// # Errors
/// If the deltas cannot be read.
pub(super) fn churn(subject: &Subject) -> Result<Figure> {
    let mut changes: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    subject.visit::<MaskRow>(|row| {
        if (row.epoch, row.step) > (0, 0) {
            let (grown, dropped) = changes.entry(subject.epochs.last(row.epoch)).or_default();
            *(if row.diff < 0 { dropped } else { grown }) += 1;
        }
    })?;
    let rows = subject.shown().filter_map(|row| {
        let (grown, dropped) = changes.get(&row.epoch)?;
        let share = digits(Some(100.0 * *grown as f64 / row.nonzero as f64), 2);
        Some(vec![(row.epoch + 1).to_string(), dropped.to_string(), grown.to_string(), share])
    });
    let query = subject.query(include_str!("query/churn.sql"), &[]);
    let heads = ["epoch", "dropped", "grown", "grown_percent"];
    let table = Table::new("", &heads, rows.collect(), query);
    let told = [
        "Weights that masks exchange",
        "Weights that begin to exist (above) and cease to exist (below) in each epoch, without the masks at \
         the start; in percent: the share that is new among all weights that exist.",
        "No mask changed after the start of the run.",
    ];
    Ok(opposed(subject.epochs, &changes, told, ["grown", "dropped"], "weights", table))
}
