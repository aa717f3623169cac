//! Places in an order as numbers, and coarse classes of neighbouring places.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use spfde_policy::Rank;

/// A place: key, epoch and draw of a rank, one after the other. Samples at equal places go by their slots.
pub(super) type Place = u128;

/// A run of neighbouring places; ordered like the places in it.
pub(super) type Class = u64;

/// The place of a rank.
pub(super) fn place(rank: Rank) -> Place {
    u128::from(rank.key) << 96 | u128::from(rank.since) << 64 | u128::from(rank.hash)
}

/// The key of the rank at a place.
pub(super) fn key(place: Place) -> u32 {
    (place >> 96) as u32
}

/// Keys below this have classes of their own.
const EXACT: u64 = 64;
/// Bits below the number of a key's range.
const RANGE: u32 = 46;

/// The class of a place, a monotone map. Small keys, and the largest, have classes of their own, split by epoch and by
/// 256 ranges of the draw. A large key shares its class with those that begin with the same bits: a sixteenth of its
/// octave, and 256 parts of that.
pub(super) fn class(place: Place) -> Class {
    let key = place >> 96;
    if key < u128::from(EXACT) || key == u128::from(u32::MAX) {
        let range = (key as u64).min(511);
        let since = (place >> 64) as u32;
        return range << RANGE | u64::from(since) << 8 | (place as u64 >> 56);
    }
    let key = key as u32;
    // At least seven bits: one that leads, four that name the sixteenth, and what is left of the next eight.
    let low = 27 - key.leading_zeros();
    let range = EXACT + 16 * u64::from(low - 2) + u64::from(key >> low & 15);
    let part = (key & ((1 << low) - 1)) >> low.saturating_sub(8);
    range << RANGE | u64::from(part)
}

/// How many samples each class has.
#[derive(Default)]
pub(super) struct Histogram(HashMap<Class, u32, BuildHasherDefault<Multiply>>);

impl Histogram {
    /// Counts a place.
    pub(super) fn add(&mut self, place: Place) {
        *self.0.entry(class(place)).or_default() += 1;
    }

    /// The classes in ascending order, with their sizes.
    pub(super) fn into_classes(self) -> Vec<(Class, u32)> {
        let mut classes: Vec<(Class, u32)> = self.0.into_iter().collect();
        classes.sort_unstable();
        classes
    }
}

/// Hashes one number by one multiplication: classes are few and nobody chooses them to collide.
#[derive(Default)]
pub(super) struct Multiply(u64);

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
    fn classes_are_monotone() {
        let keys = (0..70).chain((6..32).flat_map(|bit| {
            let edge = 1u32 << bit;
            [edge - 1, edge, edge + 1, edge + edge / 3, edge + edge / 16 * 15 + 7]
        }));
        let keys: std::collections::BTreeSet<u32> = keys.chain([u32::MAX - 1, u32::MAX]).collect();
        let places: Vec<Place> = keys
            .iter()
            .flat_map(|key| {
                [(0, 0), (0, u64::MAX), (7, 0), (7, 1 << 60), (u32::MAX, 5)]
                    .map(|(since, hash)| place(Rank { key: *key, since, hash }))
            })
            .collect();
        assert!(places.is_sorted());
        assert!(places.iter().map(|place| class(*place)).is_sorted());
        assert!(places.iter().map(|place| key(*place)).is_sorted());
        let distinct: std::collections::BTreeSet<Class> =
            (0..1 << 20).map(|i| class(place(Rank { key: i << 12, since: 3, hash: 0 }))).collect();
        assert!(distinct.len() < 80_000, "{}", distinct.len());
    }
}
