//! Who is active, of one worker's samples.

use serde::{Deserialize, Serialize};

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

/// The samples of one worker: those whose number leaves the worker's index when divided by the number of workers.
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

/// The active set of one sieve, and how it changes.
pub(crate) struct ActiveSet {
    pub(crate) active: Vec<bool>,
    /// The epoch of the last entry of an active sample, of the last departure of another. Empty if nothing asks.
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
        Self { active, since, count, entered: 0, left: 0 }
    }

    /// A sample enters or leaves at the start of `epoch`.
    ///
    /// # Panics
    /// If it enters twice, or leaves and is not there: then a stage upstream is wrong.
    pub(crate) fn change(&mut self, index: u32, enters: bool, epoch: u32) {
        let at = index as usize;
        assert_ne!(self.active[at], enters, "a sample enters the active set once, and leaves it once");
        self.active[at] = enters;
        if let Some(since) = self.since.get_mut(at) {
            *since = epoch;
        }
        if enters {
            self.count += 1;
            self.entered += 1;
        } else {
            self.count -= 1;
            self.left += 1;
        }
    }

    /// Takes over how a sample stands in the middle of a run.
    pub(crate) fn restore(&mut self, index: u32, active: bool, since: u32) {
        self.count += u32::from(active);
        self.count -= u32::from(self.active[index as usize]);
        self.active[index as usize] = active;
        self.since[index as usize] = since;
    }

    /// What there is to say of sieve `member` in `epoch`; the next epoch begins. `recorded` says who was active when
    /// it was recorded, or nothing.
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
