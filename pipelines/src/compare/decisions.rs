//! Where two runs first decide differently, and by what evidence.

use std::cmp::Ordering;
use std::path::Path;

use serde_json::{Value as Json, json};
use spfde_data::files::{RecordedRun, RunDirectory, plausible};
use spfde_data::{FreezeRow, LayerRow, MaskRow, MaskUpdateRow, Row, SieveRow};

use crate::Result;
use crate::replay::rows;

/// A stream of decisions of two runs, compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The stream: `masks`, `freezes` or `sieves`.
    pub stream: &'static str,
    /// Epochs in which both decide the same, from the first on.
    pub same: u32,
    /// Epochs that both have, and of which both recorded the stream.
    pub epochs: u32,
    /// The first difference, if there is one.
    pub difference: Option<Difference>,
}

/// The first row of a stream, in its order, that one run has and the other has not.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Step, from 0; a sieve decides at the first one.
    pub step: u32,
    /// The layer and its name, where it is known; a sieve has none.
    pub layer: Option<(u16, Option<String>)>,
    /// The weight of the layer of which a mask decides.
    pub index: Option<u32>,
    /// The sample of which a sieve decides.
    pub sample: Option<u32>,
    /// Rows of this epoch that only one of the runs has.
    pub rows: usize,
    /// What each of the runs decides.
    pub said: [Said; 2],
}

/// What a run decides, and its evidence.
#[derive(Clone, Debug)]
pub struct Said {
    /// In words.
    pub decides: String,
    /// Why, in words, as far as it is recorded.
    pub evidence: Option<String>,
    /// The row of the stream; null if the run has none.
    pub row: Json,
}

/// Compares the decisions of the runs in two directories, of which either may be a replay: masks, freezes and
/// sieves, epoch by epoch, as far as both are committed. Evidence is no decision: reasons and keys may
/// differ.
///
/// # Errors
/// If one is no run, or a table cannot be read.
pub fn decisions(directories: [&Path; 2]) -> Result<Vec<Compared>> {
    let [a, b] = directories.map(RunDirectory::open);
    let runs = [a?, b?];
    for run in &runs {
        plausible::rows(run.path(), run.manifest())?;
    }
    let found = [
        compared::<MaskRow>(&runs, Clone::clone, masks)?,
        compared::<FreezeRow>(&runs, |row| FreezeRow { reason: String::new(), ..row.clone() }, freezes)?,
        compared::<SieveRow>(&runs, |row| SieveRow { key: 0, ..row.clone() }, sieves)?,
    ];
    Ok(found.into())
}

/// Compares a stream; `bare` leaves of a row what is decided, `say` puts what a run says at the place of the
/// first difference into words, given the row that some run has there and the run's own.
fn compared<R: Row + PartialEq>(
    runs: &[RecordedRun; 2],
    bare: impl Fn(&R) -> R,
    say: impl Fn(&R, &RecordedRun, Option<&R>) -> Result<(String, Option<String>)>,
) -> Result<Compared> {
    let recorded = |run: &RecordedRun| {
        let epochs = 0..run.manifest().epochs_reached;
        epochs.take_while(|epoch| !run.manifest().segments_at(R::STREAM, *epoch).is_empty()).count() as u32
    };
    let epochs = runs.iter().map(recorded).min().unwrap_or(0);
    for epoch in 0..epochs {
        let read =
            |run: &RecordedRun| -> Result<Vec<R>> { Ok(rows(run.path(), run.manifest(), epoch..epoch + 1)?) };
        let [of_a, of_b] = [read(&runs[0])?, read(&runs[1])?];
        let Some((first, count)) = first(&of_a, &of_b, &bare) else { continue };
        let at = first[0].or(first[1]).expect("one of the runs has a row there");
        // Its place: step, layer and weight, or of a sieve the sample.
        let [_, step, layer, index] = at.order();
        let (is_sieve, is_mask) = (R::STREAM == SieveRow::STREAM, R::STREAM == MaskRow::STREAM);
        let mut said = Vec::new();
        for (run, row) in runs.iter().zip(first) {
            let (decides, evidence) = say(at, run, row)?;
            said.push(Said { decides, evidence, row: json!(row) });
        }
        let difference = Some(Difference {
            epoch,
            step: if is_sieve { 0 } else { step as u32 },
            layer: (!is_sieve).then(|| (layer as u16, runs.iter().find_map(|run| name(run, layer as u16)))),
            index: is_mask.then_some(index as u32),
            sample: is_sieve.then_some(step as u32),
            rows: count,
            said: said.try_into().expect("there are two runs"),
        });
        return Ok(Compared { stream: R::STREAM, same: epoch, epochs, difference });
    }
    Ok(Compared { stream: R::STREAM, same: epochs, epochs, difference: None })
}

