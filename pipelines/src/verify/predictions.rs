//! Every sample of a recorded set has one predicted class in each epoch, and they are right as often as the
//! epoch, or the sample's score, says.

use spfde_data::files::RecordedRun;
use spfde_data::{DataSet, EpochRow, PredictionRow, Row, ScoreRow, counted};
use spfde_flow::Observe;

use super::trace::{Epoch, Findings};
use crate::data::data_of_run;
use crate::{Configuration, Result};

/// The sets that predictions are about.
const SETS: [&str; 3] = [PredictionRow::TEST, PredictionRow::TRAIN, PredictionRow::VALIDATION];

/// The recorded predictions of a run.
pub(super) struct Predictions {
    /// The data with the labels, if it is still there.
    data: Option<DataSet>,
}

impl Predictions {
    /// Of a run, which records them. Without its data set the labels are not checked, as `findings` tells.
    pub(super) fn of(run: &RecordedRun, configuration: &Configuration, findings: &mut Findings) -> Self {
        let data = data_of_run(run, configuration).map_err(|why| {
            let path = configuration.values().text("data.path");
            let what = format!("which predictions are right: the data set of the run, data.path = {path:?}");
            findings.unchecked = Some(format!("{what}, cannot be used: {why}"));
        });
        Self { data: data.ok() }
    }

    /// Compares the predictions of one epoch with its sets, and with its row of `epochs` and its scores.
    pub(super) fn check(&self, whole: Option<&EpochRow>, epoch: &mut Epoch<'_>) -> Result<()> {
        let record = &epoch.trace.manifest.data_set;
        let segments = epoch.trace.manifest.segments_at(PredictionRow::STREAM, epoch.number);
        let rows = segments.iter().map(|segment| segment.rows).sum::<u64>() as usize;
        // There are no more samples than rows, whatever sizes the manifest claims.
        let mut found = SETS.map(|_| vec![None; rows]);
        let mut counts = [0_u64; SETS.len()];
        let mut wrong = None;
        let classes = record.classes;
        epoch.visit(|_, PredictionRow { set, sample, class, .. }| {
            let known = class == PredictionRow::NONE || usize::from(class) < classes;
            let place = SETS.iter().position(|name| *name == set).filter(|_| known);
            let cell = place.and_then(|set| Some((set, found[set].get_mut(sample as usize)?)));
            match cell {
                Some((set, cell @ None)) => {
                    *cell = Some(class);
                    counts[set] += 1;
                }
                _ => wrong = Some(format!("sample {sample} of set {set:?}, class {class}, does not fit")),
            }
        })?;
        wrong.into_iter().for_each(|what| epoch.find(PredictionRow::STREAM, what));
        let observed = if epoch.trace.observe == Observe::Full { record.train_rows } else { 0 };
        let validated = self.data.as_ref().map_or(counts[2], |data| data.validation.len() as u64);
        for ((set, count), expected) in SETS.iter().zip(counts).zip([record.test_rows, observed, validated]) {
            if count != expected {
                let what = format!("set {set} has classes of {count} of {}", counted(expected, "sample"));
                epoch.find(PredictionRow::STREAM, what);
            }
        }
        let (Some(data), Some(whole)) = (&self.data, whole) else { return Ok(()) };
        let accuracies =
            [(0, &data.test, whole.test_accuracy), (2, &data.validation, whole.validation_accuracy)];
        for (set, images, accuracy) in accuracies {
            let right =
                found[set].iter().zip(&images.labels).filter(|(class, label)| **class == Some(**label));
            let share = right.count() as f64 / images.len() as f64;
            if !images.is_empty() && accuracy != Some(share) {
                let what = format!("set {}: {share} of it is right, not {accuracy:?}", SETS[set]);
                epoch.find(PredictionRow::STREAM, what);
            }
        }
        if observed == 0 {
            return Ok(());
        }
        let (labels, mut differs) = (&data.train.labels, None);
        epoch.visit(|_, ScoreRow { sample, correct, .. }| {
            let place = sample as usize;
            if found[1].get(place).is_some_and(|class| (*class == labels.get(place).copied()) != correct) {
                differs = Some(sample);
            }
        })?;
        if let Some(sample) = differs {
            epoch.find(PredictionRow::STREAM, format!("sample {sample} of set train: its score disagrees"));
        }
        Ok(())
    }
}
