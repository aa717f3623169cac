//! Whether a network does any better than guessing.

use spfde_data::{EpochRow, counted};

use super::table::precise;
use crate::Experiment;

/// How far above guessing an accuracy still counts as guessing, in standard deviations of a guess.
const CHANCE: f64 = 3.0;

/// What to say of a network that did no better in an epoch, nor on the test set after it, than one that
/// always guesses the most frequent class of the test set; `None` if it did, or if there is no test set.
pub fn guessing(experiment: &Experiment, row: &EpochRow) -> Option<String> {
    let data = &experiment.settings().data;
    let labels = &data.test.labels;
    let mut counts = vec![0_u32; data.classes];
    labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
    let guess = f64::from(counts.into_iter().max()?) / labels.len() as f64;
    // With a handful of images there is nothing to tell.
    let is_guess = |accuracy: &f64, samples: f64| {
        let bound = guess + CHANCE * (guess * (1.0 - guess) / samples).sqrt();
        *accuracy <= bound && bound < 1.0
    };
    row.train_accuracy.filter(|accuracy| is_guess(accuracy, f64::from(row.active_samples)))?;
    let accuracy = row.test_accuracy.filter(|accuracy| is_guess(accuracy, labels.len() as f64))?;
    let values = experiment.configuration().values();
    let rate = values.number("train.learning_rate");
    let usual = experiment.configuration().usual_rate();
    let advice = match rate < usual {
        true => format!("train longer, or try train.learning_rate={usual} (it is {rate})"),
        false => {
            let other = ["train.warmup", "train.clip"].into_iter().filter(|key| values.number(key) == 0.0);
            let lower = format!("train.learning_rate={} (it is {rate})", short_rate(rate / 5.0));
            let all: Vec<String> = [lower].into_iter().chain(other.map(|key| format!("{key}=1"))).collect();
            format!("try {}", all.join(" or "))
        }
    };
    Some(format!(
        "after epoch {} the network does no better than guessing: test accuracy {} with {}; {advice}",
        row.epoch + 1,
        precise(accuracy),
        counted(data.classes, "class"),
    ))
}

/// A learning rate in two digits.
fn short_rate(rate: f64) -> f64 {
    let scale = 10_f64.powf(1.0 - rate.abs().log10().floor());
    if scale.is_finite() { (rate * scale).round() / scale } else { rate }
}
