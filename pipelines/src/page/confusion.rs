//! Which classes the network takes for which.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use spfde_data::PredictionRow;

use super::figure::{Figure, Table};
use super::heat::Heat;
use super::subject::{Subject, literal, quoted};
use crate::Result;
use crate::replay::rows;

/// Classes of which a matrix is drawn at most.
const DRAWN: usize = 40;

/// Pairs of classes that the table has at most.
const MOST: usize = 1600;

/// The classes that samples of a set are taken for in the last epoch.
///
/// # Errors
/// If the predictions cannot be read.
pub(super) fn predictions(subject: &Subject, set: &str) -> Result<BTreeMap<u32, u16>> {
    let epochs = subject.manifest().epochs_reached;
    let rows =
        rows::<PredictionRow>(subject.run.path(), subject.manifest(), epochs.saturating_sub(1)..epochs)?;
    let of_set = rows.into_iter().filter(|row| row.set == set);
    Ok(of_set.map(|row| (row.sample, row.class)).collect())
}

/// The confusion matrix of the test set after the last epoch.
///
/// # Errors
/// If the predictions cannot be read.
pub(super) fn figure(subject: &Subject) -> Result<Figure> {
    const TITLE: &str = "Confusion matrix";
    let predicted = predictions(subject, PredictionRow::TEST)?;
    if predicted.is_empty() {
        let why = match subject.is_replay() {
            true => "Not recorded: a replay trains no network.",
            false => {
                "Not recorded: a run with trace.predictions=true has it; spfde evaluate computes it now."
            }
        };
        return Ok(Figure::absent(TITLE, why));
    }
    let test = match subject.data() {
        Ok(data) => &data.test,
        Err(why) => {
            let why = format!("Not known: the labels are in the data set, which cannot be used: {why}.");
            return Ok(Figure::absent(TITLE, why));
        }
    };
    let mut counts: BTreeMap<(u16, u16), u64> = BTreeMap::new();
    for (sample, class) in predicted {
        if let Some(label) = test.labels.get(sample as usize) {
            *counts.entry((*label, class)).or_default() += 1;
        }
    }
    let classes = subject.manifest().data_set.classes;
    let names: Vec<String> = (0..classes.min(DRAWN)).map(|class| subject.class(class)).collect();
    let short: Vec<String> = names.iter().map(|name| format!("{name:.6}")).collect();
    let heat = Heat {
        rows: &names,
        columns: &short,
        title: "predicted class",
        value: &|label, class| counts.get(&(label as u16, class as u16)).map(|count| *count as f64),
        is_struck: &|_, _| false,
        written: true,
    };
    let drawings = if classes <= DRAWN { vec![heat.draw()] } else { Vec::new() };
    let mut pairs: Vec<((u16, u16), u64)> = counts.iter().map(|(pair, count)| (*pair, *count)).collect();
    pairs.sort_by_key(|(pair, count)| (Reverse(*count), *pair));
    pairs.truncate(MOST);
    let rows = pairs.iter().map(|((label, class), count)| {
        [u64::from(*label), u64::from(*class), *count].map(|number| number.to_string()).into()
    });
    let directory = subject.settings.as_ref().map(|(configuration, _)| configuration.data_path());
    let file = directory.unwrap_or_default().join("test.parquet");
    let test = quoted(&literal(&file.display().to_string()));
    let epoch = subject.manifest().epochs_reached.saturating_sub(1).to_string();
    let more = [("epoch", &*epoch), ("test", &test), ("most", &MOST.to_string())];
    let query = subject.query(include_str!("query/confusion.sql"), &more);
    let lost = match counts.keys().any(|(_, class)| *class == PredictionRow::NONE) {
        true => " Of images whose logits are not finite the table has no class, but 65535.",
        false => "",
    };
    Ok(Figure {
        title: TITLE,
        caption: format!(
            "Test images of each class (rows) by the class that the network takes them for after epoch {} \
             (columns); the colour follows the logarithm. The query reads the labels in the directory of the \
             data set (the embedded one: data/fashion-mnist of the source).{lost}",
            subject.manifest().epochs_reached
        ),
        drawings,
        tables: vec![Table::new("", &["label", "predicted", "images"], rows.collect(), query)],
        ..Figure::default()
    })
}
