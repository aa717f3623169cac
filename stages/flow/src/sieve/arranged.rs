//! Cutting by differential collections that are told what has changed.
//!
//! Every worker ranks its samples, which is a pass over them, and hands on those whose places are others than at the decision
//! before; the cut itself costs what has changed.

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

/// A sample comes into a member's cut through an order, or goes from it.
type InCut = ((Kind, u32), Ranked);

/// By order, member and sample: how often it came into the cut minus how often it went, and the key it came with.
type Heard = BTreeMap<(Kind, u32, u32), (i32, u32)>;

/// Cuts in arrangements.
#[derive(Default)]
pub(crate) struct Arranged {
    /// The places in every order as they were told last; [`Place::LAST`]: none.
    places: BTreeMap<Kind, Vec<Place>>,
    /// How many are wanted, as it was told last.
    wanted: BTreeMap<(Kind, u32), u32>,
    /// What has been heard, by the moment at which it counts.
    heard: BTreeMap<Tick, Heard>,
    /// The cuts that have been heard of before.
    known: BTreeSet<(Kind, u32)>,
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
        // A message's stamp is only a lower bound of the times inside it.
        for (((kind, member), (place, sample)), at, diff) in answers {
            let heard = self.heard.entry(at).or_default().entry((kind, member, sample)).or_default();
            heard.0 += diff;
            if diff > 0 {
                heard.1 = place.key();
            }
        }
        let heard = self.heard.remove(&Tick::close_of(epoch.saturating_sub(1))).unwrap_or_default();
        let mut moves: Vec<Vec<Move>> = vec![Vec::new(); standings.members.len()];
        for ((kind, member, sample), (net, key)) in heard.iter().filter(|(_, (net, _))| *net != 0) {
            let (index, came) = (standings.share.index(*sample), *net > 0);
            let active = standings.members[*member as usize].set.active[index as usize];
            let moved = match kind {
                // What is cut is gone from the order at the next decision, and that it goes is history.
                Kind::Active { .. } => came.then_some((index, false, *key)),
                Kind::Queue { .. } => came.then_some((index, true, 0)),
                // The cut is the outside.
                Kind::Shared { .. } | Kind::All { .. } => {
                    (active == came).then_some((index, !came, if came { *key } else { 0 }))
                }
            };
            moves[*member as usize].extend(moved);
        }
        for Order { kind, cuts } in standings.orders(epoch) {
            for (member, _) in cuts.into_iter().filter(|(member, _)| self.known.insert((kind, *member))) {
                if !matches!(kind, Kind::Shared { .. } | Kind::All { .. }) {
                    continue;
                }
                // Of the first cut it is not told what is not in it.
                let outside = |index: &u32| !standings.members[member as usize].set.active[*index as usize];
                let out = |index: u32| heard.contains_key(&(kind, member, standings.share.sample(index)));
                let enter = (0..standings.share.len()).filter(outside).filter(|index| !out(*index));
                moves[member as usize].extend(enter.map(|index| (index, true, 0)));
            }
        }
        moves.iter_mut().for_each(|moves| moves.sort_unstable());
        moves
    }
}
