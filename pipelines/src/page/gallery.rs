//! The samples that stand out, as pictures.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use spfde_data::files::picture::png;
use spfde_data::{Images, PredictionRow};

use super::confusion::predictions;
use super::figure::{Figure, Picture, Table, digits};
use super::samples::{Sample, Samples};
use super::subject::Subject;
use crate::trained::{Prediction, TrainedNetwork};
use crate::{Registry, Result};

/// Samples of each kind.
const SHOWN: usize = 12;

/// Rows and columns of a picture at most: larger ones are scaled down.
const SIDE: u32 = 48;

/// The hardest, the easiest and the most often exchanged samples.
///
/// # Errors
/// If the predictions cannot be read.
pub(super) fn figure(registry: &Arc<Registry>, subject: &Subject, samples: &Samples) -> Result<Figure> {
    let mean = |sample: &Sample| sample.loss / sample.scored as f64;
    let all = || samples.all.iter().map(|(number, sample)| (*number, sample));
    let mut scored: Vec<(u32, &Sample)> = all().filter(|(_, sample)| sample.scored > 0).collect();
    // By number where they are alike: the order is kept.
    scored.sort_by(|left, right| mean(left.1).total_cmp(&mean(right.1)));
    let easy = first(&scored);
    scored.sort_by(|(_, left), (_, right)| {
        right.wrong.cmp(&left.wrong).then(mean(right).total_cmp(&mean(left)))
    });
    let hard = first(&scored);
    let moves = |sample: &Sample| sample.entering + sample.leaving;
    let mut moved: Vec<(u32, &Sample)> = all().filter(|(_, sample)| moves(sample) > 0).collect();
    moved.sort_by_key(|(_, sample)| Reverse(moves(sample)));
    let groups = [("hardest", hard), ("easiest", easy), (EXCHANGED, first(&moved))];
    let groups: Vec<_> = groups.into_iter().filter(|(_, group)| !group.is_empty()).collect();
    if groups.is_empty() {
        return Ok(Figure::absent(TITLE, "Not known: no scores are recorded, and the sieve exchanged none."));
    }
    let numbers: Vec<u32> = groups.iter().flat_map(|(_, group)| group).map(|(number, _)| *number).collect();
    let (pictures, note) = pictures(registry, subject, &numbers)
        .unwrap_or_else(|why| (BTreeMap::new(), format!("There are no pictures: {why}.")));
    let with_pictures = groups.iter().map(|(name, group)| {
        let of = group.iter().filter_map(|(number, _)| pictures.get(number).cloned());
        (format!("The {name} samples"), of.collect::<Vec<_>>())
    });
    Ok(Figure {
        title: TITLE,
        caption: format!(
            "The hardest were wrong most often, then have the greatest mean loss; the easiest have the least \
             mean loss; the most often exchanged entered and left training most often. {note}"
        ),
        pictures: with_pictures.filter(|(_, pictures)| !pictures.is_empty()).collect(),
        tables: groups.iter().map(|(name, group)| table(subject, name, group)).collect(),
        ..Figure::default()
    })
}

const TITLE: &str = "Samples that stand out";

const EXCHANGED: &str = "most often exchanged";

/// Those that are shown.
fn first<T: Copy>(of: &[T]) -> Vec<T> {
    of.iter().take(SHOWN).copied().collect()
}

/// The table of a group of samples.
fn table(subject: &Subject, name: &str, group: &[(u32, &Sample)]) -> Table {
    let most = ("most", &*SHOWN.to_string());
    if name == EXCHANGED {
        let rows = group.iter().map(|(number, sample)| {
            [u64::from(*number), sample.entering, sample.leaving].map(|of| of.to_string()).into()
        });
        let query = subject.query(include_str!("query/exchanged.sql"), &[most]);
        return Table::new(name, &["sample", "entering", "leaving"], rows.collect(), query);
    }
    let rows = group.iter().map(|(number, sample)| {
        let loss = digits(Some(sample.loss / sample.scored as f64), 4);
        vec![number.to_string(), sample.scored.to_string(), sample.wrong.to_string(), loss]
    });
    let (order, direction) = if name == "hardest" { ("wrong DESC, ", " DESC") } else { ("", "") };
    let more = [most, ("order", order), ("direction", direction)];
    let query = subject.query(include_str!("query/scored.sql"), &more);
    Table::new(name, &["sample", "scored", "wrong", "loss"], rows.collect(), query)
}

/// The pictures of samples, and in words whose predictions stand below them.
///
/// # Errors
/// Why there are none.
fn pictures(
    registry: &Arc<Registry>,
    subject: &Subject,
    samples: &[u32],
) -> Result<(BTreeMap<u32, Picture>, String), String> {
    let train = &subject.data()?.train;
    if train.is_table() {
        return Err("the samples are rows of a table".to_owned());
    }
    let known: Vec<u32> = samples.iter().copied().filter(|sample| (*sample as usize) < train.len()).collect();
    let (held, places) = train.at_hand(&known).map_err(|error| error.to_string())?;
    let places: Vec<usize> = places.iter().map(|place| *place as usize).collect();
    let images = held.selected(&places);
    let recorded = predictions(subject, PredictionRow::TRAIN).map_err(|error| error.to_string())?;
    let (predicted, note) = match recorded.is_empty() {
        false => {
            let of = |sample: &u32| recorded.get(sample).copied();
            (known.iter().map(of).collect(), "The predicted classes are those of the last epoch's trace.")
        }
        true => match network(registry, subject, &images) {
            Some(classes) => {
                let note = "The classes are predicted by the weights that the run committed last.";
                (classes.into_iter().map(Some).collect(), note)
            }
            None => (vec![None; known.len()], "There are no weights that would predict a class."),
        },
    };
    let shape = [images.channels, images.height, images.width];
    let described = known.iter().enumerate().map(|(place, sample)| {
        let class = match predicted[place] {
            None => "–".to_owned(),
            // Its logits are not finite.
            Some(PredictionRow::NONE) => "no class".to_owned(),
            Some(class) => subject.class(usize::from(class)),
        };
        let label = subject.class(usize::from(images.labels[place]));
        let lines = vec![format!("sample {sample}"), format!("is {label}"), format!("taken for {class}")];
        let png = BASE64_STANDARD.encode(png(images.image(place), shape, SIDE));
        (*sample, Picture { png, lines })
    });
    Ok((described.collect(), note.to_owned()))
}

/// The classes that the network of a run takes images for, if it has weights.
fn network(registry: &Arc<Registry>, subject: &Subject, images: &Images) -> Option<Vec<u16>> {
    let trained = TrainedNetwork::open(registry, subject.run.path()).ok()?;
    let logits = trained.logits(images, &trained.normalization().ok()?).ok()?;
    let class = |logits: &Vec<f64>| {
        let prediction = Prediction::of(logits);
        if prediction.is_finite() { prediction.class as u16 } else { PredictionRow::NONE }
    };
    Some(logits.iter().map(class).collect())
}
