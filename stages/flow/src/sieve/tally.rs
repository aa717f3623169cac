//! How many samples stand in each class of every order, as every worker tells it: by what has changed.
//!
//! Where a sample's place follows from its key alone, its class is kept, four bytes a sample: a decision then
//! looks at every key, and ranks those samples only whose key has changed. Other orders are ranked anew.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

use crate::tick::Tick;

use super::orders::{Kind, Order};
use super::place::{Class, Place, fits};
use super::standings::Standings;

/// The samples of an order, those of one class of the data set alone if it is cut by class.
pub(crate) type Stratum = (Kind, Option<u16>);

/// What of an order changes at a decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// So many samples more, or fewer, stand in a class.
    Size(Class),
    /// A member wants so many of the lowest, or no more.
    Wanted(u32, u32),
}

/// A change, at a moment, by a number.
pub(crate) type Ask = ((Stratum, Asked), Tick, i64);

/// Sizes of classes.
type Sizes = HashMap<Class, i64, BuildHasherDefault<Multiply>>;

/// No class.
const NONE: Class = Class::MAX;

/// What a worker has told of its samples.
#[derive(Default)]
pub(crate) struct Tallies {
    /// The class of every sample in the orders in which it follows from the key.
    classes: BTreeMap<Kind, Vec<Class>>,
    /// The sizes in all other orders.
    sizes: BTreeMap<Stratum, Sizes>,
    /// How many are wanted.
    wanted: BTreeMap<(Stratum, u32), u32>,
}

impl Tallies {
    /// What there is to tell for the decisions for `epoch`.
    pub(super) fn ask(&mut self, standings: &Standings, epoch: u32) -> Vec<Ask> {
        let (at, mut asks) = (Tick::close_of(epoch.saturating_sub(1)), Vec::new());
        for order in standings.orders(epoch) {
            let of = (order.kind, order.stratum);
            let changes = match standings.is_by_key(order.kind) {
                true => self.reclass(standings, &order, epoch),
                false => self.recount(standings, &order, epoch),
            };
            let sized = changes.into_iter().filter(|(_, diff)| *diff != 0);
            asks.extend(sized.map(|(class, diff)| ((of, Asked::Size(class)), at, diff)));
            for (member, wanted) in order.cuts {
                let before = self.wanted.insert((of, member), wanted).unwrap_or(0);
                let changes = [(before, -1), (wanted, 1)].into_iter().filter(|_| before != wanted);
                let any = changes.filter(|(wanted, _)| *wanted > 0 && standings.share.is_first());
                asks.extend(any.map(|(wanted, diff)| ((of, Asked::Wanted(member, wanted)), at, diff)));
            }
        }
        asks
    }

    /// Ranks those whose keys have changed.
    fn reclass(&mut self, standings: &Standings, order: &Order, epoch: u32) -> Sizes {
        let none = || vec![NONE; standings.share.len() as usize];
        let classes = self.classes.entry(order.kind).or_insert_with(none);
        let mut changes = Sizes::default();
        standings.keyed(order, |indices, keys| {
            for (index, key) in indices.iter().zip(keys) {
                let class = &mut classes[*index as usize];
                if *class != NONE && fits(*class, *key) {
                    continue;
                }
                let now = standings.place_by_key(order.kind, epoch, *index, *key).class();
                if *class != NONE {
                    *changes.entry(*class).or_default() -= 1;
                }
                *changes.entry(now).or_default() += 1;
                *class = now;
            }
        });
        changes
    }

    /// Ranks all.
    fn recount(&mut self, standings: &Standings, order: &Order, epoch: u32) -> Sizes {
        let mut now = Sizes::default();
        standings.chunks(order, epoch, |_, places| {
            places.iter().for_each(|place| *now.entry(place.class()).or_default() += 1);
        });
        let mut changes = now.clone();
        for (class, size) in self.sizes.insert((order.kind, order.stratum), now).into_iter().flatten() {
            *changes.entry(class).or_default() -= size;
        }
        changes
    }

    /// Visits the samples of an order with their classes, many at a time, in order of their indices; the last
    /// argument gives the place of one of them.
    pub(super) fn classes(
        &self,
        standings: &Standings,
        order: &Order,
        epoch: u32,
        mut visit: impl FnMut(&[u32], &[Class], &dyn Fn(usize) -> Place),
    ) {
        let mut classes = Vec::new();
        let Some(known) = self.classes.get(&order.kind) else {
            return standings.chunks(order, epoch, |indices, places| {
                classes.clear();
                classes.extend(places.iter().map(|place| place.class()));
                visit(indices, &classes, &|at| places[at]);
            });
        };
        standings.keyed(order, |indices, keys| {
            let place = |at: usize| standings.place_by_key(order.kind, epoch, indices[at], keys[at]);
            if order.stratum.is_none() {
                let first = indices[0] as usize;
                return visit(indices, &known[first..first + indices.len()], &place);
            }
            classes.clear();
            classes.extend(indices.iter().map(|index| known[*index as usize]));
            visit(indices, &classes, &place);
        });
    }
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

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}
