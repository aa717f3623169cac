//! Places in an order as numbers, and coarse classes of neighbouring places.

use serde::{Deserialize, Serialize};
use spfde_policy::Rank;

/// A place in an order: key, epoch and draw of a rank, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place(u128);

/// A sample with its place; samples at equal places are in the order of their numbers.
pub type Ranked = (Place, u32);

/// A run of neighbouring places; ordered like the places in it.
pub(crate) type Class = u32;

impl From<Rank> for Place {
    fn from(rank: Rank) -> Self {
        Self(u128::from(rank.key) << 96 | u128::from(rank.since) << 64 | u128::from(rank.hash))
    }
}

/// Keys below this have classes of their own.
const EXACT: u32 = 64;
/// Bits below the number of a key's range.
const RANGE: u32 = 23;
/// Epochs before this are split by a draw: half of what these bits can say.
const SPLIT: u32 = 1 << 14;

/// The class of all places with a key; of a key that has several, the first of them.
fn of_key(key: u32) -> Result<Class, Class> {
    if key < EXACT || key == u32::MAX {
        return Err(key.min(510) << RANGE);
    }
    // At least seven bits: one that leads, four that name the sixteenth, and what is left of the next eight.
    let low = 27 - key.leading_zeros();
    let range = EXACT + 16 * (low - 2) + (key >> low & 15);
    let part = (key & ((1 << low) - 1)) >> low.saturating_sub(8);
    Ok(range << RANGE | part)
}

/// Whether a place with this key may be in a class. Where key and sample alone make the place, it then is in
/// the class in which the sample was.
pub(crate) fn fits(class: Class, key: u32) -> bool {
    of_key(key).map_or_else(|first| class >> RANGE == first >> RANGE, |of_key| of_key == class)
}

impl Place {
    /// The key of the rank.
    pub fn key(self) -> u32 {
        (self.0 >> 96) as u32
    }

    /// The class, a monotone map. Small keys, and the largest, have classes of their own, split by epoch and
    /// by 256 ranges of the draw. A large key shares its class with those that begin with the same bits: a
    /// sixteenth of its octave, and 256 parts of that.
    ///
    /// Where ranks have no epoch there are at most a few ten thousand classes. An order by epoch, too, has as
    /// many as 256 for each key and epoch that occur: in long runs up to one for each sample. From epoch
    /// 16 384 on all that a key and an epoch have in common is one class, so that longer runs add few.
    pub(crate) fn class(self) -> Class {
        let (since, part) = ((self.0 >> 64) as u32, (self.0 as u64 >> 56) as u32);
        let within = match since.checked_sub(SPLIT) {
            None => since << 8 | part,
            Some(later) => SPLIT << 8 | later.min((SPLIT << 8) - 1),
        };
        of_key(self.key()).unwrap_or_else(|first| first | within)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn place((key, since, hash): (u32, u32, u64)) -> Place {
        Rank { key, since, hash }.into()
    }

    #[test]
    fn places_are_ordered_like_ranks_and_classes_are_monotone_and_few() {
        let keys = (0..70).chain((6..32).flat_map(|bit| {
            let edge = 1u32 << bit;
            [edge - 1, edge, edge + 1, edge + edge / 3, edge + edge / 16 * 15 + 7]
        }));
        let keys: BTreeSet<u32> = keys.chain([u32::MAX - 1, u32::MAX]).collect();
        let early = [(0, 0), (0, u64::MAX), (7, 0), (7, 1 << 60), (16_383, u64::MAX)];
        let late = [(16_384, 1), (40_000, u64::MAX), (50_000, 0), (1 << 24, u64::MAX), (u32::MAX, 5)];
        let draws = [early, late].concat();
        let ranks: Vec<(u32, u32, u64)> =
            keys.iter().flat_map(|key| draws.iter().map(|(since, hash)| (*key, *since, *hash))).collect();
        assert!(ranks.is_sorted());
        let places: Vec<Place> = ranks.iter().copied().map(place).collect();
        assert!(places.is_sorted_by(|one, other| one < other));
        assert!(places.iter().map(|place| place.class()).is_sorted());
        assert!(places.iter().zip(&ranks).all(|(place, rank)| place.key() == rank.0));
        let fit = |place: &Place| ranks.iter().filter(|rank| fits(place.class(), rank.0)).count();
        // Keys that share a class fit it, and no others do.
        for (place, rank) in places.iter().zip(&ranks).filter(|(_, rank)| rank.1 == 0) {
            assert!(fits(place.class(), rank.0), "{rank:?}");
            let alone = rank.0 < 64 || rank.0 == u32::MAX;
            assert!(!alone || fit(place) == draws.len(), "{rank:?}");
        }
        let distinct: BTreeSet<Class> = (0..1 << 20).map(|i| place((i << 12, 3, 0)).class()).collect();
        assert!(distinct.len() < 80_000, "{}", distinct.len());
    }
}
