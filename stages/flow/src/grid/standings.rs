//! One worker's samples: what the policies know of them, and who of them is active for which member.

use std::ops::Range;
use std::sync::Arc;

use spfde_data::rows::{ScoreRow, SieveRow};
use spfde_policy::{Cut, SievePolicy, SieveState};

use super::bundle::{Bundle, Run, in_order};
use super::{Grid, KeyRow, MemberRow};

/// Members that share a state.
pub(super) struct Group {
    pub(super) policy: Arc<dyn SievePolicy>,
    pub(super) state: Box<dyn SieveState>,
    pub(super) members: Vec<usize>,
    /// Whether members share their order, too.
    pub(super) alike: bool,
}

/// What a member's decisions have made of this worker's samples.
pub(super) struct Member {
    pub(super) policy: Arc<dyn SievePolicy>,
    pub(super) group: usize,
    pub(super) active: Vec<bool>,
    /// The epoch of the last entry of an active sample, of the last departure of another. Empty if nobody asks.
    pub(super) since: Vec<u32>,
    pub(super) count: u32,
    pub(super) entered: u32,
    pub(super) left: u32,
}

/// All of it.
pub(super) struct Standings {
    pub(super) grid: Arc<Grid>,
    pub(super) slots: Range<u32>,
    pub(super) groups: Vec<Group>,
    pub(super) members: Vec<Member>,
    /// Whether a sample has a score in the current epoch, and how many have.
    pub(super) scored: Vec<bool>,
    pub(super) scored_count: u32,
    /// Of a run: whether a sample was active when it was recorded. Empty otherwise.
    pub(super) recorded: Vec<bool>,
}

impl Standings {
    /// The start: every member's initial active set.
    pub(super) fn new(grid: &Arc<Grid>, slots: Range<u32>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut members: Vec<Member> = Vec::new();
        for (index, policy) in grid.sieves.iter().enumerate() {
            let kin = policy.alike();
            let same = |group: &Group| {
                kin.is_some() && group.policy.name() == policy.name() && group.policy.alike() == kin
            };
            let number = groups.iter().position(same).unwrap_or(groups.len());
            if number == groups.len() {
                let (state, policy) = (policy.start(slots.len()), Arc::clone(policy));
                groups.push(Group { policy, state, members: Vec::new(), alike: kin.is_some() });
            }
            groups[number].members.push(index);
            let mut active = vec![true; slots.len()];
            for slot in policy.initially_outside().iter().filter(|slot| slots.contains(slot)) {
                active[(slot - slots.start) as usize] = false;
            }
            let count = active.iter().filter(|active| **active).count() as u32;
            let ignored = kin.is_some() && matches!(policy.decision(0).cut, Cut::Outside { .. });
            let since = if ignored { Vec::new() } else { vec![0; slots.len()] };
            let policy = Arc::clone(policy);
            members.push(Member { policy, group: number, active, since, count, entered: 0, left: 0 });
        }
        let scored = vec![false; slots.len()];
        let recorded = if grid.run.is_some() { vec![false; slots.len()] } else { Vec::new() };
        Self { grid: Arc::clone(grid), slots, groups, members, scored, scored_count: 0, recorded }
    }

    /// Whether a member's sample is active.
    pub(super) fn is_active(&self, member: usize, index: u32) -> bool {
        self.members[member].active[index as usize]
    }

    /// What is asked.
    pub(super) fn grid(&self) -> Arc<Grid> {
        Arc::clone(&self.grid)
    }

    /// How many samples this worker has.
    pub(super) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The sample at an index.
    pub(super) fn sample(&self, index: u32) -> u32 {
        self.grid.source.sample(self.slots.start + index)
    }

    /// The slot at an index: its place among the samples of all workers.
    pub(super) fn slot(&self, index: u32) -> u32 {
        self.slots.start + index
    }

    /// A sample of this worker entered or left when the run was recorded.
    pub(super) fn record(&mut self, row: &SieveRow) {
        self.recorded[(row.sample - self.slots.start) as usize] = row.diff > 0;
    }

    /// Shows the scores of an epoch to all states, in order of their steps.
    pub(super) fn observe(&mut self, mut bundles: Vec<Bundle>) {
        for (number, run) in in_order(&mut bundles) {
            let bundle = &bundles[number];
            let from = run.checked_sub(1).map_or(0, |before| bundle.runs[before].until);
            let Run { step, until, .. } = bundle.runs[run];
            let step = u32::try_from(step).unwrap_or(u32::MAX);
            for row in from as usize..until as usize {
                let index = bundle.rows[row] >> 1;
                let score = ScoreRow {
                    epoch: bundle.epoch,
                    step,
                    sample: self.slots.start + index,
                    loss: bundle.losses.get(row).copied().unwrap_or(f32::NAN),
                    correct: bundle.rows[row] & 1 == 1,
                    error_norm: bundle.error_norms.get(row).copied().unwrap_or(f32::NAN),
                    trained: bundle.trained.get(row).copied().unwrap_or(true),
                };
                self.groups.iter_mut().for_each(|group| group.state.observe(index as usize, &score));
                let scored = &mut self.scored[index as usize];
                self.scored_count += u32::from(!*scored);
                *scored = true;
            }
        }
    }

    /// What there is to say of the members in `epoch`, whose scores have been shown; the next epoch begins.
    pub(super) fn close(&mut self, epoch: u32) -> Vec<MemberRow> {
        let lacking = self.scored_count < self.len();
        let (scored, recorded) = (&self.scored, &self.recorded);
        let row = |(index, member): (usize, &mut Member)| {
            let outside = |(active, scored): (&bool, &bool)| *active && !*scored;
            let unscored = match lacking {
                true => member.active.iter().zip(scored).filter(|pair| outside(*pair)).count() as u32,
                false => 0,
            };
            let alike = member.active.iter().zip(recorded).filter(|(own, recorded)| own == recorded);
            let as_recorded = alike.count() as u32;
            let (entered, left) = (std::mem::take(&mut member.entered), std::mem::take(&mut member.left));
            let member_number = index as u32;
            MemberRow {
                epoch,
                member: member_number,
                active: member.count,
                entered,
                left,
                unscored,
                as_recorded,
            }
        };
        let rows = self.members.iter_mut().enumerate().map(row).collect();
        self.scored.fill(false);
        self.scored_count = 0;
        rows
    }

    /// What there is to say of the members in `epoch`, of which no scores are expected.
    pub(super) fn answer(&mut self, epoch: u32) -> Vec<MemberRow> {
        self.close(epoch).into_iter().map(|row| MemberRow { unscored: 0, ..row }).collect()
    }

    /// How the keys of every member are distributed.
    pub(super) fn keys(&self) -> Vec<KeyRow> {
        let mut rows = Vec::new();
        for group in &self.groups {
            let mut counts = std::collections::BTreeMap::<u32, u32>::new();
            for index in 0..self.slots.len() {
                *counts.entry(group.state.key(index)).or_default() += 1;
            }
            for member in &group.members {
                let row = |(key, samples): (&u32, &u32)| KeyRow {
                    member: *member as u32,
                    key: *key,
                    samples: *samples,
                };
                rows.extend(counts.iter().map(row));
            }
        }
        rows
    }
}
