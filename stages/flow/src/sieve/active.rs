//! Who is active, of one worker's samples.

use serde::{Deserialize, Serialize};
use spfde_data::rows::SieveRow;

/// A sieve in one epoch. Of bare scores the sieves are the members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MemberRow {
    /// Epoch, from 0.
    pub epoch: u32,
    /// The sieve's place in the grid.
    pub member: u32,
    /// Samples in its active set.
    pub active: u32,
    /// Those that entered at the epoch's start, beyond the initial set.
    pub entered: u32,
    /// Those that left at the epoch's start.
    pub left: u32,
    /// Active samples that have no score in the epoch.
    pub unscored: u32,
    /// Of a run: samples that are in or out as they were recorded.
    pub as_recorded: u32,
}

impl MemberRow {
    /// Adds what another worker says of the same epoch and sieve.
    pub(crate) fn add(&mut self, other: &Self) {
        self.active += other.active;
        self.entered += other.entered;
        self.left += other.left;
        self.unscored += other.unscored;
        self.as_recorded += other.as_recorded;
    }
}

/// The samples of one worker: those whose number leaves the worker's index when divided by the number of
/// workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    samples: u32,
    worker: u32,
    workers: u32,
}

impl Share {
    /// The share of `worker`, of `workers`.
    pub(crate) fn new(samples: u32, worker: usize, workers: usize) -> Self {
        Self { samples, worker: worker as u32, workers: workers as u32 }
    }

    /// How many there are.
    pub(crate) fn len(self) -> u32 {
        self.samples.saturating_sub(self.worker).div_ceil(self.workers)
    }

    /// The worker that owns a sample.
    pub(crate) fn owner(self, sample: u32) -> u32 {
        if self.workers == 1 { 0 } else { sample % self.workers }
    }

    /// Where a sample is among those of its owner.
    pub(crate) fn index(self, sample: u32) -> u32 {
        if self.workers == 1 { sample } else { sample / self.workers }
    }

    /// Whether a sample is this worker's.
    pub(crate) fn has(self, sample: u32) -> bool {
        sample < self.samples && self.owner(sample) == self.worker
    }

    /// Whether it is that of worker 0.
    pub(crate) fn is_first(self) -> bool {
        self.worker == 0
    }

    /// This worker's sample at an index.
    pub(crate) fn sample(self, index: u32) -> u32 {
        index * self.workers + self.worker
    }
}

/// Which samples have a score in the current epoch.
pub(crate) struct Scored {
    flags: Vec<bool>,
    count: u32,
}

impl Scored {
    /// None of `samples`.
    pub(crate) fn new(samples: u32) -> Self {
        Self { flags: vec![false; samples as usize], count: 0 }
    }

    /// This one has.
    pub(crate) fn mark(&mut self, index: u32) {
        let flag = &mut self.flags[index as usize];
        self.count += u32::from(!*flag);
        *flag = true;
    }

    /// Another epoch begins.
    pub(crate) fn clear(&mut self) {
        self.flags.fill(false);
        self.count = 0;
    }
}

/// A sample that enters the active set, leaves it, or has another weight there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) index: u32,
    /// The key by which it was ranked, if it leaves.
    pub(crate) key: u32,
    /// Its weight in the loss before and after; not a number outside.
    pub(crate) before: f32,
    pub(crate) after: f32,
}

impl Change {
    /// The weight of samples outside.
    pub(crate) const OUTSIDE: f32 = f32::NAN;

    /// The one or two rows that say it: difference, key and weight.
    pub(crate) fn rows(self) -> impl Iterator<Item = (i8, u32, f32)> {
        let rows = [(-1, self.key, self.before), (1, 0, self.after)];
        rows.into_iter().filter(|(.., weight)| !weight.is_nan())
    }

    /// What the rows of one epoch say.
    pub(crate) fn of_rows(mut rows: Vec<SieveRow>, share: Share) -> Vec<Self> {
        // A departure comes before an entry, if one sample has both.
        rows.sort_by_key(|row| (row.sample, row.diff));
        let of_sample = |rows: &[SieveRow]| {
            let none = Self {
                index: share.index(rows[0].sample),
                key: 0,
                before: Self::OUTSIDE,
                after: Self::OUTSIDE,
            };
            rows.iter().fold(none, |change, row| match row.diff {
                1 => Self { after: row.weight, ..change },
                _ => Self { before: row.weight, key: row.key, ..change },
            })
        };
        rows.chunk_by(|one, other| one.sample == other.sample).map(of_sample).collect()
    }
}

