//! The two ways of cutting, and what a decision makes of a cut.
//!
//! [`Dense`](super::dense::Dense) makes one pass over the samples for every decision,
//! [`Arranged`](super::arranged::Arranged) keeps differential collections that are told what has changed.
//! Both are exact, so that they decide the same, bit for bit. The rule: a record that is still being made, by
//! a training or by the run that is followed, is cut in arrangements, a finished one densely. A cut at the
//! mean ranks nothing: the workers tell each other their parts of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use spfde_policy::Cut;
use spfde_policy::sieve::ExactMean;
use timely::ExchangeData;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::core::OkErr;
use timely::dataflow::operators::vec::{Broadcast, Map};

use crate::tick::Tick;
use crate::windowed::Ground;

use super::active::Change;
use super::standings::{Group, Standings};

/// A sample that comes in by a cut or goes out: its index, whether it enters, the key by which it was ranked.
pub(crate) type Move = (u32, bool, u32);

/// A way of cutting: finds who of the ranked samples of every order is among the lowest, as many as are
/// wanted.
pub(crate) trait Cutting: Default + 'static {
    /// What a worker tells of its samples.
    type Ask: ExchangeData + Clone;
    /// What it hears.
    type Answer: ExchangeData + Clone;

    /// What there is to tell for the decisions for `epoch`.
    fn ask(&mut self, standings: &Standings, epoch: u32) -> Vec<Self::Ask>;

    /// From what all workers tell, at the close of an epoch, to what each of them has to hear, by then.
    fn answer<'s>(
        ground: &Ground<'s>,
        sieves: &Shared<Self>,
        asks: StreamVec<'s, Tick, Self::Ask>,
    ) -> StreamVec<'s, Tick, Self::Answer>;

    /// Who moves by the decisions for `epoch`, one member after the other, in order of the samples.
    fn moves(&mut self, standings: &Standings, epoch: u32, answers: Vec<Self::Answer>) -> Vec<Vec<Move>>;
}

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
pub(crate) struct Sieves<C> {
    pub(crate) standings: Standings,
    pub(super) cutting: C,
}

/// Sieves in the hands of several operators.
pub(crate) type Shared<C> = Rc<RefCell<Sieves<C>>>;

impl<C: Cutting> Sieves<C> {
    /// Sieves that have decided nothing yet.
    pub(crate) fn shared(standings: Standings) -> Shared<C> {
        Rc::new(RefCell::new(Self { standings, cutting: C::default() }))
    }

    /// What there is to tell for the decisions for `epoch`.
    pub(crate) fn ask(&mut self, epoch: u32) -> Vec<Said<C::Ask>> {
        let cuts = self.cutting.ask(&self.standings, epoch).into_iter().map(Said::Cut);
        cuts.chain(self.standings.means(epoch).into_iter().map(|(of, mean)| Said::Mean(of, mean))).collect()
    }

    /// From what all workers tell to what each of them has to hear.
    pub(crate) fn answer<'s>(
        ground: &Ground<'s>,
        sieves: &Shared<C>,
        asks: StreamVec<'s, Tick, Said<C::Ask>>,
    ) -> StreamVec<'s, Tick, Said<C::Answer>> {
        let (cuts, means) = asks.ok_err(|said| match said {
            Said::Cut(ask) => Ok(ask),
            Said::Mean(of, mean) => Err((of, mean)),
        });
        let means = means.broadcast().map(|(of, mean)| Said::Mean(of, mean));
        C::answer(ground, sieves, cuts).map(Said::Cut).concat(means)
    }

    /// Who changes by the decisions for `epoch`, one member after the other, in order of the samples; new
    /// windows begin.
    pub(crate) fn decide(&mut self, epoch: u32, said: Vec<Said<C::Answer>>) -> Vec<Vec<Change>> {
        let (mut answers, mut means) = (Vec::new(), BTreeMap::<OfGroup, ExactMean>::new());
        for said in said {
            match said {
                Said::Cut(answer) => answers.push(answer),
                Said::Mean(of, mean) => means.entry(of).or_default().merge(&mean),
            }
        }
        let moves = self.cutting.moves(&self.standings, epoch, answers);
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
        let means = |(number, group): (usize, &Group)| {
            let classes = group.policy.classes();
            let count = classes.map_or(1, |classes| classes.sizes().len());
            let mut means = vec![ExactMean::default(); count];
            for index in 0..self.share.len() {
                let stratum = classes.map_or(0, |classes| classes.of(self.share.sample(index)));
                means[usize::from(stratum)].add(f32::from_bits(group.state.key(index as usize)));
            }
            (0..=u16::MAX).zip(means).map(move |(stratum, mean)| ((number, stratum), mean))
        };
        asked.flat_map(means).collect()
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
