//! The samples of one worker in the sieve stage: who is active, who stands where in which order.

use spfde_data::rows::SieveRow;
use spfde_data::table::{Cells, Columns};
use spfde_policy::{Cut, Rank, SievePolicy, SieveState};

use crate::checkpoint::{Kept, SIEVE_POLICY, Snapshot, StandingRow};
use crate::tick::Tick;

use super::lowest::{Order, Ranked};

/// In which order a sample was ranked at the last decision, and by what: enough to take it back exactly.
#[derive(Clone, Copy)]
enum Place {
    Nowhere,
    Rank { entered: u32, key: u32 },
    Queue { left: u32 },
}

/// A worker's samples: those whose number leaves the worker's index when divided by the number of workers.
pub(super) struct Members {
    worker: u32,
    workers: u32,
    active: Vec<bool>,
    /// The epoch of the last entry of an active sample, of the last departure of another.
    since: Vec<u32>,
    place: Vec<Place>,
    /// The epoch for which the places were taken.
    decided: u32,
}

/// A change of an order.
pub(super) type Update = (Ranked, Tick, i32);

impl Members {
    /// Nobody of this worker's share of `samples` is active yet, nobody has a place.
    pub(super) fn new(samples: usize, worker: usize, workers: usize) -> Self {
        let owned = (worker..samples).step_by(workers).count();
        Self {
            worker: worker as u32,
            workers: workers as u32,
            active: vec![false; owned],
            since: vec![0; owned],
            place: vec![Place::Nowhere; owned],
            decided: 0,
        }
    }

    /// Where the state of a sample is.
    pub(super) fn slot(&self, sample: u32) -> usize {
        (sample / self.workers) as usize
    }

    /// A sample enters or leaves.
    pub(super) fn apply(&mut self, row: &SieveRow) {
        let slot = self.slot(row.sample);
        self.active[slot] = row.diff > 0;
        self.since[slot] = row.epoch;
    }

    fn ranked(
        &self,
        policy: &dyn SievePolicy,
        epoch: u32,
        slot: usize,
        place: Place,
    ) -> Option<(bool, Ranked)> {
        let sample = self.sample(slot);
        let (queue, Rank { key, since, hash }) = match place {
            Place::Nowhere => return None,
            Place::Rank { entered, key } => (false, policy.rank(epoch, sample, entered, key)),
            Place::Queue { left } => (true, policy.queue(epoch, sample, left)),
        };
        Some((queue, (Order { key, since, hash }, sample)))
    }

    /// Takes the places for the decision that takes effect at `epoch`; pushes what changed to `updates`: the ranks
    /// first, the queue second.
    pub(super) fn rank(
        &mut self,
        policy: &dyn SievePolicy,
        state: &dyn SieveState,
        epoch: u32,
        at: Tick,
        updates: &mut [Vec<Update>; 2],
    ) {
        let exchange = matches!(policy.decision(epoch).cut, Cut::Exchange { .. });
        for slot in 0..self.active.len() {
            let place = if self.active[slot] || !exchange {
                let entered = if self.active[slot] { self.since[slot] } else { 0 };
                Place::Rank { entered, key: state.key(slot) }
            } else {
                Place::Queue { left: self.since[slot] }
            };
            let before = self.ranked(policy, self.decided, slot, self.place[slot]);
            let after = self.ranked(policy, epoch, slot, place);
            if before != after {
                if let Some((queue, ranked)) = before {
                    updates[usize::from(queue)].push((ranked, at, -1));
                }
                if let Some((queue, ranked)) = after {
                    updates[usize::from(queue)].push((ranked, at, 1));
                }
            }
            self.place[slot] = place;
        }
        self.decided = epoch;
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> usize {
        self.active.len()
    }

    /// The epoch for which the places were taken; 0 if nothing was decided yet.
    pub(super) fn decided(&self) -> u32 {
        self.decided
    }

    /// Whether the samples have places: those of a decision, or of a cut that is the outside from the start.
    pub(super) fn are_ranked(&self, policy: &dyn SievePolicy) -> bool {
        self.decided > 0 || matches!(policy.decision(0).cut, Cut::Outside { .. })
    }

    fn sample(&self, slot: usize) -> u32 {
        slot as u32 * self.workers + self.worker
    }

    /// Hands on the places from which the run goes on, if there are any yet: decisions are changes against them.
    pub(super) fn begin(
        &mut self,
        policy: &dyn SievePolicy,
        state: &dyn SieveState,
        at: Tick,
        updates: &mut [Vec<Update>; 2],
    ) {
        if !self.are_ranked(policy) {
            return;
        }
        if at.epoch == 0 {
            self.rank(policy, state, 0, at, updates);
            return;
        }
        for slot in 0..self.len() {
            if let Some((queue, ranked)) = self.ranked(policy, self.decided, slot, self.place[slot]) {
                updates[usize::from(queue)].push((ranked, at, 1));
            }
        }
    }

    /// What there is to know to go on at the start of `epoch`, and what the policy's state says.
    pub(super) fn save(&self, epoch: u32, state: &dyn SieveState) -> Vec<Kept> {
        let row = |slot: usize| {
            let (place, place_since, place_key) = match self.place[slot] {
                Place::Nowhere => (0, 0, 0),
                Place::Rank { entered, key } => (1, entered, key),
                Place::Queue { left } => (2, left, 0),
            };
            let (sample, active, since) = (self.sample(slot), self.active[slot], self.since[slot]);
            let decided = self.decided;
            StandingRow { epoch, sample, active, since, decided, place, place_since, place_key }
        };
        let mut kept = vec![Kept::rows((0..self.len()).map(row))];
        let columns = state.columns();
        if !columns.is_empty() {
            let mut rows = Columns::new(&columns);
            (0..self.len()).for_each(|slot| state.save(slot, epoch, self.sample(slot), &mut rows));
            kept.push(Kept::Rows { table: SIEVE_POLICY, columns, rows });
        }
        kept
    }

    /// Takes over this worker's share of what was saved, by whatever number of workers.
    pub(super) fn restore(&mut self, snapshot: &Snapshot, state: &mut dyn SieveState) {
        let mine = |sample: u32| sample % self.workers == self.worker;
        for row in snapshot.rows::<StandingRow>().into_iter().filter(|row| mine(row.sample)) {
            let slot = (row.sample / self.workers) as usize;
            self.active[slot] = row.active;
            self.since[slot] = row.since;
            self.decided = row.decided;
            self.place[slot] = match row.place {
                1 => Place::Rank { entered: row.place_since, key: row.place_key },
                2 => Place::Queue { left: row.place_since },
                _ => Place::Nowhere,
            };
        }
        let saved = snapshot.table(SIEVE_POLICY);
        let Some(Cells::U32(samples)) = saved.cells.get(1) else { return };
        for (row, sample) in samples.iter().enumerate().filter(|(_, sample)| mine(**sample)) {
            state.restore((sample / self.workers) as usize, saved, row);
        }
    }
}
