//! Sieve deltas add up to the active set, and exactly the active samples train, each once an epoch. If all
//! are observed, exactly the others are, each once, after the last that trains.

use std::mem::replace;

use spfde_data::{Row, ScoreRow, SieveRow};
use spfde_flow::Observe;

use super::{Epoch, Trace};
use crate::Result;

/// What is known of every sample; five bytes of each, since a replay of a few kilobytes may be about many
/// millions.
pub(super) struct Samples {
    /// The weight in the loss; not a number outside the active set.
    weights: Vec<f32>,
    seen: Vec<Seen>,
    /// How many are active.
    pub(super) active: usize,
}

/// What a stream has said of a sample in the epoch in hand.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    /// Nothing.
    Not,
    /// That it leaves: it may come back with another weight.
    Left,
    /// All that it may say.
    Done,
}

impl Samples {
    /// Before the first epoch: none is active.
    pub(super) fn new(trace: &Trace<'_>) -> Self {
        let samples = usize::try_from(trace.manifest.data_set.train_rows).expect("it is below its limit");
        // Without epochs there is nothing to keep for them.
        let samples = if trace.manifest.epochs_reached == 0 { 0 } else { samples };
        Self { weights: vec![f32::NAN; samples], seen: vec![Seen::Not; samples], active: 0 }
    }

    /// Adds the deltas of the next epoch. A sample has one, or two if only its weight changes: −1 with the
    /// weight before, then +1 with the weight from then on.
    pub(super) fn add(&mut self, epoch: &mut Epoch<'_>) -> Result<()> {
        self.seen.fill(Seen::Not);
        epoch.visit(|epoch, SieveRow { sample, diff, weight, .. }| {
            if let Some(seen) = self.seen.get_mut(sample as usize) {
                if *seen == Seen::Done || (*seen == Seen::Left && diff != 1) {
                    let what = format_args!("sample {sample} has two rows that are not −1, then +1");
                    epoch.find(SieveRow::STREAM, what);
                }
                *seen = if diff == -1 { Seen::Left } else { Seen::Done };
            }
            if !self.takes(sample as usize, diff, weight) {
                let change = format_args!("sample {sample} changes by {diff} with weight {weight}");
                epoch.find(SieveRow::STREAM, format_args!("{change}, which does not fit its state"));
            }
        })?;
        Ok(())
    }

    /// Whether a sample is active.
    pub(super) fn is_active(&self, sample: usize) -> bool {
        self.weights.get(sample).is_some_and(|weight| !weight.is_nan())
    }

    /// Takes a delta, if it fits the state of its sample.
    fn takes(&mut self, sample: usize, diff: i8, weight: f32) -> bool {
        let Some(held) = self.weights.get_mut(sample) else { return false };
        match diff {
            1 if held.is_nan() && weight.is_finite() && weight >= 0.0 => {
                *held = weight;
                self.active += 1;
            }
            -1 if held.to_bits() == weight.to_bits() && !held.is_nan() => {
                *held = f32::NAN;
                self.active -= 1;
            }
            _ => return false,
        }
        true
    }

    /// Compares the scores of one epoch with who is active. Returns the steps at which samples were trained,
    /// ascending.
    pub(super) fn check_scores(&mut self, epoch: &mut Epoch<'_>) -> Result<Vec<u32>> {
        self.seen.fill(Seen::Not);
        let mut steps = Vec::new();
        let (mut trained, mut observed, mut first_observed) = (0, 0, u32::MAX);
        // Of either kind: whether a row was of no sample, of one that is not of that kind, or the second of
        // one.
        let (mut wrong_trained, mut wrong_observed) = (false, false);
        epoch.visit(|_, row: ScoreRow| {
            let sample = row.sample as usize;
            let active = self.is_active(sample);
            let first = self.seen.get_mut(sample).is_some_and(|seen| replace(seen, Seen::Done) == Seen::Not);
            if row.trained {
                trained += 1;
                wrong_trained |= !first || !active;
                // Neighbours have the same step, or the one after it.
                if steps.last() != Some(&row.step) {
                    steps.push(row.step);
                }
            } else {
                observed += 1;
                wrong_observed |= !first || active;
                first_observed = first_observed.min(row.step);
            }
        })?;
        steps.sort_unstable();
        steps.dedup();
        let (outside, expected) = match epoch.trace.observe {
            Observe::Active => (0, "nothing, by trace.observe"),
            Observe::Full => (
                self.seen.len() - self.active,
                "those outside the active set, each once, after the last step",
            ),
        };
        let early = steps.last().is_some_and(|last| first_observed <= *last);
        if wrong_observed || observed != outside || early {
            epoch.find(ScoreRow::STREAM, format_args!("the observed samples are not {expected}"));
        }
        if wrong_trained || trained != self.active {
            epoch.find(ScoreRow::STREAM, "the trained samples are not the active ones, each once");
        }
        Ok(steps)
    }
}
