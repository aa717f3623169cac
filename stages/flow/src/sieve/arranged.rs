//! Cutting by differential collections that are told what has changed.
//!
//! Every worker ranks its samples, which is a pass over them, and hands on those whose places are others than
//! at the decision before; the cut itself costs what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::replace;

use differential_dataflow::AsCollection;
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::core::{Exchange, OkErr};

use crate::tick::Tick;
use crate::windowed::Ground;

use super::cut::{Cutting, Move, Shared};
use super::lowest::lowest_of;
use super::orders::Kind;
use super::place::{Place, Ranked};
use super::standings::Standings;

/// What of an order changes at a decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// A sample takes a place, or gives it up.
    Place(Ranked),
    /// A member wants so many of the lowest, or no more.
    Wanted(u32, u32),
}

/// A change of an order, at a moment.
type Update<D> = (D, Tick, i32);

/// The samples of an order, those of one class alone if it is cut by class.
type Stratum = (Kind, Option<u16>);

/// A member's cut through an order.
type CutOf = (Stratum, u32);

/// A sample comes into a cut, or goes from it.
type InCut = (CutOf, Ranked);

/// Cuts in arrangements.
#[derive(Default)]
pub(crate) struct Arranged {
    /// The places in every order as they were told last, all classes together; [`Place::LAST`]: none.
    places: BTreeMap<Kind, Vec<Place>>,
    /// How many are wanted, as it was told last.
    wanted: BTreeMap<CutOf, u32>,
    /// How often a sample came into a cut minus how often it went, by the moment at which it counts.
    heard: BTreeMap<Tick, BTreeMap<(CutOf, u32), i32>>,
    /// Who is in every cut. An order that no decision asks for rests, and so do its cuts.
    cuts: BTreeMap<CutOf, BTreeSet<u32>>,
}

impl Cutting for Arranged {
    type Ask = Update<(Stratum, Asked)>;
    type Answer = Update<InCut>;

    fn ask(&mut self, standings: &Standings, epoch: u32) -> Vec<Self::Ask> {
        let (at, share, mut asks) = (Tick::close_of(epoch.saturating_sub(1)), standings.share, Vec::new());
        for order in standings.orders(epoch) {
            let (kind, indices) = (order.kind, standings.indices(&order));
            let of = (kind, order.stratum);
            let none = || vec![Place::LAST; share.len() as usize];
            let places = self.places.entry(kind).or_insert_with(none);
            let before: Vec<Place> =
                indices.iter().map(|index| replace(&mut places[*index as usize], Place::LAST)).collect();
            standings.places(&order, epoch, |index, place| places[index as usize] = place);
            for (index, before) in indices.into_iter().zip(before) {
                let (now, sample) = (places[index as usize], share.sample(index));
                let changes = [(before, -1), (now, 1)].into_iter().filter(|_| before != now);
                let placed = changes.filter(|(place, _)| *place != Place::LAST);
                asks.extend(placed.map(|(place, diff)| ((of, Asked::Place((place, sample))), at, diff)));
            }
            for (member, wanted) in order.cuts {
                let before = self.wanted.insert((of, member), wanted).unwrap_or(0);
                let changes = [(before, -1), (wanted, 1)].into_iter().filter(|_| before != wanted);
                let any = changes.filter(|(wanted, _)| *wanted > 0 && share.is_first());
                asks.extend(any.map(|(wanted, diff)| ((of, Asked::Wanted(member, wanted)), at, diff)));
            }
        }
        asks
    }

    fn answer<'s>(
        _: &Ground<'s>,
        sieves: &Shared<Self>,
        asks: StreamVec<'s, Tick, Self::Ask>,
    ) -> StreamVec<'s, Tick, Self::Answer> {
        let (ranked, wanted) = asks.ok_err(|((of, asked), at, diff)| match asked {
            Asked::Place(ranked) => Ok(((of, ranked), at, diff)),
            Asked::Wanted(member, wanted) => Err(((of, (member, wanted)), at, diff)),
        });
        let cuts = lowest_of(ranked.as_collection(), wanted.as_collection());
        let share = sieves.borrow().standings.share;
        cuts.inner.exchange(move |((_, (_, sample)), ..): &Update<InCut>| u64::from(share.owner(*sample)))
    }

    fn moves(&mut self, standings: &Standings, epoch: u32, answers: Vec<Self::Answer>) -> Vec<Vec<Move>> {
        let share = standings.share;
        // A message's stamp is only a lower bound of the times inside it.
        for ((cut, (_, sample)), at, diff) in answers {
            *self.heard.entry(at).or_default().entry((cut, share.index(sample))).or_default() += diff;
        }
        let heard = self.heard.remove(&Tick::close_of(epoch.saturating_sub(1))).unwrap_or_default();
        for ((cut, index), net) in heard.into_iter().filter(|(_, net)| *net != 0) {
            let inside = self.cuts.entry(cut).or_default();
            let fits = if net > 0 { inside.insert(index) } else { inside.remove(&index) };
            assert!(fits, "a sample comes into a cut once, and goes once");
        }
        let mut moves: Vec<Vec<Move>> = vec![Vec::new(); standings.members.len()];
        for order in standings.orders(epoch) {
            let (kind, indices) = (order.kind, standings.indices(&order));
            let key = |index: u32| self.places[&kind][index as usize].key();
            for (member, _) in order.cuts {
                let inside = self.cuts.entry(((kind, order.stratum), member)).or_default();
                let moves = &mut moves[member as usize];
                match kind {
                    Kind::Active { .. } => {
                        moves.extend(inside.iter().map(|index| (*index, false, key(*index))))
                    }
                    Kind::Queue { .. } => moves.extend(inside.iter().map(|index| (*index, true, 0))),
                    // The cut is the outside.
                    Kind::Shared { .. } | Kind::All { .. } => {
                        let active = &standings.members[member as usize].set.active;
                        let held = indices.iter().map(|index| (*index, active[*index as usize]));
                        let moved = held.filter(|(index, active)| inside.contains(index) == *active);
                        let key = |leaves: bool, index| if leaves { key(index) } else { 0 };
                        moves.extend(moved.map(|(index, leaves)| (index, !leaves, key(leaves, index))));
                    }
                }
            }
        }
        moves.iter_mut().for_each(|moves| moves.sort_unstable());
        moves
    }
}