/// The first decision that only one of two tables has, and what the other has at its place; and how many
/// rows only one of them has. Both are in their order.
fn first<'a, R: Row + PartialEq>(
    a: &'a [R],
    b: &'a [R],
    bare: impl Fn(&R) -> R,
) -> Option<([Option<&'a R>; 2], usize)> {
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    let (mut first, mut count) = (None, 0);
    loop {
        let pair = match (left.peek(), right.peek()) {
            (None, None) => return first.map(|first| (first, count)),
            (Some(_), None) => [left.next(), None],
            (None, Some(_)) => [None, right.next()],
            (Some(one), Some(other)) => match one.order().cmp(&other.order()) {
                Ordering::Less => [left.next(), None],
                Ordering::Greater => [None, right.next()],
                Ordering::Equal => [left.next(), right.next()],
            },
        };
        let same = matches!(pair, [Some(one), Some(other)] if bare(one) == bare(other));
        if !same {
            first = first.or(Some(pair));
            count += pair.iter().flatten().count();
        }
    }
}

/// The name of a layer, where a run records it.
fn name(run: &RecordedRun, layer: u16) -> Option<String> {
    let layers: Vec<LayerRow> = rows(run.path(), run.manifest(), 0..1).ok()?;
    layers.into_iter().find(|row| row.layer == layer).map(|row| row.name)
}

/// What a mask decides of a weight; the numbers of the layer's update are its evidence.
fn masks(at: &MaskRow, run: &RecordedRun, row: Option<&MaskRow>) -> Result<(String, Option<String>)> {
    let decides = match row.map(|row| row.diff) {
        None if (at.epoch, at.step) == (0, 0) => "begins without the weight",
        None => "leaves the weight as it is",
        Some(diff) if diff > 0 && (at.epoch, at.step) == (0, 0) => "begins with the weight",
        Some(diff) if diff > 0 => "grows the weight",
        Some(_) => "drops the weight",
    };
    let updates: Vec<MaskUpdateRow> = rows(run.path(), run.manifest(), at.epoch..at.epoch + 1)?;
    let here = |row: &&MaskUpdateRow| (row.step, row.layer) == (at.step, at.layer);
    let evidence = updates.iter().find(here).map(|MaskUpdateRow { dropped, grown, threshold, .. }| {
        let up_to = threshold.map_or_else(String::new, |most| format!(", of magnitudes up to {most}"));
        format!("the layer drops {dropped} weights{up_to}, and grows {grown}")
    });
    Ok((decides.to_owned(), evidence))
}

/// What is decided of a layer; the reason is the evidence, of a run that decides later the one that it has
/// then.
fn freezes(at: &FreezeRow, run: &RecordedRun, row: Option<&FreezeRow>) -> Result<(String, Option<String>)> {
    let verb = |row: &FreezeRow| if row.diff > 0 { "freezes" } else { "thaws" };
    if let Some(row) = row {
        return Ok((format!("{} the layer", verb(row)), Some(row.reason.clone())));
    }
    let all: Vec<FreezeRow> = rows(run.path(), run.manifest(), at.epoch..run.manifest().epochs_reached)?;
    let later = all.iter().find(|row| row.layer == at.layer && row.order() > at.order());
    let evidence = match later {
        Some(row) => format!("{} it at {}: {}", verb(row), moment(row.epoch, row.step), row.reason),
        None => "decides nothing else of it later".to_owned(),
    };
    Ok(("leaves the layer as it is".to_owned(), Some(evidence)))
}

/// What is decided of a sample; the keys by which it was ranked are the evidence.
fn sieves(at: &SieveRow, run: &RecordedRun, _: Option<&SieveRow>) -> Result<(String, Option<String>)> {
    let all: Vec<SieveRow> = rows(run.path(), run.manifest(), at.epoch..at.epoch + 1)?;
    let keys = || all.iter().filter(|row| row.diff < 0).map(|row| row.key);
    let cut = keys().min().zip(keys().max());
    let cut = cut.map(|(least, most)| format!("{} leave, with keys from {least} to {most}", keys().count()));
    // A sample of which only the weight in the loss changes leaves and enters at once.
    let own = |diff: i8| all.iter().find(|row| row.sample == at.sample && row.diff.signum() == diff);
    Ok(match (own(-1), own(1)) {
        (None, None) if at.epoch == 0 => ("begins without the sample".to_owned(), cut),
        (None, None) => ("leaves the sample where it is".to_owned(), cut),
        (Some(_), Some(row)) => (format!("changes the sample's weight in the loss to {}", row.weight), cut),
        (None, Some(row)) => (format!("takes the sample in, with weight {}", row.weight), cut),
        (Some(row), None) => {
            let own = format!("its key is {}", row.key);
            ("takes the sample out".to_owned(), Some(cut.map_or(own.clone(), |cut| format!("{own}; {cut}"))))
        }
    })
}

/// A moment for people.
fn moment(epoch: u32, step: u32) -> String {
    format!("epoch {}, step {}", u64::from(epoch) + 1, u64::from(step) + 1)
}

impl Compared {
    /// What was found, in words; `names` are those of the runs.
    pub fn lines(&self, names: [&str; 2]) -> Vec<String> {
        let Self { stream, same, epochs, difference } = self;
        let Some(found) = difference else {
            return vec![match epochs {
                0 => format!("{stream}: not recorded by both"),
                _ => format!("{stream}: the same in all {epochs} epochs"),
            }];
        };
        let mut place = moment(found.epoch, found.step);
        if let Some((layer, name)) = &found.layer {
            place += &format!(", layer {layer}");
            place += &name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        }
        place += &found.index.map_or_else(String::new, |index| format!(", weight {index}"));
        place += &found.sample.map_or_else(String::new, |sample| format!(", sample {sample}"));
        let head = format!("{stream}: the same in {same} epochs, then they differ first at {place}");
        let head = format!("{head} (rows of this epoch that only one has: {})", found.rows);
        let said = names.iter().zip(&found.said).map(|(name, Said { decides, evidence, .. })| {
            let evidence = evidence.as_ref().map_or_else(String::new, |evidence| format!(": {evidence}"));
            format!("  {name} {decides}{evidence}")
        });
        [head].into_iter().chain(said).collect()
    }

    /// The same for programs; epochs and steps from 0, as in the trace.
    pub fn json(&self, names: [&str; 2]) -> Json {
        let difference = self.difference.as_ref().map(|found| {
            let runs = names.iter().zip(&found.said).map(|(name, said)| {
                json!({"run": name, "decides": said.decides, "evidence": said.evidence, "row": said.row})
            });
            json!({
                "epoch": found.epoch, "step": found.step,
                "layer": found.layer.as_ref().map(|(layer, _)| layer),
                "index": found.index, "sample": found.sample, "rows": found.rows,
                "runs": runs.collect::<Vec<_>>(),
            })
        });
        json!({"stream": self.stream, "epochs": self.epochs, "same": self.same, "difference": difference})
    }
}