/// The active set of one sieve, and how it changes.
pub(crate) struct ActiveSet {
    pub(crate) active: Vec<bool>,
    /// The weights in the loss of those that are active; empty while all are 1.
    weights: Vec<f32>,
    /// The epoch of the last entry of an active sample, of the last departure of another. Empty if nothing
    /// asks.
    pub(crate) since: Vec<u32>,
    count: u32,
    entered: u32,
    left: u32,
}

impl ActiveSet {
    /// The given samples, from the start.
    pub(crate) fn new(active: Vec<bool>, has_since: bool) -> Self {
        let count = active.iter().filter(|active| **active).count() as u32;
        let since = if has_since { vec![0; active.len()] } else { Vec::new() };
        Self { active, weights: Vec::new(), since, count, entered: 0, left: 0 }
    }

    /// The weight of a sample, if it is active.
    pub(crate) fn weight(&self, index: u32) -> f32 {
        match self.active[index as usize] {
            true => self.weights.get(index as usize).copied().unwrap_or(1.0),
            false => Change::OUTSIDE,
        }
    }

    /// Whether all that are active have weight 1.
    pub(crate) fn is_even(&self) -> bool {
        self.weights.is_empty()
    }

    /// A change takes effect at the start of `epoch`.
    ///
    /// # Panics
    /// If the sample is not as the change says it was: then a stage upstream is wrong.
    pub(crate) fn apply(&mut self, change: &Change, epoch: u32) {
        let Change { index, before, after, .. } = *change;
        let held = self.weight(index);
        let fits = held == before || (held.is_nan() && before.is_nan());
        assert!(
            fits,
            "a sample enters the active set once, and leaves it as it entered: {held}, not {before}"
        );
        self.set(index, after);
        if before.is_nan() == after.is_nan() {
            return;
        }
        if let Some(since) = self.since.get_mut(index as usize) {
            *since = epoch;
        }
        match after.is_nan() {
            true => self.left += 1,
            false => self.entered += 1,
        }
    }

    /// Gives a sample a weight, or none, whatever it had.
    pub(crate) fn set(&mut self, index: u32, weight: f32) {
        let at = index as usize;
        let active = !weight.is_nan();
        self.count = self.count + u32::from(active) - u32::from(self.active[at]);
        self.active[at] = active;
        if active && weight != 1.0 && self.weights.is_empty() {
            self.weights = vec![1.0; self.active.len()];
        }
        if let Some(held) = self.weights.get_mut(at) {
            *held = weight;
        }
    }

    /// What there is to say of sieve `member` in `epoch`; the next epoch begins. `recorded` says who was
    /// active when it was recorded, or nothing.
    pub(crate) fn close(
        &mut self,
        (epoch, member): (u32, u32),
        scored: &Scored,
        recorded: &[bool],
    ) -> MemberRow {
        let lacks = |(active, scored): (&bool, &bool)| *active && !*scored;
        let unscored = match scored.count < scored.flags.len() as u32 {
            true => self.active.iter().zip(&scored.flags).filter(|pair| lacks(*pair)).count() as u32,
            false => 0,
        };
        let as_recorded = self.active.iter().zip(recorded).filter(|(own, recorded)| own == recorded).count();
        let (entered, left) = (std::mem::take(&mut self.entered), std::mem::take(&mut self.left));
        MemberRow {
            epoch,
            member,
            active: self.count,
            entered,
            left,
            unscored,
            as_recorded: as_recorded as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_one_owner_and_one_place_there() {
        for samples in [0, 1, 2, 3, 7, 64, 1000] {
            for workers in [1, 2, 3, 4, 7] {
                let shares: Vec<Share> =
                    (0..workers).map(|worker| Share::new(samples, worker, workers)).collect();
                assert_eq!(shares.iter().map(|share| share.len()).sum::<u32>(), samples);
                for sample in 0..samples {
                    let share = shares[shares[0].owner(sample) as usize];
                    assert_eq!(share.sample(share.index(sample)), sample);
                    assert!(share.index(sample) < share.len() && share.has(sample));
                    assert_eq!(shares.iter().filter(|share| share.has(sample)).count(), 1);
                }
            }
        }
    }
}
