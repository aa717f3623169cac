//! One worker's samples: what the policies know of them, and who of them is active for which member.

use std::ops::Range;
use std::sync::Arc;

use spfde_data::rows::ScoreRow;
use spfde_policy::{Cut, SievePolicy, SieveState};

use super::cut::Limit;
use super::place::{Histogram, Place, key, place};
use super::source::Bundle;
use super::{Grid, KeyRow, MemberRow};

/// An order of samples, and the cuts through it.
#[derive(Clone, Debug)]
pub(super) struct Order {
    kind: Kind,
    /// How many of the lowest each member takes.
    pub(super) cuts: Vec<(usize, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// All samples, as the alike members of a group rank them, whoever is active.
    Shared { group: usize },
    /// All samples, as this member ranks them.
    All { member: usize },
    /// The active samples of this member.
    Active { member: usize },
    /// Those outside.
    Queue { member: usize },
}

/// Members that share a state.
struct Group {
    policy: Arc<dyn SievePolicy>,
    state: Box<dyn SieveState>,
    members: Vec<usize>,
    /// Whether members share their order, too.
    alike: bool,
}

/// What a member's decisions have made of this worker's samples.
struct Member {
    policy: Arc<dyn SievePolicy>,
    group: usize,
    active: Vec<bool>,
    /// The epoch of the last entry of an active sample, of the last departure of another. Empty if nobody asks.
    since: Vec<u32>,
    count: u32,
    entered: u32,
    left: u32,
}

/// A sample whose membership changes: its index, whether it enters, the key by which it was ranked.
pub(super) type Change = (u32, bool, u32);

/// All of it.
pub(super) struct Standings {
    grid: Arc<Grid>,
    slots: Range<u32>,
    groups: Vec<Group>,
    members: Vec<Member>,
    /// Whether a sample has a score in the current epoch, and how many have.
    scored: Vec<bool>,
    scored_count: u32,
}

impl Standings {
    /// The start: every member's initial active set.
    pub(super) fn new(grid: &Arc<Grid>, slots: Range<u32>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut members: Vec<Member> = Vec::new();
        for (index, policy) in grid.members.iter().enumerate() {
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
            let ignored = kin.is_some() && matches!(policy.cut(0), Cut::Outside { .. });
            let since = if ignored { Vec::new() } else { vec![0; slots.len()] };
            let policy = Arc::clone(policy);
            members.push(Member { policy, group: number, active, since, count, entered: 0, left: 0 });
        }
        let scored = vec![false; slots.len()];
        Self { grid: Arc::clone(grid), slots, groups, members, scored, scored_count: 0 }
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

    /// Shows the scores of an epoch to all states, in order of their steps.
    pub(super) fn observe(&mut self, mut bundles: Vec<Bundle>) {
        bundles.sort_by_key(|bundle| bundle.order);
        let mut runs: Vec<(u64, usize, Range<u32>)> = Vec::new();
        for (number, bundle) in bundles.iter().enumerate() {
            let mut from = 0;
            for (step, until) in &bundle.runs {
                runs.push((*step, number, from..*until));
                from = *until;
            }
        }
        // Stable: within a step by part, then by row.
        if !runs.is_sorted_by_key(|(step, ..)| *step) {
            runs.sort_by_key(|(step, ..)| *step);
        }
        for (step, number, rows) in runs {
            let bundle = &bundles[number];
            let step = u32::try_from(step).unwrap_or(u32::MAX);
            for row in rows.start as usize..rows.end as usize {
                let index = bundle.rows[row] >> 1;
                let score = ScoreRow {
                    epoch: bundle.epoch,
                    step,
                    sample: self.slots.start + index,
                    loss: bundle.losses.get(row).copied().unwrap_or(f32::NAN),
                    correct: bundle.rows[row] & 1 == 1,
                    error_norm: f32::NAN,
                    trained: true,
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
        let scored = &self.scored;
        let row = |(index, member): (usize, &mut Member)| {
            let outside = |(active, scored): (&bool, &bool)| *active && !*scored;
            let unscored = match lacking {
                true => member.active.iter().zip(scored).filter(|pair| outside(*pair)).count() as u32,
                false => 0,
            };
            let (entered, left) = (std::mem::take(&mut member.entered), std::mem::take(&mut member.left));
            MemberRow { epoch, member: index as u32, active: member.count, entered, left, unscored }
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

    /// The orders of the decisions that take effect at `epoch`: the same on every worker.
    pub(super) fn orders(&self, epoch: u32) -> Vec<Order> {
        let mut orders: Vec<Order> = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            if !member.policy.decides(epoch) {
                continue;
            }
            let mut add = |kind, wanted| match orders.iter_mut().find(|order| order.kind == kind) {
                Some(order) => order.cuts.push((index, wanted)),
                None => orders.push(Order { kind, cuts: vec![(index, wanted)] }),
            };
            match member.policy.cut(epoch) {
                Cut::Outside { out } if self.groups[member.group].alike => {
                    add(Kind::Shared { group: member.group }, out);
                }
                Cut::Outside { out } => add(Kind::All { member: index }, out),
                Cut::Exchange { count } => {
                    add(Kind::Active { member: index }, count);
                    add(Kind::Queue { member: index }, count);
                }
            }
        }
        orders
    }

    /// Visits the samples of an order with their places.
    fn places(&self, order: &Order, epoch: u32, mut visit: impl FnMut(u32, Place)) {
        // Policies number samples from 0 to how many there are: by slot.
        let first = self.slots.start;
        match order.kind {
            Kind::Shared { group } => {
                let Group { policy, state, .. } = &self.groups[group];
                for index in 0..self.len() {
                    let rank = policy.rank(epoch, first + index, 0, state.key(index as usize));
                    visit(index, place(rank));
                }
            }
            Kind::All { member } => {
                let Member { policy, group, active, since, .. } = &self.members[member];
                let state = &self.groups[*group].state;
                for index in 0..self.len() {
                    let at = index as usize;
                    let entered = if active[at] { since[at] } else { 0 };
                    visit(index, place(policy.rank(epoch, first + index, entered, state.key(at))));
                }
            }
            Kind::Active { member } => {
                let Member { policy, group, active, since, .. } = &self.members[member];
                let state = &self.groups[*group].state;
                for index in (0..self.len()).filter(|index| active[*index as usize]) {
                    let at = index as usize;
                    visit(index, place(policy.rank(epoch, first + index, since[at], state.key(at))));
                }
            }
            Kind::Queue { member } => {
                let Member { policy, active, since, .. } = &self.members[member];
                for index in (0..self.len()).filter(|index| !active[*index as usize]) {
                    visit(index, place(policy.queue(epoch, first + index, since[index as usize])));
                }
            }
        }
    }

    /// How many of this worker's samples stand in each class of an order.
    pub(super) fn count(&self, order: &Order, epoch: u32) -> Histogram {
        let mut histogram = Histogram::default();
        self.places(order, epoch, |_, place| histogram.add(place));
        histogram
    }

    /// The samples of an order in the given classes, which are ascending: place, slot, and which class.
    pub(super) fn inside(&self, order: &Order, epoch: u32, classes: &[u64]) -> Vec<(usize, Place, u32)> {
        let mut inside = Vec::new();
        self.places(order, epoch, |index, place| {
            if let Ok(class) = classes.binary_search(&super::place::class(place)) {
                inside.push((class, place, self.slot(index)));
            }
        });
        inside
    }

    /// Who changes by the decisions for `epoch`, one member after the other, given the limits of every order's cuts.
    pub(super) fn changes(&self, orders: &[Order], epoch: u32, limits: &[Vec<Limit>]) -> Vec<Vec<Change>> {
        let mut changes: Vec<Vec<Change>> = vec![Vec::new(); self.members.len()];
        for (order, limits) in orders.iter().zip(limits) {
            match order.kind {
                Kind::Shared { .. } | Kind::All { .. } => self.outside(order, epoch, limits, &mut changes),
                Kind::Active { member } | Kind::Queue { member } => {
                    let enters = matches!(order.kind, Kind::Queue { .. });
                    self.places(order, epoch, |index, place| {
                        if Some((place, self.slot(index))) <= limits[0] {
                            changes[member].push((index, enters, if enters { 0 } else { key(place) }));
                        }
                    });
                }
            }
        }
        // Leavers and those who enter, in one order.
        changes.iter_mut().for_each(|changes| changes.sort_unstable());
        changes
    }

    /// Whoever is below a member's limit is out, all others are in.
    fn outside(&self, order: &Order, epoch: u32, limits: &[Limit], changes: &mut [Vec<Change>]) {
        // One comparison finds out for all: cuts in ascending order, and for each sample the first that takes it in.
        let mut ascending: Vec<usize> = (0..limits.len()).collect();
        ascending.sort_by_key(|cut| limits[*cut]);
        let sorted: Vec<Limit> = ascending.iter().map(|cut| limits[*cut]).collect();
        let members: Vec<(usize, &[bool])> = ascending
            .iter()
            .map(|cut| order.cuts[*cut].0)
            .map(|member| (member, self.members[member].active.as_slice()))
            .collect();
        self.places(order, epoch, |index, place| {
            let first = sorted.partition_point(|limit| *limit < Some((place, self.slots.start + index)));
            for (at, (member, active)) in members.iter().enumerate() {
                let enters = at < first;
                if active[index as usize] != enters {
                    changes[*member].push((index, enters, if enters { 0 } else { key(place) }));
                }
            }
        });
    }

    /// Makes the changes, and starts new windows for whom decided.
    pub(super) fn apply(&mut self, epoch: u32, changes: &[Vec<Change>]) {
        for (member, changes) in self.members.iter_mut().zip(changes) {
            for (index, enters, _) in changes {
                let at = *index as usize;
                debug_assert_ne!(member.active[at], *enters, "a sample enters or leaves once");
                member.active[at] = *enters;
                if let Some(since) = member.since.get_mut(at) {
                    *since = epoch;
                }
                let (moved, count) = match enters {
                    true => (&mut member.entered, member.count + 1),
                    false => (&mut member.left, member.count - 1),
                };
                *moved += 1;
                member.count = count;
            }
        }
        for group in self.groups.iter_mut().filter(|group| group.policy.decides(epoch)) {
            group.state.clear();
        }
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
