//! One worker's samples: what the policies know of them, and who of them is active for which sieve.
//!
//! A sieve keeps nine bytes of a sample. Four are the state of its rule, if that comes with the program. Four
//! more are its class in an order by key, or the epoch of its last move where an order asks for it. They are
//! its weight once one is not 1. A byte says whether it is active, so that many are compared at a time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use spfde_data::rows::ScoreRow;
use spfde_data::table::{Cells, Columns};
use spfde_policy::{Cut, SievePolicy, SieveState};

use super::active::{ActiveSet, Change, MemberRow, Scored, Share};
use crate::checkpoint::{ActiveRow, Kept, SIEVE_POLICY, Snapshot, StandingRow};

/// Members that share a state.
pub(crate) struct Group {
    pub(crate) policy: Arc<dyn SievePolicy>,
    pub(crate) state: Box<dyn SieveState>,
    pub(crate) members: Vec<usize>,
    /// Whether members share their order, too.
    pub(crate) alike: bool,
}

/// What a sieve's decisions have made of this worker's samples.
pub(crate) struct Member {
    pub(crate) policy: Arc<dyn SievePolicy>,
    pub(crate) group: usize,
    pub(crate) set: ActiveSet,
}

/// All of it: in a training one sieve, in a grid as many as there are.
pub(crate) struct Standings {
    pub(crate) share: Share,
    pub(crate) groups: Vec<Group>,
    pub(crate) members: Vec<Member>,
    /// The indices of the samples of each class, ascending, if a policy cuts by class.
    pub(crate) strata: Vec<Vec<u32>>,
    scored: Scored,
    /// Whether a sample was active when a run was recorded. Empty if nothing asks.
    recorded: Vec<bool>,
    /// The last epoch that is decided.
    last: u32,
}

