//! Sieve deltas add up to the active set, and exactly the active samples train, each once an epoch. If all are observed,
//! exactly the others are, each once, after the last that trains.

use spfde_data::rows::{ScoreRow, SieveRow};
use spfde_flow::Observe;

use super::trace::{Epoch, Trace};
use crate::error::Error;

/// What is known of every sample.
pub(super) struct Samples {
    flags: Vec<Flags>,
    /// The weight in the loss, in bits, of the samples that are active.
    weights: Vec<u32>,
    /// How many are active.
    pub(super) active: usize,
}

/// What is known of a sample, in a byte: a replay of a few kilobytes may be about many millions.
#[derive(Clone, Copy, Debug, Default)]
struct Flags(u8);

impl Flags {
    const ACTIVE: u8 = 1;
    /// It had a row in the stream of the epoch in hand.
    const SEEN: u8 = 2;
    /// It left in the epoch in hand: it may come back with another weight.
    const LEFT: u8 = 4;

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn set(&mut self, flag: u8, on: bool) {
        self.0 = if on { self.0 | flag } else { self.0 & !flag };
    }
}

impl Samples {
    /// Before the first epoch: none is active.
    pub(super) fn new(trace: &Trace<'_>) -> Self {
        let samples = usize::try_from(trace.manifest.data_set.train_rows).expect("it is below its limit");
        // Without epochs there is nothing to keep for them.
        let samples = if trace.epochs().is_empty() { 0 } else { samples };
        Self { flags: vec![Flags::default(); samples], weights: vec![0; samples], active: 0 }
    }

    fn begin_stream(&mut self) {
        self.flags.iter_mut().for_each(|flags| flags.set(Flags::SEEN | Flags::LEFT, false));
    }

    /// Adds the deltas of the next epoch. A sample has one, or two if only its weight changes: −1 with the weight before,
    /// then +1 with another.
    pub(super) fn add(&mut self, epoch: &mut Epoch<'_>) -> Result<(), Error> {
        let (epoch, trace, findings) = (epoch.number, epoch.trace, &mut *epoch.findings);
        self.begin_stream();
        trace.visit::<SieveRow>(epoch, |SieveRow { sample, diff, weight, .. }| {
            let place = sample as usize;
            if self.flags.get(place).is_some_and(|flags| flags.has(Flags::SEEN))
                && !(diff == 1 && self.flags[place].has(Flags::LEFT) && self.weights[place] != weight.to_bits())
            {
                findings.push(format_args!(
                    "sieves: epoch {epoch}: sample {sample} has two rows that do not only change its weight"
                ));
            }
            if !self.fits(place, diff, weight) {
                findings.push(format_args!(
                    "sieves: epoch {epoch}: sample {sample} changes by {diff} with weight {weight}, which does not fit \
                     its state"
                ));
            }
        })?;
        Ok(())
    }

    /// Takes a delta, if it fits the state of its sample.
    fn fits(&mut self, place: usize, diff: i8, weight: f32) -> bool {
        let Some(flags) = self.flags.get_mut(place) else { return false };
        flags.set(Flags::SEEN, true);
        flags.set(Flags::LEFT, false);
        match (diff, flags.has(Flags::ACTIVE)) {
            (1, false) if weight.is_finite() && weight >= 0.0 => {
                flags.set(Flags::ACTIVE, true);
                self.weights[place] = weight.to_bits();
                self.active += 1;
                true
            }
            (-1, true) if self.weights[place] == weight.to_bits() => {
                flags.set(Flags::ACTIVE, false);
                flags.set(Flags::LEFT, true);
                self.active -= 1;
                true
            }
            _ => false,
        }
    }

    /// Compares the scores of one epoch with who is active. Returns the steps at which samples were trained, ascending.
    pub(super) fn check_scores(&mut self, epoch: &mut Epoch<'_>) -> Result<Vec<u32>, Error> {
        let (epoch, trace, findings) = (epoch.number, epoch.trace, &mut *epoch.findings);
        self.begin_stream();
        let mut steps = Vec::new();
        let (mut trained, mut observed, mut first_observed) = (0, 0, u32::MAX);
        // Of either kind: whether a row was of no sample, of one that is not of that kind, or the second of one.
        let (mut wrong_trained, mut wrong_observed) = (false, false);
        trace.visit::<ScoreRow>(epoch, |row| {
            let (mut first, mut active) = (false, false);
            if let Some(flags) = self.flags.get_mut(row.sample as usize) {
                (first, active) = (!flags.has(Flags::SEEN), flags.has(Flags::ACTIVE));
                flags.set(Flags::SEEN, true);
            }
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
        let (outside, expected) = match trace.observe {
            Observe::Active => (0, "nothing, by trace.observe"),
            Observe::Full => (
                self.flags.len() - self.active,
                "those outside the active set, each once, after the last step",
            ),
        };
        let early = steps.last().is_some_and(|last| first_observed <= *last);
        if wrong_observed || observed != outside || early {
            findings.push(format_args!("scores: epoch {epoch}: the observed samples are not {expected}"));
        }
        if wrong_trained || trained != self.active {
            findings.push(format_args!(
                "scores: epoch {epoch}: the trained samples are not the active ones, each once"
            ));
        }
        Ok(steps)
    }
}
