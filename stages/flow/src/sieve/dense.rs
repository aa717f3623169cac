//! Cutting by a pass over dense state.
//!
//! Every worker counts how many of its samples stand in each coarse class of neighbouring places. The sum over all workers
//! tells for every cut the class that it goes through; the samples in that class alone go to all workers, which find the
//! exact place of the cut among them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Broadcast;

use crate::tick::Tick;
use crate::windowed::Ground;

use super::cut::{Cutting, Move, Shared};
use super::orders::{Kind, Order};
use super::place::{Class, Place, Ranked};
use super::standings::Standings;

/// How many of a worker's samples stand in each class of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    order: usize,
    classes: Vec<(Class, u32)>,
}

/// A worker's samples in one class of an order, and the cuts that go through it: by number, with how many they take of
/// it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Candidates {
    order: usize,
    class: Class,
    cuts: Vec<(usize, u32)>,
    ranked: Vec<Ranked>,
}

/// The last place that a cut takes in, with the sample there: places below it are in, too. `None`: there is none.
type Limit = Option<Ranked>;

/// Above all.
const EVERYTHING: Limit = Some((Place::LAST, u32::MAX));

/// Cuts by passes over dense state.
#[derive(Default)]
pub(crate) struct Dense;

impl Cutting for Dense {
    type Ask = Tally;
    type Answer = Candidates;

    fn ask(&mut self, standings: &Standings, epoch: u32) -> Vec<Tally> {
        let tally = |(order, Order { kind, .. }): (usize, Order)| {
            let mut sizes: HashMap<Class, u32, BuildHasherDefault<Multiply>> = HashMap::default();
            standings.places(kind, epoch, |_, place| *sizes.entry(place.class()).or_default() += 1);
            Tally { order, classes: sizes.into_iter().collect() }
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
            let (standings, next) = (&sieves.borrow().standings, close.epoch + 1);
            let orders = standings.orders(next);
            let mut totals: Vec<BTreeMap<Class, u32>> = vec![BTreeMap::new(); orders.len()];
            for Tally { order, classes } in tallies.through(close.epoch) {
                let total = &mut totals[order];
                classes.into_iter().for_each(|(class, size)| *total.entry(class).or_default() += size);
            }
            for (order, (Order { kind, cuts }, total)) in orders.into_iter().zip(totals).enumerate() {
                candidates_out.give(close, candidates_of(standings, (order, kind, next), &cuts, &total));
            }
        });
        candidates.broadcast()
    }

    fn moves(&mut self, standings: &Standings, epoch: u32, answers: Vec<Candidates>) -> Vec<Vec<Move>> {
        let orders = standings.orders(epoch);
        // A cut that goes through no class takes in nothing, or all.
        let whole = |(_, wanted): &(u32, u32)| if *wanted == 0 { None } else { EVERYTHING };
        let mut limits: Vec<Vec<Limit>> =
            orders.iter().map(|order| order.cuts.iter().map(whole).collect()).collect();
        let mut classes: BTreeMap<(usize, Class), Candidates> = BTreeMap::new();
        for mut candidates in answers {
            match classes.get_mut(&(candidates.order, candidates.class)) {
                Some(known) => known.ranked.append(&mut candidates.ranked),
                None => drop(classes.insert((candidates.order, candidates.class), candidates)),
            }
        }
        for Candidates { order, cuts, mut ranked, .. } in classes.into_values() {
            ranked.sort_unstable();
            cuts.into_iter().for_each(|(cut, taken)| limits[order][cut] = Some(ranked[taken as usize - 1]));
        }
        moves(standings, epoch, &orders, &limits)
    }
}

/// This worker's samples in the classes through which the cuts go.
fn candidates_of(
    standings: &Standings,
    (order, kind, epoch): (usize, Kind, u32),
    cuts: &[(u32, u32)],
    total: &BTreeMap<Class, u32>,
) -> Vec<Candidates> {
    let mut sets: Vec<Candidates> = Vec::new();
    for (cut, (_, wanted)) in cuts.iter().enumerate() {
        let Some((class, taken)) = through(total, *wanted) else { continue };
        match sets.iter_mut().find(|set| set.class == class) {
            Some(set) => set.cuts.push((cut, taken)),
            None => sets.push(Candidates { order, class, cuts: vec![(cut, taken)], ranked: Vec::new() }),
        }
    }
    sets.sort_by_key(|set| set.class);
    if !sets.is_empty() {
        standings.places(kind, epoch, |index, place| {
            if let Ok(set) = sets.binary_search_by_key(&place.class(), |set| set.class) {
                sets[set].ranked.push((place, standings.share.sample(index)));
            }
        });
    }
    sets
}

/// The class in which the lowest `wanted` end, and how many of it are below: one at least. `None` if it is none of
/// them: 0 are wanted, or more than there are.
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

/// Who moves, given the limits of every order's cuts.
fn moves(standings: &Standings, epoch: u32, orders: &[Order], limits: &[Vec<Limit>]) -> Vec<Vec<Move>> {
    let mut moves: Vec<Vec<Move>> = vec![Vec::new(); standings.members.len()];
    for (order, limits) in orders.iter().zip(limits) {
        match order.kind {
            Kind::Shared { .. } | Kind::All { .. } => outside(standings, order, epoch, limits, &mut moves),
            Kind::Active { member } | Kind::Queue { member } => {
                let enters = matches!(order.kind, Kind::Queue { .. });
                standings.places(order.kind, epoch, |index, place| {
                    if Some((place, standings.share.sample(index))) <= limits[0] {
                        let key = if enters { 0 } else { place.key() };
                        moves[member as usize].push((index, enters, key));
                    }
                });
            }
        }
    }
    // Leavers and those who enter, in one order.
    moves.iter_mut().for_each(|moves| moves.sort_unstable());
    moves
}

/// What is below a member's limit is out, all others are in.
fn outside(standings: &Standings, order: &Order, epoch: u32, limits: &[Limit], moves: &mut [Vec<Move>]) {
    // One comparison finds out for all: cuts in ascending order, and for each sample the first that takes it in.
    let mut ascending: Vec<usize> = (0..limits.len()).collect();
    ascending.sort_by_key(|cut| limits[*cut]);
    let sorted: Vec<Limit> = ascending.iter().map(|cut| limits[*cut]).collect();
    let members: Vec<(usize, &[bool])> = ascending
        .iter()
        .map(|cut| order.cuts[*cut].0 as usize)
        .map(|member| (member, standings.members[member].set.active.as_slice()))
        .collect();
    standings.places(order.kind, epoch, |index, place| {
        let first = sorted.partition_point(|limit| *limit < Some((place, standings.share.sample(index))));
        for (at, (member, active)) in members.iter().enumerate() {
            let enters = at < first;
            if active[index as usize] != enters {
                moves[*member].push((index, enters, if enters { 0 } else { place.key() }));
            }
        }
    });
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