impl Standings {
    /// Every sieve with its initial active set; `last` is the last epoch that is decided.
    pub(crate) fn new(policies: &[Arc<dyn SievePolicy>], share: Share, last: u32) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut members: Vec<Member> = Vec::new();
        for (index, policy) in policies.iter().enumerate() {
            let kin = policy.alike();
            let same = |group: &Group| {
                let cuts_by_class = |policy: &dyn SievePolicy| policy.classes().is_some();
                kin.is_some()
                    && group.policy.name() == policy.name()
                    && group.policy.alike() == kin
                    && cuts_by_class(&*group.policy) == cuts_by_class(&**policy)
            };
            let number = groups.iter().position(same).unwrap_or(groups.len());
            if number == groups.len() {
                let (state, policy) = (policy.start(share.len() as usize), Arc::clone(policy));
                groups.push(Group { policy, state, members: Vec::new(), alike: kin.is_some() });
            }
            groups[number].members.push(index);
            let mut active = vec![true; share.len() as usize];
            for sample in policy.initially_outside().into_iter().filter(|sample| share.has(*sample)) {
                active[share.index(sample) as usize] = false;
            }
            let exchanges = |epoch| matches!(policy.decision(epoch).cut, Cut::Exchange { .. });
            let asks = (0..=last).any(|epoch| policy.decides(epoch) && exchanges(epoch));
            let set = ActiveSet::new(active, asks || kin.is_none());
            members.push(Member { policy: Arc::clone(policy), group: number, set });
        }
        let mut strata = Vec::new();
        let mut by_class = policies.iter().filter_map(|policy| policy.classes());
        if let Some(classes) = by_class.next() {
            assert!(by_class.all(|other| other == classes), "all sieves have the same classes");
            strata.resize(classes.sizes().len(), Vec::new());
            let class = |index| usize::from(classes.of(share.sample(index)));
            (0..share.len()).for_each(|index| strata[class(index)].push(index));
        }
        let scored = Scored::new(share.len());
        Self { share, groups, members, strata, scored, recorded: Vec::new(), last }
    }

    /// As [`Standings::new`] of one sieve, with nothing active yet: all that enters is told.
    pub(crate) fn empty(policy: &Arc<dyn SievePolicy>, share: Share, last: u32) -> Self {
        let mut standings = Self::new(std::slice::from_ref(policy), share, last);
        let set = &mut standings.members[0].set;
        *set = ActiveSet::new(vec![false; share.len() as usize], !set.since.is_empty());
        standings
    }

    /// The same, compared with what was active when a run was recorded, which is told.
    pub(crate) fn compared(mut self) -> Self {
        self.recorded = vec![false; self.share.len() as usize];
        self
    }

    /// A sample of this worker entered or left when the run was recorded.
    pub(crate) fn record(&mut self, sample: u32, enters: bool) {
        self.recorded[self.share.index(sample) as usize] = enters;
    }

    /// How many samples there are of a class, or of all.
    pub(crate) fn count(&self, stratum: Option<u16>) -> u32 {
        stratum.map_or(self.share.len(), |stratum| self.strata[usize::from(stratum)].len() as u32)
    }

    /// The indices of those that stand at these positions among them, ascending.
    pub(crate) fn indices(&self, stratum: Option<u16>, at: Range<u32>) -> impl Iterator<Item = u32> {
        let stratum = stratum.map(|stratum| &*self.strata[usize::from(stratum)]);
        at.map(move |at| stratum.map_or(at, |stratum| stratum[at as usize]))
    }

    /// Whether a sieve decides what takes effect at `epoch`.
    pub(crate) fn decides(&self, policy: &dyn SievePolicy, epoch: u32) -> bool {
        epoch <= self.last && policy.decides(epoch)
    }

    /// Shows a score to all states; those of one sample come in order of their steps.
    ///
    /// A sieve with a state of its own is told whether the sample is in its own active set: a replay decides
    /// otherwise than the run that was recorded.
    pub(crate) fn observe(&mut self, index: u32, score: &ScoreRow) {
        for Group { state, members, alike, .. } in &mut self.groups {
            if *alike {
                state.observe(index as usize, score);
            } else {
                let trained = self.members[members[0]].set.active[index as usize];
                state.observe(index as usize, &ScoreRow { trained, ..*score });
            }
        }
        self.scored.mark(index);
    }

    /// What there is to say of the sieves in `epoch`, whose scores have been shown; the next epoch begins.
    pub(crate) fn close(&mut self, epoch: u32) -> Vec<MemberRow> {
        let members = self.members.iter_mut().enumerate();
        let row = |(number, member): (usize, &mut Member)| {
            member.set.close((epoch, number as u32), &self.scored, &self.recorded)
        };
        let rows = members.map(row).collect();
        self.scored.clear();
        rows
    }

    /// What was decided for `epoch` takes effect.
    pub(crate) fn apply(&mut self, epoch: u32, changes: &[Vec<Change>]) {
        for (member, changes) in self.members.iter_mut().zip(changes) {
            changes.iter().for_each(|change| member.set.apply(change, epoch));
        }
    }

    /// Starts new windows for the sieves that have decided for `epoch`.
    pub(crate) fn turn(&mut self, epoch: u32) {
        let last = self.last;
        for group in self.groups.iter_mut().filter(|group| epoch <= last && group.policy.decides(epoch)) {
            group.state.clear();
        }
    }

    /// The keys of the groups of which the decision for `epoch` is the last, by group.
    pub(crate) fn last_keys(&self, epoch: u32) -> impl Iterator<Item = (usize, Vec<u32>)> {
        let is_last = move |group: &Group| {
            let mut later = epoch + 1..=self.last;
            self.decides(&*group.policy, epoch) && !later.any(|epoch| group.policy.decides(epoch))
        };
        self.groups.iter().enumerate().filter(move |(_, group)| is_last(group)).map(|(number, group)| {
            let mut keys = Vec::new();
            group.state.keys(0..self.share.len() as usize, &mut keys);
            (number, keys)
        })
    }

    /// How the keys of every member are distributed: member, key, samples.
    pub(crate) fn keys(&self) -> Vec<(u32, u32, u32)> {
        let mut rows = Vec::new();
        for group in &self.groups {
            let (mut keys, mut counts) = (Vec::new(), BTreeMap::<u32, u32>::new());
            group.state.keys(0..self.share.len() as usize, &mut keys);
            keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
            for member in &group.members {
                rows.extend(counts.iter().map(|(key, samples)| (*member as u32, *key, *samples)));
            }
        }
        rows
    }

    /// What there is to know of the one sieve to go on at the start of `epoch`.
    pub(crate) fn save(&self, epoch: u32) -> Vec<Kept> {
        let (set, state) = (&self.members[0].set, &self.groups[0].state);
        let row = |(index, since): (u32, &u32)| StandingRow {
            epoch,
            sample: self.share.sample(index),
            since: *since,
        };
        let mut kept = vec![Kept::rows((0..).zip(&set.since).map(row))];
        let columns = state.columns();
        if !columns.is_empty() {
            let mut rows = Columns::new(&columns);
            for index in 0..self.share.len() {
                state.save(index as usize, epoch, self.share.sample(index), &mut rows);
            }
            kept.push(Kept::Rows { table: SIEVE_POLICY, columns, rows });
        }
        kept
    }

    /// Takes over this worker's share of what was saved, by whatever number of workers.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        let (share, set) = (self.share, &mut self.members[0].set);
        for row in snapshot.rows::<ActiveRow>().into_iter().filter(|row| share.has(row.sample)) {
            set.set(share.index(row.sample), row.weight);
        }
        for row in snapshot.rows::<StandingRow>().into_iter().filter(|row| share.has(row.sample)) {
            // Earlier versions kept it where nothing asks, too.
            if let Some(since) = set.since.get_mut(share.index(row.sample) as usize) {
                *since = row.since;
            }
        }
        let saved = snapshot.table(SIEVE_POLICY);
        let Some(Cells::U32(samples)) = saved.cells.get(1) else { return };
        for (row, sample) in samples.iter().enumerate().filter(|(_, sample)| share.has(**sample)) {
            self.groups[0].state.restore(share.index(*sample) as usize, saved, row);
        }
        // It was saved while the decision for the epoch was on its way.
        self.turn(snapshot.epoch());
    }
}
