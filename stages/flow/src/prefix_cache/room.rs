//! Which parts of a file are free, for entries of several lengths side by side.

use std::collections::{BTreeMap, BTreeSet};

/// The free runs of a file of a fixed length. No two of them touch.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Where each begins, and its length.
    by_place: BTreeMap<u64, u64>,
    /// The length of each, and where it begins.
    by_len: BTreeSet<(u64, u64)>,
}

impl Room {
    /// All of a file of so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let mut room = Self::default();
        room.insert(0, bytes);
        room
    }

    /// Takes so many bytes, and says where they begin: in the shortest run that has them. `None` if no run is
    /// so long.
    pub(super) fn take(&mut self, bytes: u64) -> Option<u64> {
        let &(len, place) = self.by_len.range((bytes, 0)..).next()?;
        self.remove(place, len);
        self.insert(place + bytes, len - bytes);
        Some(place)
    }

    /// Gives so many bytes back that were taken at `place`.
    pub(super) fn free(&mut self, place: u64, bytes: u64) {
        let (mut start, mut end) = (place, place + bytes);
        let before = self.by_place.range(..start).next_back().map(|(place, len)| (*place, *len));
        if let Some((before, len)) = before.filter(|(before, len)| before + len == start) {
            self.remove(before, len);
            start = before;
        }
        if let Some(len) = self.by_place.get(&end).copied() {
            self.remove(end, len);
            end += len;
        }
        self.insert(start, end - start);
    }

    fn insert(&mut self, place: u64, len: u64) {
        if len > 0 {
            self.by_place.insert(place, len);
            self.by_len.insert((len, place));
        }
    }

    fn remove(&mut self, place: u64, len: u64) {
        self.by_place.remove(&place);
        self.by_len.remove(&(len, place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spfde_data::random::{Purpose, draw};

    #[test]
    fn what_is_taken_never_overlaps_and_all_of_it_comes_back() {
        let (mut room, mut taken) = (Room::new(1000), Vec::<(u64, u64)>::new());
        let mut refused = 0;
        for round in 0..2000 {
            let drawn = draw(7, Purpose::Synthetic, 0, round);
            if drawn % 5 < 2 && !taken.is_empty() {
                let (place, len) = taken.swap_remove((drawn >> 8) as usize % taken.len());
                room.free(place, len);
                continue;
            }
            let len = [10, 25, 70][(drawn >> 8) as usize % 3];
            let Some(place) = room.take(len) else {
                refused += 1;
                continue;
            };
            assert!(place + len <= 1000);
            assert!(taken.iter().all(|(other, of)| place + len <= *other || other + of <= place));
            taken.push((place, len));
            let free: u64 = room.by_place.values().sum();
            assert_eq!(free + taken.iter().map(|(_, len)| len).sum::<u64>(), 1000);
            assert_eq!(room.by_place.len(), room.by_len.len());
        }
        assert!(refused > 100, "{refused}");
        taken.into_iter().for_each(|(place, len)| room.free(place, len));
        assert_eq!((room.take(1000), room.take(1)), (Some(0), None));
    }
}
