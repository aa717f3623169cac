//! What the workers tell each other for a decision, and what it makes of a cut.
//!
//! A cut does not sort all samples: sizes of classes tell where it goes ([`Tallies`]), and the samples of one
//! class are put in order. A cut at the mean ranks nothing: the workers tell each other their parts of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use spfde_policy::sieve::ExactMean;
use spfde_policy::{Cut, Decision};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::core::OkErr;
use timely::dataflow::operators::vec::{Broadcast, Map};

use crate::tick::Tick;
use crate::windowed::Ground;

use super::active::Change;
use super::split::{Candidates, Split, split};
use super::standings::Standings;
use super::tally::{Ask, Tallies};

/// A sample that comes in by a cut or goes out: its index, whether it enters, the key by which it was ranked.
pub(crate) type Move = (u32, bool, u32);

/// A stratum of the samples of a group of sieves.
type OfGroup = (usize, u16);

/// What a worker tells or hears: of the orders, or its part of the mean of what a group of sieves ranks by in
/// a stratum.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Said<A> {
    Cut(A),
    Mean(OfGroup, ExactMean),
}

/// What the operators of one worker share: all are one stage.
pub(crate) struct Sieves {
    pub(crate) standings: Standings,
    pub(super) tallies: Tallies,
    pub(super) split: Split,
}

/// Sieves in the hands of several operators.
pub(crate) type Shared = Rc<RefCell<Sieves>>;

impl Sieves {
    /// Sieves that have decided nothing yet.
    pub(crate) fn shared(standings: Standings) -> Shared {
        let (tallies, split) = (Tallies::default(), Split::default());
        Rc::new(RefCell::new(Self { standings, tallies, split }))
    }

    /// What there is to tell for the decisions for `epoch`.
    pub(crate) fn ask(&mut self, epoch: u32) -> Vec<Said<Ask>> {
        let cuts = self.tallies.ask(&self.standings, epoch).into_iter().map(Said::Cut);
        cuts.chain(self.standings.means(epoch).into_iter().map(|(of, mean)| Said::Mean(of, mean))).collect()
    }

    /// From what all workers tell to what each of them has to hear.
    pub(crate) fn answer<'s>(
        ground: &Ground<'s>,
        sieves: &Shared,
        asks: StreamVec<'s, Tick, Said<Ask>>,
    ) -> StreamVec<'s, Tick, Said<Candidates>> {
        let (cuts, means) = asks.ok_err(|said| match said {
            Said::Cut(ask) => Ok(ask),
            Said::Mean(of, mean) => Err((of, mean)),
        });
        let means = means.broadcast().map(|(of, mean)| Said::Mean(of, mean));
        split(ground, sieves, cuts).map(Said::Cut).concat(means)
    }

    /// Who changes by the decisions for `epoch`, one member after the other, in order of the samples; new
    /// windows begin.
    pub(crate) fn decide(&mut self, epoch: u32, said: Vec<Said<Candidates>>) -> Vec<Vec<Change>> {
        let (mut answers, mut means) = (Vec::new(), BTreeMap::<OfGroup, ExactMean>::new());
        for said in said {
            match said {
                Said::Cut(answer) => answers.push(answer),
                Said::Mean(of, mean) => means.entry(of).or_default().merge(&mean),
            }
        }
        let moves = self.split.moves(&self.standings, epoch, answers);
        let members = moves.into_iter().enumerate();
        let changes =
            members.map(|(member, moves)| self.standings.changes(member, epoch, moves, &means)).collect();
        self.standings.turn(epoch);
        changes
    }
}

impl Standings {
    /// For each group of which a sieve cuts at the mean for `epoch`, this worker's part of it in each class.
    fn means(&self, epoch: u32) -> Vec<(OfGroup, ExactMean)> {
        let at_mean = |member: &&usize| {
            let policy = &*self.members[**member].policy;
            self.decides(policy, epoch) && policy.decision(epoch).cut.is_at_mean()
        };
        let groups = self.groups.iter().enumerate();
        let asked = groups.filter(|(_, group)| group.members.iter().any(|member| at_mean(&member)));
        let means = asked.flat_map(|(number, group)| {
            let classes = group.policy.classes();
            (0..=u16::MAX).take(classes.map_or(1, |classes| classes.sizes().len())).map(move |stratum| {
                let own = classes.map(|_| stratum);
                let indices = self.indices(own, 0..self.count(own));
                let keys = indices.map(|index| group.state.key(index as usize));
                ((number, stratum), Decision::mean(keys))
            })
        });
        means.collect()
    }

    /// How a sieve's active set changes by its decision for `epoch`, which moves these samples.
    fn changes(
        &self,
        member: usize,
        epoch: u32,
        moves: Vec<Move>,
        means: &BTreeMap<OfGroup, ExactMean>,
    ) -> Vec<Change> {
        let (policy, set) = (&*self.members[member].policy, &self.members[member].set);
        if !self.decides(policy, epoch) {
            return Vec::new();
        }
        let (decision, group) = (policy.decision(epoch), self.members[member].group);
        let change = |index, key, after| Change { index, key, before: set.weight(index), after };
        if decision.cut.is_at_mean() {
            let of_strata = means.range((group, 0)..=(group, u16::MAX));
            let means: Vec<f64> = of_strata.map(|(_, mean)| mean.mean()).collect();
            let state = &self.groups[group].state;
            let all = (0..self.share.len()).filter_map(|index| {
                let (key, sample) = (state.key(index as usize), self.share.sample(index));
                let stratum = policy.classes().map_or(0, |classes| classes.of(sample));
                let after = decision.at_mean(policy, epoch, sample, key, means[usize::from(stratum)]);
                let change = change(index, key, after.unwrap_or(Change::OUTSIDE));
                (change.before.to_bits() != change.after.to_bits()).then_some(change)
            });
            return all.collect();
        }
        let moved = |(index, enters, key): Move| {
            change(index, key, if enters { decision.weight } else { Change::OUTSIDE })
        };
        let mut changes: Vec<Change> = moves.into_iter().map(moved).collect();
        // Who stays active outside a cut has its weight, too.
        if matches!(decision.cut, Cut::Outside { .. }) && !(set.is_even() && decision.weight == 1.0) {
            let moved: std::collections::BTreeSet<u32> = changes.iter().map(|change| change.index).collect();
            let stays =
                (0..self.share.len()).filter(|index| set.active[*index as usize] && !moved.contains(index));
            let others = stays.map(|index| change(index, 0, decision.weight));
            changes.extend(others.filter(|change| change.before != change.after));
            changes.sort_unstable_by_key(|change| change.index);
        }
        changes
    }
}
