//! Cutting by differential collections that are told what has changed.
//!
//! Every worker ranks its samples, which is a pass over them, and hands on those whose places are others than
//! at the decision before; the cut itself costs what has changed.

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::AsCollection;
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::core::{Exchange, OkErr};

use crate::tick::Tick;
use crate::windowed::Ground;

use super::cut::{Cutting, Move, Shared};
use super::lowest::lowest_of;
use super::orders::{Kind, Order};
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

/// A member's cut through an order.
type CutOf = (Kind, u32);

/// A sample comes into a cut, or goes from it.
type InCut = (CutOf, Ranked);

/// Cuts in arrangements.
#[derive(Default)]
pub(crate) struct Arranged {
    /// The places in every order as they were told last; [`Place::LAST`]: none.
    places: BTreeMap<Kind, Vec<Place>>,
    /// How many are wanted, as it was told last.
    wanted: BTreeMap<CutOf, u32>,
    /// How often a sample came into a cut minus how often it went, by the moment at which it counts.
    heard: BTreeMap<Tick, BTreeMap<(CutOf, u32), i32>>,
    /// Who is in every cut. An order that no decision asks for rests, and so do its cuts.
    cuts: BTreeMap<CutOf, BTreeSet<u32>>,
}

impl Cutting for Arranged {
    type Ask = Update<(Kind, Asked)>;
    type Answer = Update<InCut>;

    fn ask(&mut self, standings: &Standings, epoch: u32) -> Vec<Self::Ask> {
        let (at, share, mut asks) = (Tick::close_of(epoch.saturating_sub(1)), standings.share, Vec::new());
        for Order { kind, cuts } in standings.orders(epoch) {
            let mut now = vec![Place::LAST; share.len() as usize];
            standings.places(kind, epoch, |index, place| now[index as usize] = place);
            let before = self.places.remove(&kind).unwrap_or_else(|| vec![Place::LAST; now.len()]);
            for (index, (before, now)) in before.into_iter().zip(&now).enumerate() {
                let changes = [(before, -1), (*now, 1)].into_iter().filter(|_| before != *now);
                let placed = changes.filter(|(place, _)| *place != Place::LAST);
                let sample = share.sample(index as u32);
                asks.extend(placed.map(|(place, diff)| ((kind, Asked::Place((place, sample))), at, diff)));
            }
            self.places.insert(kind, now);
            for (member, wanted) in cuts {
                let before = self.wanted.insert((kind, member), wanted).unwrap_or(0);
                let changes = [(before, -1), (wanted, 1)].into_iter().filter(|_| before != wanted);
                let any = changes.filter(|(wanted, _)| *wanted > 0 && share.is_first());
                asks.extend(any.map(|(wanted, diff)| ((kind, Asked::Wanted(member, wanted)), at, diff)));
            }
        }
        asks
    }

    fn answer<'s>(
        _: &Ground<'s>,
        sieves: &Shared<Self>,
        asks: StreamVec<'s, Tick, Self::Ask>,
    ) -> StreamVec<'s, Tick, Self::Answer> {
        let (ranked, wanted) = asks.ok_err(|((kind, asked), at, diff)| match asked {
            Asked::Place(ranked) => Ok(((kind, ranked), at, diff)),
            Asked::Wanted(member, wanted) => Err(((kind, (member, wanted)), at, diff)),
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
        for Order { kind, cuts } in standings.orders(epoch) {
            let key = |index: u32| self.places[&kind][index as usize].key();
            for (member, _) in cuts {
                let inside = self.cuts.entry((kind, member)).or_default();
                let moves = &mut moves[member as usize];
                match kind {
                    Kind::Active { .. } => {
                        moves.extend(inside.iter().map(|index| (*index, false, key(*index))))
                    }
                    Kind::Queue { .. } => moves.extend(inside.iter().map(|index| (*index, true, 0))),
                    // The cut is the outside.
                    Kind::Shared { .. } | Kind::All { .. } => {
                        let active = &standings.members[member as usize].set.active;
                        let moved = (0..share.len())
                            .zip(active)
                            .filter(|(index, active)| inside.contains(index) == **active);
                        moves.extend(
                            moved.map(|(index, leaves)| {
                                (index, !leaves, if *leaves { key(index) } else { 0 })
                            }),
                        );
                    }
                }
            }
        }
        moves.iter_mut().for_each(|moves| moves.sort_unstable());
        moves
    }
}
