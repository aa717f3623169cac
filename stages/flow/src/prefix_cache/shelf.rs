//! A part of a cache: entries up to a number of bytes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use spfde_data::{Scratch, StorageError};

use super::room::Room;
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
    /// Where entries are kept that do not stay in memory, and what of it is free.
    outside: Option<(Room, Box<dyn Scratch>)>,
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
        let outside = scratch.map(|scratch| (Room::new(most), scratch));
        Self { entries: HashMap::new(), order: BTreeSet::new(), bytes: 0, most, patience, outside }
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
                let (_, scratch) = self.outside.as_mut().expect("an entry lies there");
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
            if !self.drop_least(key, epoch) {
                return Ok(());
            }
        }
        // An entry that is not longer has room in place of the one there was. If a longer one has none, the
        // one there was stays: it can still be carried on.
        if self.entries.get(&key).is_some_and(|kept| bytes.len() <= kept.len) {
            self.remove(key);
        }
        let place = loop {
            let Some((room, scratch)) = &mut self.outside else { break Place::Memory(Arc::clone(bytes)) };
            if let Some(place) = room.take(bytes.len() as u64) {
                scratch.write(place, bytes)?;
                break Place::Scratch(place);
            }
            // There is room, in parts between entries of other lengths.
            if !self.drop_least(key, epoch) {
                return Ok(());
            }
        };
        self.remove(key);
        self.bytes += wanted;
        self.order.insert((epoch, *front, key));
        self.entries.insert(key, Kept { used: epoch, front: *front, len: bytes.len(), place });
        Ok(())
    }

    /// Drops the entry of least use, to make room for `key`; none if all that is here is of as much use.
    fn drop_least(&mut self, key: Key, epoch: u32) -> bool {
        let least = self.order.first().copied();
        let least = least.filter(|(used, ..)| epoch.saturating_sub(*used) > self.patience);
        let least = least.map(|(.., least)| least).filter(|least| *least != key);
        least.into_iter().for_each(|least| self.remove(least));
        least.is_some()
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
        if let (Place::Scratch(place), Some((room, _))) = (kept.place, &mut self.outside) {
            room.free(place, kept.len as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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

    /// A file in memory, and how long it has become.
    #[derive(Default)]
    struct InMemory(Vec<u8>, Arc<AtomicUsize>);

    impl Scratch for InMemory {
        fn write(&mut self, place: u64, bytes: &[u8]) -> Result<(), StorageError> {
            let place = place as usize;
            self.0.resize(self.0.len().max(place + bytes.len()), 0);
            self.0[place..place + bytes.len()].copy_from_slice(bytes);
            self.1.store(self.0.len(), Ordering::Relaxed);
            Ok(())
        }

        fn read(&mut self, place: u64, into: &mut [u8]) -> Result<(), StorageError> {
            into.copy_from_slice(&self.0[place as usize..][..into.len()]);
            Ok(())
        }
    }

    #[test]
    fn a_file_never_outgrows_its_room_however_the_front_moves() {
        const SAMPLES: u32 = 40;
        let file = InMemory::default();
        let len = Arc::clone(&file.1);
        // Room for all entries of the first front, and no more.
        let most = u64::from(SAMPLES) * (700 + NOTED);
        let mut shelf = Shelf::new(most, 1, Some(Box::new(file)));
        let mut kept = Vec::new();
        for (epoch, entry_len) in (0..).zip([700, 350, 350, 176, 450, 500, 90, 700, 700, 1500]) {
            let front = 1 + epoch as usize;
            // From the second epoch on some samples rest, which leaves entries of several fronts.
            for sample in (0..SAMPLES).filter(|sample| epoch == 0 || (sample + epoch) % 3 > 0) {
                shelf.get((sample, 0), epoch).unwrap();
                let bytes: Arc<[u8]> = vec![(sample + epoch) as u8; entry_len].into();
                shelf.put((sample, 0), epoch, &(front, Arc::clone(&bytes))).unwrap();
                assert!(len.load(Ordering::Relaxed) as u64 <= most && shelf.bytes <= most);
                if let Some((of, found)) = shelf.get((sample, 0), epoch).unwrap() {
                    assert!(of < front || found == bytes);
                }
            }
            kept.push(shelf.entries.values().filter(|kept| kept.front == front).count());
        }
        // Those of shorter entries all have room; of longer ones as many as there is room for.
        assert!(kept[0] == 40 && kept[1..4].iter().all(|kept| *kept >= 26), "{kept:?}");
        assert!(kept[9] < 26, "{kept:?}");
        shelf.thaw(0);
        assert_eq!((shelf.bytes, shelf.outside.unwrap().0.take(most)), (0, Some(0)));
    }
}
