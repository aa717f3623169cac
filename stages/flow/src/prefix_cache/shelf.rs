//! A part of a cache: entries up to a number of bytes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use spfde_data::{Scratch, StorageError};

use super::{Entry, Key};

/// Bytes of an entry beside its numbers: what is noted of it, twice.
const NOTED: u64 = 128;

/// Entries, where they are, and the order in which they would be dropped.
pub(super) struct Shelf {
    entries: HashMap<Key, Kept>,
    /// By the epoch that used them last, the shortest fronts first.
    order: BTreeSet<(u32, usize, Key)>,
    bytes: u64,
    most: u64,
    /// Epochs for which an entry stays although nothing asks for it.
    patience: u32,
    /// Where entries are kept that do not stay in memory.
    scratch: Option<Box<dyn Scratch>>,
}

struct Kept {
    used: u32,
    front: usize,
    len: usize,
    place: Place,
}

enum Place {
    Memory(Arc<[u8]>),
    Scratch(u64),
}

impl Kept {
    fn bytes(&self) -> u64 {
        self.len as u64 + NOTED
    }
}

impl Shelf {
    pub(super) fn new(most: u64, patience: u32, scratch: Option<Box<dyn Scratch>>) -> Self {
        Self { entries: HashMap::new(), order: BTreeSet::new(), bytes: 0, most, patience, scratch }
    }

    pub(super) fn get(&mut self, key: Key, epoch: u32) -> Result<Option<Entry>, StorageError> {
        let Some(kept) = self.entries.get_mut(&key) else { return Ok(None) };
        self.order.remove(&(kept.used, kept.front, key));
        kept.used = epoch;
        self.order.insert((epoch, kept.front, key));
        let bytes = match &kept.place {
            Place::Memory(bytes) => Arc::clone(bytes),
            Place::Scratch(place) => {
                let mut bytes = vec![0; kept.len];
                let scratch = self.scratch.as_mut().expect("an entry lies there");
                scratch.read(*place, &mut bytes)?;
                bytes.into()
            }
        };
        Ok(Some((kept.front, bytes)))
    }

    pub(super) fn put(&mut self, key: Key, epoch: u32, entry: &Entry) -> Result<(), StorageError> {
        let (front, bytes) = entry;
        let own = self.entries.get(&key).map_or(0, Kept::bytes);
        let wanted = bytes.len() as u64 + NOTED;
        while self.bytes - own + wanted > self.most {
            match self.order.first() {
                Some(&(used, _, least)) if least != key && epoch.saturating_sub(used) > self.patience => {
                    self.remove(least);
                }
                // All that is here is of as much use.
                _ => return Ok(()),
            }
        }
        self.remove(key);
        let place = match &mut self.scratch {
            None => Place::Memory(Arc::clone(bytes)),
            Some(scratch) => Place::Scratch(scratch.write(bytes)?),
        };
        self.bytes += wanted;
        self.order.insert((epoch, *front, key));
        self.entries.insert(key, Kept { used: epoch, front: *front, len: bytes.len(), place });
        Ok(())
    }

    /// Drops entries of longer fronts.
    pub(super) fn thaw(&mut self, front: usize) {
        let longer = self.order.iter().filter(|(_, of, _)| *of > front);
        let longer: Vec<Key> = longer.map(|(.., key)| *key).collect();
        longer.into_iter().for_each(|key| self.remove(key));
    }

