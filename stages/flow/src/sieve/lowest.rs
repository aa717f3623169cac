//! The exact cut: the lowest few of very many, kept up to date for what changes.
//!
//! A histogram of coarse classes tells which class the cut goes through; the classes below it go in whole, the
//! members of that one class are ranked. So a change of the collection costs its own updates, one pass over the
//! histogram and one sort of a single class, however many records there are.

use differential_dataflow::VecCollection;
use differential_dataflow::operators::CountTotal;
use serde::{Deserialize, Serialize};

use crate::tick::Tick;

/// A place in an order: by key, then by age, then by a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// First: the policy's key.
    pub key: u32,
    /// Second: an epoch; the earlier comes first.
    pub since: u32,
    /// Third: a draw.
    pub hash: u64,
}

/// A sample with its place; samples at equal places are in the order of their numbers.
pub type Ranked = (Order, u32);

/// A run of neighbouring places. Classes are ordered like the places in them.
type Class = (u32, u32, u32);

/// Keys below this have classes of their own.
const EXACT: u32 = 64;

/// The class of a place, a monotone map to at most a few ten thousand values. Small keys, and the largest, have classes
/// of their own, split by age and by 256 ranges of the draw. A large key shares its class with those that begin
/// with the same bits: a sixteenth of its octave, and 256 parts of that.
fn class(order: &Order) -> Class {
    let Order { key, since, hash } = *order;
    if key < EXACT || key == u32::MAX {
        return (key, since, (hash >> 56) as u32);
    }
    // At least seven bits: one that leads, four that name the sixteenth, and what is left of the next eight.
    let low = 27 - key.leading_zeros();
    let coarse = key >> low << low;
    let part = key - coarse;
    (coarse, part >> low.saturating_sub(8), 0)
}

/// An entry in the list that is cut: the number wanted comes before all classes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Entry {
    Wanted(u32),
    Class(Class, i32),
}

/// The lowest `wanted` of the `ranked`, exactly; all of them if there are fewer. `wanted` holds one number, or none
/// for 0. Every sample is in `ranked` at most once.
pub fn lowest<'s>(
    ranked: VecCollection<'s, Tick, Ranked, i32>,
    wanted: VecCollection<'s, Tick, u32, i32>,
) -> VecCollection<'s, Tick, Ranked, i32> {
    let members = ranked.map(|ranked| (class(&ranked.0), ranked)).arrange_by_key_named("Members");
    let sizes = members.clone().as_collection(|class, _| *class).count_total_core::<i32>();
    let list = sizes.map(|(class, size)| Entry::Class(class, size)).concat(wanted.map(Entry::Wanted));
    // For each class that the cut lets in: how many of it, and whether that is all.
    let cut = list.map(|entry| ((), entry)).reduce_named(
        "Cut",
        |(), entries, cut: &mut Vec<((Class, i32, bool), i32)>| {
            let mut left = 0i64;
            for (entry, _) in entries {
                match **entry {
                    Entry::Wanted(count) => left += i64::from(count),
                    Entry::Class(class, size) if left > 0 => {
                        let taken = left.min(i64::from(size));
                        cut.push(((class, taken as i32, taken == i64::from(size)), 1));
                        left -= taken;
                    }
                    Entry::Class(..) => break,
                }
            }
        },
    );
    let whole = cut.clone().filter(|(_, (_, _, all))| *all).map(|(_, (class, ..))| (class, ()));
    let split = cut.filter(|(_, (_, _, all))| !*all).map(|(_, (class, taken, _))| (class, taken));
    let below = members.clone().join_core(whole.arrange_by_key_named("Whole"), |_, ranked, ()| Some(*ranked));
    let partly = members
        .join_core(split.arrange_by_key_named("Split"), |class, ranked, taken| {
            Some((*class, (*ranked, *taken)))
        })
        .reduce_named("Rank", |_, members, low: &mut Vec<(Ranked, i32)>| {
            let taken = members[0].0.1 as usize;
            low.extend(members[..taken.min(members.len())].iter().map(|((ranked, _), _)| (*ranked, 1)));
        })
        .map(|(_, ranked)| ranked);
    below.concat(partly).consolidate()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_monotone_and_few() {
        let keys = (0..70).chain((6..32).flat_map(|bit| {
            let edge = 1u32 << bit;
            [edge - 1, edge, edge + 1, edge + edge / 3, edge + edge / 16 * 15 + 7]
        }));
        let keys: std::collections::BTreeSet<u32> = keys.chain([u32::MAX - 1, u32::MAX]).collect();
        let orders: Vec<Order> = keys
            .iter()
            .flat_map(|key| {
                [(0, 0), (0, u64::MAX), (7, 0), (7, 1 << 60)].map(|(since, hash)| (*key, since, hash))
            })
            .map(|(key, since, hash)| Order { key, since, hash })
            .collect();
        assert!(orders.is_sorted());
        assert!(orders.iter().map(class).is_sorted(), "{:?}", orders.iter().map(class).collect::<Vec<_>>());
        let all: std::collections::BTreeSet<Class> =
            (0..1 << 20).map(|i| class(&Order { key: i << 12, since: 3, hash: 0 })).collect();
        assert!(all.len() < 80_000, "{}", all.len());
    }
}
