//! Who moves by a cut, once it is known where it goes: a pass over the classes of this worker's samples, and
//! an exact order of those in the class through which the cut goes.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Broadcast;

use crate::tick::Tick;
use crate::windowed::Ground;

use super::bounds::{Bounds, bounds};
use super::cut::{Move, Shared, Sieves};
use super::orders::{Kind, Order};
use super::place::{Class, Place, Ranked};
use super::standings::Standings;
use super::tally::{Ask, Tallies};

/// A worker's samples in one class of an order, and the cuts that go through it: by number, with how many
/// they take of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Candidates {
    order: usize,
    class: Class,
    cuts: Vec<(usize, u32)>,
    ranked: Vec<Ranked>,
}

/// Who of this worker's samples moves by the decisions under way, member by member, as far as classes tell.
#[derive(Default)]
pub(super) struct Split {
    settled: Vec<Vec<Move>>,
}

/// From what the workers tell of their classes to the candidates of all of them.
pub(super) fn split<'s>(
    ground: &Ground<'s>,
    sieves: &Shared,
    asks: StreamVec<'s, Tick, Ask>,
) -> StreamVec<'s, Tick, Candidates> {
    let sieves = Rc::clone(sieves);
    let mut window = ground.window("Split");
    let told = window.broadcast(bounds(asks));
    let (mut candidates_out, candidates) = window.output();
    let mut bounds = Bounds::default();
    window.build(move |close| {
        let (mut sieves, next) = (sieves.borrow_mut(), close.epoch + 1);
        let Sieves { standings, tallies, split } = &mut *sieves;
        bounds.hear(close.epoch, told.through(close.epoch));
        split.settled = vec![Vec::new(); standings.members.len()];
        for (number, order) in standings.orders(next).iter().enumerate() {
            candidates_out.give(close, split.settle((standings, tallies), next, (number, order), &bounds));
        }
    });
    candidates.broadcast()
}

impl Split {
    /// Who moves by the decisions for `epoch`, one member after the other, in order of the samples.
    pub(super) fn moves(
        &mut self,
        standings: &Standings,
        epoch: u32,
        answers: Vec<Candidates>,
    ) -> Vec<Vec<Move>> {
        let mut moves = std::mem::take(&mut self.settled);
        moves.resize(standings.members.len(), Vec::new());
        let mut classes: BTreeMap<(usize, Class), Candidates> = BTreeMap::new();
        for mut candidates in answers {
            match classes.get_mut(&(candidates.order, candidates.class)) {
                Some(known) => known.ranked.append(&mut candidates.ranked),
                None => drop(classes.insert((candidates.order, candidates.class), candidates)),
            }
        }
        let orders = standings.orders(epoch);
        for Candidates { order, cuts, mut ranked, .. } in classes.into_values() {
            ranked.sort_unstable();
            let Order { kind, cuts: members, .. } = &orders[order];
            let own = ranked.iter().zip(0..).filter(|((_, sample), _)| standings.share.has(*sample));
            for ((place, sample), number) in own {
                let index = standings.share.index(*sample);
                for (cut, taken) in &cuts {
                    let member = members[*cut].0 as usize;
                    let active = standings.members[member].set.active[index as usize];
                    if self::moves(*kind, active, number < *taken) {
                        moves[member].push(moved(*kind, number < *taken, (index, *place)));
                    }
                }
            }
        }
        // Leavers and those who enter, in one order: runs in order already, which a stable sort merges.
        moves.iter_mut().for_each(|moves| moves.sort());
        moves
    }

    /// Settles who moves by the classes of an order; this worker's samples in the classes through which cuts
    /// go are left open.
    fn settle(
        &mut self,
        (standings, tallies): (&Standings, &Tallies),
        epoch: u32,
        (at, order): (usize, &Order),
        known: &Bounds,
    ) -> Vec<Candidates> {
        let (Order { kind, stratum, cuts }, mut open) = (order, Vec::<Candidates>::new());
        // The first class that a cut does not take in whole, and the one through which it goes.
        let mut bounds = Vec::new();
        for (cut, (member, wanted)) in cuts.iter().enumerate() {
            let split = known.of(order, *member).filter(|_| *wanted > 0);
            let whole = if *wanted == 0 { Class::MIN } else { Class::MAX };
            let active = standings.members[*member as usize].set.active.as_slice();
            bounds.push((*member, active, split.map_or(whole, |(class, _)| class), split.is_some()));
            let Some((class, taken)) = split else { continue };
            match open.iter_mut().find(|open| open.class == class) {
                Some(open) => open.cuts.push((cut, taken)),
                None => open.push(Candidates { order: at, class, cuts: vec![(cut, taken)], ranked: vec![] }),
            }
        }
        open.sort_by_key(|open| open.class);
        // A sample's level is how many of the bounds its class has reached: small numbers, of which the
        // compiler compares many at a time.
        let mut steps: Vec<Class> = bounds.iter().map(|(.., bound, _)| *bound).collect();
        steps.sort_unstable();
        steps.dedup();
        assert!(steps.len() <= usize::from(u16::MAX), "an order has {} cuts, too many", steps.len());
        let (mut levels, mut flags) = (Vec::<u16>::new(), Vec::<u8>::new());
        tallies.classes(standings, order, epoch, |indices, classes, place| {
            let Some(first) = indices.first().map(|index| *index as usize) else { return };
            levels.clear();
            match &steps[..] {
                [step] => levels.extend(classes.iter().map(|class| u16::from(class >= step))),
                steps => {
                    let level = |class: &Class| steps.partition_point(|step| step <= class) as u16;
                    levels.extend(classes.iter().map(level));
                }
            }
            for (at, class) in classes.iter().enumerate() {
                // Only a bound is split.
                if levels[at] > 0
                    && steps[levels[at] as usize - 1] == *class
                    && let Ok(number) = open.binary_search_by_key(class, |open| open.class)
                {
                    open[number].ranked.push((place(at), standings.share.sample(indices[at])));
                }
            }
            // Member by member, because most samples do not move.
            for (member, active, bound, is_split) in &bounds {
                let step = steps.partition_point(|step| step < bound) as u16;
                flags.clear();
                let (is_in, held) = (|level: &u16| *level <= step, &active[first..]);
                let moves = |(level, held): (&u16, &bool)| u8::from(is_in(level) == *held);
                match (kind.is_exchange(), stratum) {
                    (true, _) => flags.extend(levels.iter().map(|level| u8::from(is_in(level)))),
                    // All samples are in such an order.
                    (false, None) => flags.extend(levels.iter().zip(held).map(moves)),
                    (false, Some(_)) => {
                        let held = indices.iter().map(|index| &active[*index as usize]);
                        flags.extend(levels.iter().zip(held).map(moves));
                    }
                }
                let settled = &mut self.settled[*member as usize];
                for at in memchr::memchr_iter(1, &flags) {
                    if !(*is_split && classes[at] == *bound) {
                        settled.push(moved(*kind, is_in(&levels[at]), (indices[at], place(at))));
                    }
                }
            }
        });
        open
    }
}

/// Whether a sample moves that was `active`, if a cut takes it in or does not.
fn moves(kind: Kind, active: bool, is_in: bool) -> bool {
    // In an order of all samples the cut is the outside.
    is_in == (active || kind.is_exchange())
}

/// How one moves that does.
fn moved(kind: Kind, is_in: bool, (index, place): (u32, Place)) -> Move {
    let enters = matches!(kind, Kind::Queue { .. }) || !is_in;
    (index, enters, if enters { 0 } else { place.key() })
}
