//! Cutting by a pass over dense state.
//!
//! Every worker counts how many of its samples stand in each coarse class of neighbouring places. The sum
//! over all workers tells for every cut the class that it goes through; the samples in that class alone go to
//! all workers, which find the exact place of the cut among them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Broadcast;

use crate::tick::Tick;
use crate::windowed::Ground;

use super::cut::{Cutting, Move, Shared, Sieves};
use super::orders::{Kind, Order};
use super::place::{Class, Place, Ranked};
use super::standings::Standings;

/// How many of a worker's samples stand in each class of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    order: usize,
    classes: Vec<(Class, u32)>,
}

/// A worker's samples in one class of an order, and the cuts that go through it: by number, with how many
/// they take of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Candidates {
    order: usize,
    class: Class,
    cuts: Vec<(usize, u32)>,
    ranked: Vec<Ranked>,
}

/// Cuts by passes over dense state.
#[derive(Default)]
pub(crate) struct Dense {
    /// Who of this worker's samples moves, member by member, as far as classes tell.
    settled: Vec<Vec<Move>>,
}

impl Cutting for Dense {
    type Ask = Tally;
    type Answer = Candidates;

    fn ask(&mut self, standings: &Standings, epoch: u32) -> Vec<Tally> {
        let tally = |(number, order): (usize, Order)| {
            let mut sizes: HashMap<Class, u32, BuildHasherDefault<Multiply>> = HashMap::default();
            standings.places(&order, epoch, |_, place| *sizes.entry(place.class()).or_default() += 1);
            Tally { order: number, classes: sizes.into_iter().collect() }
        };
        standings.orders(epoch).into_iter().enumerate().map(tally).collect()
    }

    fn answer<'s>(
        ground: &Ground<'s>,
        sieves: &Shared<Self>,
        asks: StreamVec<'s, Tick, Tally>,
    ) -> StreamVec<'s, Tick, Candidates> {
        let sieves = Rc::clone(sieves);
        let mut window = ground.window("Split");
        let tallies = window.broadcast(asks);
        let (mut candidates_out, candidates) = window.output();
        window.build(move |close| {
            let (mut sieves, next) = (sieves.borrow_mut(), close.epoch + 1);
            let Sieves { standings, cutting } = &mut *sieves;
            let orders = standings.orders(next);
            let mut totals: Vec<BTreeMap<Class, u32>> = vec![BTreeMap::new(); orders.len()];
            for Tally { order, classes } in tallies.through(close.epoch) {
                let total = &mut totals[order];
                classes.into_iter().for_each(|(class, size)| *total.entry(class).or_default() += size);
            }
            cutting.settled = vec![Vec::new(); standings.members.len()];
            for (number, (order, total)) in orders.iter().zip(totals).enumerate() {
                candidates_out.give(close, cutting.settle(standings, next, (number, order), &total));
            }
        });
        candidates.broadcast()
    }

    fn moves(&mut self, standings: &Standings, epoch: u32, answers: Vec<Candidates>) -> Vec<Vec<Move>> {
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
}

impl Dense {
    /// Settles who moves by the classes of an order, whose sizes are in `total`; this worker's samples in the
    /// classes through which cuts go are left open.
    fn settle(
        &mut self,
        standings: &Standings,
        epoch: u32,
        (at, order): (usize, &Order),
        total: &BTreeMap<Class, u32>,
    ) -> Vec<Candidates> {
        let (Order { kind, stratum, cuts }, mut open) = (order, Vec::<Candidates>::new());
        // The first class that a cut does not take in whole, and the one through which it goes.
        let mut bounds = Vec::new();
        for (cut, (member, wanted)) in cuts.iter().enumerate() {
            let split = through(total, *wanted);
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
        let (mut classes, mut levels, mut flags) = (Vec::<Class>::new(), Vec::<u16>::new(), Vec::<u8>::new());
        standings.chunks(order, epoch, |indices, places| {
            let Some(first) = indices.first().map(|index| *index as usize) else { return };
            classes.clear();
            classes.extend(places.iter().map(|place| place.class()));
            levels.clear();
            levels.extend(classes.iter().map(|class| steps.partition_point(|step| step <= class) as u16));
            for (at, class) in classes.iter().enumerate() {
                // Only a bound is split.
                if steps[..levels[at] as usize].last() == Some(class)
                    && let Ok(number) = open.binary_search_by_key(class, |open| open.class)
                {
                    open[number].ranked.push((places[at], standings.share.sample(indices[at])));
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
                        settled.push(moved(*kind, is_in(&levels[at]), (indices[at], places[at])));
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

/// The class in which the lowest `wanted` end, and how many of it are below: one at least. `None` if it is
/// none of them: 0 are wanted, or more than there are.
fn through(classes: &BTreeMap<Class, u32>, wanted: u32) -> Option<(Class, u32)> {
    let mut left = wanted;
    for (class, size) in classes.iter().filter(|_| wanted > 0) {
        match left.checked_sub(*size) {
            Some(rest) if rest > 0 => left = rest,
            _ => return Some((*class, left)),
        }
    }
    None
}

/// Hashes one number by one multiplication: classes are few, and nothing chooses them to collide.
#[derive(Default)]
struct Multiply(u64);

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_ends_in_one_class() {
        let classes = BTreeMap::from([(3, 5), (4, 1), (9, 10)]);
        assert_eq!(through(&classes, 0), None);
        for (wanted, class, taken) in [(1, 3, 1), (5, 3, 5), (6, 4, 1), (7, 9, 1), (16, 9, 10)] {
            assert_eq!(through(&classes, wanted), Some((class, taken)), "{wanted}");
        }
        assert_eq!(through(&classes, 17), None);
    }
}
