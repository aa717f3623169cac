//! Sieve deltas add up to the active set, and exactly the active samples train, each once an epoch. If all are observed,
//! exactly the others are, each once, after the last that trains.

use spfde_data::rows::{ScoreRow, SieveRow};
use spfde_flow::Observe;

use super::{Findings, Trace};
use crate::error::Error;

/// What is known of every sample.
pub(super) struct Samples {
    flags: Vec<Flags>,
    /// The weight, in bits, of those that are active.
    weights: Vec<u32>,
    /// How many are active.
    count: usize,
}

/// What is known of a sample. In a byte: a replay of a few kilobytes may be about many millions.
#[derive(Clone, Copy, Debug, Default)]
struct Flags(u8);

impl Flags {
    const ACTIVE: u8 = 1;
    /// It had a row in the stream of the epoch in hand.
    const SEEN: u8 = 2;

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
        // There is nothing to keep for them before there are epochs.
        let samples = if trace.epochs().is_empty() { 0 } else { samples };
        Self { flags: vec![Flags::default(); samples], weights: vec![0; samples], count: 0 }
    }

    /// Adds the deltas of the next epoch, and compares its scores with them; returns the steps at which samples were
    /// trained, ascending. A replay has no scores.
    pub(super) fn check(
        &mut self,
        trace: &Trace<'_>,
        epoch: u32,
        observe: Observe,
        findings: &mut Findings,
    ) -> Result<Vec<u32>, Error> {
        self.sieve(trace, epoch, findings)?;
        if let Some(row) = trace.epoch(epoch, findings)?
            && row.active_samples as usize != self.count
        {
            let (found, count) = (row.active_samples, self.count);
            findings.push(|| {
                format!(
                    "epochs: epoch {epoch} has {found} active samples, the sieve deltas add up to {count}"
                )
            });
        }
        match trace.is_replay() {
            true => Ok(Vec::new()),
            false => self.scores(trace, epoch, observe, findings),
        }
    }

    fn nobody_seen(&mut self) {
        self.flags.iter_mut().for_each(|flags| flags.set(Flags::SEEN, false));
    }

    /// Adds the deltas of one epoch.
    fn sieve(&mut self, trace: &Trace<'_>, epoch: u32, findings: &mut Findings) -> Result<(), Error> {
        self.nobody_seen();
        trace.visit::<SieveRow>(epoch, |row| {
            let (weight, place) = (row.weight.to_bits(), row.sample as usize);
            let fits = match self.flags.get_mut(place) {
                None => false,
                Some(flags) => {
                    if flags.has(Flags::SEEN) {
                        findings
                            .push(|| format!("sieves: epoch {epoch}: sample {} has two rows", row.sample));
                    }
                    flags.set(Flags::SEEN, true);
                    match (row.diff, flags.has(Flags::ACTIVE)) {
                        (1, false) => {
                            flags.set(Flags::ACTIVE, true);
                            self.weights[place] = weight;
                            self.count += 1;
                            true
                        }
                        (-1, true) if self.weights[place] == weight => {
                            flags.set(Flags::ACTIVE, false);
                            self.count -= 1;
                            true
                        }
                        _ => false,
                    }
                }
            };
            if !fits {
                findings.push(|| {
                    format!(
                        "sieves: epoch {epoch}: sample {} changes by {} with weight {}, which does not fit its state",
                        row.sample, row.diff, row.weight
                    )
                });
            }
        })?;
        Ok(())
    }

    /// Compares the scores of one epoch with who is active: all that are train, once, and of the others each is observed
    /// once, after the last step, or none. Returns the steps of training.
    fn scores(
        &mut self,
        trace: &Trace<'_>,
        epoch: u32,
        observe: Observe,
        findings: &mut Findings,
    ) -> Result<Vec<u32>, Error> {
        self.nobody_seen();
        let mut steps = Vec::new();
        let (mut trained, mut observed, mut first_observed) = (0, 0, None::<u32>);
        // Of either kind: whether one of them was of a sample that is not, not of that kind, or the second.
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
                first_observed = Some(first_observed.map_or(row.step, |step| step.min(row.step)));
            }
        })?;
        steps.sort_unstable();
        steps.dedup();
        let outside = match observe {
            Observe::Active => 0,
            Observe::Full => self.flags.len() - self.count,
        };
        let early = first_observed.is_some_and(|first| steps.last().is_some_and(|last| first <= *last));
        if wrong_observed || observed != outside || early {
            let expected = match observe {
                Observe::Active => "nothing, by trace.observe",
                Observe::Full => "those outside the active set, each once, after the last step",
            };
            findings.push(|| format!("scores: epoch {epoch}: the observed samples are not {expected}"));
        }
        if wrong_trained || trained != self.count {
            findings.push(|| {
                format!("scores: epoch {epoch}: the trained samples are not the active ones, each once")
            });
        }
        Ok(steps)
    }
}
