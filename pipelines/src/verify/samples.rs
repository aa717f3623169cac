//! Sieve deltas add up to the active set, and exactly the active samples train, each once an epoch. If all are observed,
//! exactly the others are, each once, after the last that trains.

use spfde_data::rows::{ScoreRow, SieveRow};
use spfde_flow::Observe;

use super::{Findings, Trace};
use crate::error::Error;

/// What is known of every sample.
pub(super) struct Samples {
    /// The weight, in bits, with which it is active.
    active: Vec<Option<u32>>,
    count: usize,
    /// Whether it had a row in the stream of the epoch in hand.
    seen: Vec<bool>,
}

impl Samples {
    /// Before the first epoch: none is active.
    pub(super) fn new(trace: &Trace<'_>) -> Self {
        let samples = usize::try_from(trace.manifest.data_set.train_rows).expect("it is below its limit");
        Self { active: vec![None; samples], count: 0, seen: vec![false; samples] }
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

    /// Adds the deltas of one epoch.
    fn sieve(&mut self, trace: &Trace<'_>, epoch: u32, findings: &mut Findings) -> Result<(), Error> {
        self.seen.fill(false);
        trace.visit::<SieveRow>(epoch, |row| {
            let weight = row.weight.to_bits();
            let place = row.sample as usize;
            if let Some(seen) = self.seen.get_mut(place) {
                if *seen {
                    findings.push(|| format!("sieves: epoch {epoch}: sample {} has two rows", row.sample));
                }
                *seen = true;
            }
            let fits = match (row.diff, self.active.get_mut(place)) {
                (1, Some(active @ None)) => {
                    *active = Some(weight);
                    self.count += 1;
                    true
                }
                (-1, Some(active)) if *active == Some(weight) => {
                    *active = None;
                    self.count -= 1;
                    true
                }
                _ => false,
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
        self.seen.fill(false);
        let mut steps = Vec::new();
        let (mut trained, mut observed, mut first_observed) = (0, 0, None::<u32>);
        // Of either kind: whether one of them was of a sample that is not, not of that kind, or the second.
        let (mut wrong_trained, mut wrong_observed) = (false, false);
        trace.visit::<ScoreRow>(epoch, |row| {
            let place = row.sample as usize;
            let first = self.seen.get_mut(place).is_some_and(|seen| !std::mem::replace(seen, true));
            let active = self.active.get(place).is_some_and(Option::is_some);
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
            Observe::Full => self.active.len() - self.count,
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