    fn remove(&mut self, key: Key) {
        let Some(kept) = self.entries.remove(&key) else { return };
        self.order.remove(&(kept.used, kept.front, key));
        self.bytes -= kept.bytes();
        if let (Place::Scratch(place), Some(scratch)) = (kept.place, &mut self.scratch) {
            scratch.free(place, kept.len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the entries of these tests.
    const LEN: usize = 100;

    fn entry(front: usize, of: u32) -> Entry {
        (front, vec![of as u8; LEN].into())
    }

    /// Room for so many entries.
    fn shelf(entries: u64, patience: u32) -> Shelf {
        Shelf::new(entries * (LEN as u64 + NOTED), patience, None)
    }

    fn keys(shelf: &Shelf) -> Vec<u32> {
        let mut keys: Vec<u32> = shelf.entries.keys().map(|(sample, _)| *sample).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn what_others_use_makes_no_room_and_what_rests_does() {
        let mut shelf = shelf(3, 1);
        (0..3).for_each(|sample| shelf.put((sample, 0), 4, &entry(2, sample)).unwrap());
        // An epoch later all three may still come.
        shelf.put((9, 0), 5, &entry(2, 9)).unwrap();
        assert_eq!(keys(&shelf), [0, 1, 2]);
        assert_eq!(shelf.get((1, 0), 5).unwrap().unwrap(), entry(2, 1));
        // Two of them have not been asked for in the whole of epoch 5.
        shelf.put((9, 0), 6, &entry(2, 9)).unwrap();
        shelf.put((8, 0), 6, &entry(2, 8)).unwrap();
        shelf.put((7, 0), 6, &entry(2, 7)).unwrap();
        assert_eq!(keys(&shelf), [1, 8, 9]);
        assert_eq!(shelf.get((0, 0), 6).unwrap(), None);
        assert_eq!(shelf.bytes, 3 * (LEN as u64 + NOTED));
    }

    #[test]
    fn of_entries_that_rest_as_long_the_shortest_front_goes_first() {
        let mut shelf = shelf(3, 1);
        [(0, 5), (1, 2), (2, 4)].into_iter().for_each(|(sample, front)| {
            shelf.put((sample, 0), 0, &entry(front, sample)).unwrap();
        });
        shelf.put((3, 0), 2, &entry(5, 3)).unwrap();
        assert_eq!(keys(&shelf), [0, 2, 3]);
    }

    #[test]
    fn an_entry_takes_the_place_of_the_samples_own_and_a_thaw_drops_longer_fronts() {
        let mut shelf = shelf(2, 4);
        shelf.put((0, 0), 0, &entry(2, 0)).unwrap();
        shelf.put((0, 1), 0, &entry(2, 1)).unwrap();
        shelf.put((0, 1), 1, &entry(4, 5)).unwrap();
        assert_eq!(
            (shelf.get((0, 0), 1).unwrap(), shelf.get((0, 1), 1).unwrap()),
            (Some(entry(2, 0)), Some(entry(4, 5)))
        );
        // A longer one has no room: the shorter one stays.
        shelf.put((0, 0), 1, &(4, vec![7; LEN + 1].into())).unwrap();
        assert_eq!(shelf.get((0, 0), 1).unwrap(), Some(entry(2, 0)));
        shelf.thaw(3);
        assert_eq!((shelf.entries.len(), shelf.order.len(), shelf.bytes), (1, 1, LEN as u64 + NOTED));
        assert_eq!(shelf.get((0, 1), 1).unwrap(), None);
        shelf.thaw(0);
        assert_eq!((shelf.entries.len(), shelf.order.len(), shelf.bytes), (0, 0, 0));
    }

    /// Counts the places that are taken.
    #[derive(Default)]
    struct Places(HashMap<u64, Vec<u8>>, Arc<std::sync::atomic::AtomicUsize>);

    impl Scratch for Places {
        fn write(&mut self, bytes: &[u8]) -> Result<u64, StorageError> {
            let place = (0..).find(|place| !self.0.contains_key(place)).expect("one is free");
            self.0.insert(place, bytes.to_vec());
            self.1.store(self.0.len(), std::sync::atomic::Ordering::Relaxed);
            Ok(place)
        }

        fn read(&mut self, place: u64, into: &mut [u8]) -> Result<(), StorageError> {
            into.copy_from_slice(&self.0[&place]);
            Ok(())
        }

        fn free(&mut self, place: u64, bytes: usize) {
            assert_eq!(self.0.remove(&place).map(|bytes| bytes.len()), Some(bytes));
            self.1.store(self.0.len(), std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn outside_of_memory_places_are_given_back() {
        let places = Places::default();
        let taken = Arc::clone(&places.1);
        let mut shelf = Shelf::new(2 * (LEN as u64 + NOTED), 0, Some(Box::new(places)));
        for epoch in 0..20 {
            shelf.put((epoch % 5, 0), epoch, &entry(1 + epoch as usize, epoch)).unwrap();
            assert_eq!(shelf.get((epoch % 5, 0), epoch).unwrap().unwrap().1[0], epoch as u8);
            assert_eq!(taken.load(std::sync::atomic::Ordering::Relaxed), shelf.entries.len());
        }
        shelf.thaw(0);
        assert_eq!(taken.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
