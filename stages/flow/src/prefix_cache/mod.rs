//! The frozen prefix as a materialised view: what it puts out for a sample is a constant while its blocks are
//! frozen. A cache keeps it, so that it is computed once.
//!
//! One cache serves all workers of a process, since samples move from shard to shard. Stages tell each other
//! nothing by it: an entry is a constant, the same from any worker, and a worker that finds none makes it. So
//! the cache changes no bit of a run, only how much is computed.
//!
//! An entry belongs to the front, counted in operations, for which it was made
//! ([`Description::front`](spfde_model::Description::front)). When more blocks freeze, it is carried on from
//! there; when one thaws, entries that it has a part in are dropped.
//!
//! On disk entries lie in files without a name and without a format of their own: no other program reads
//! them. They are read at their places, not mapped into memory, which Rust cannot do without `unsafe`. What
//! memory is free the system uses for them in either case. Entries of all fronts share a file,
//! which is never longer than its share of `freeze.cache_bytes`.

mod room;
mod shelf;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spfde_data::{Scratch, StorageError};
use spfde_model::Packing;

use shelf::Shelf;

spfde_data::choice! {
    /// Where outputs of the frozen prefix are kept.
    pub enum Cache {
        /// Nowhere: they are computed in every epoch.
        Off = "off",
        /// In memory.
        Memory = "memory",
        /// In files below the run directory, which go when the process ends.
        Disk = "disk",
    }
}

/// How outputs of the frozen prefix are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CacheSettings {
    /// Where.
    pub cache: Cache,
    /// Bytes that a process keeps at most.
    pub bytes: u64,
    /// How their numbers are kept.
    pub packing: Packing,
    /// How many variants of an augmented sample there are while blocks are frozen; from 1.
    pub variants: u32,
}

/// What one entry is of: the sample, and which variant of it.
pub(crate) type Key = (u32, u32);

/// An entry and the front that it was made for.
pub(crate) type Entry = (usize, Arc<[u8]>);

/// Makes room outside of memory for a part of a cache.
pub type MakeScratch<'a> = &'a dyn Fn() -> Box<dyn Scratch>;

/// Parts of a cache, so that workers seldom wait for each other.
const SHELVES: usize = 16;

/// Outputs of the frozen prefix, as many as have room: the least useful are dropped first.
///
/// Those are of least use that have not been asked for longest, which are of samples outside the active set,
/// and among these those of the shortest front. What was used in the last epochs, as many as there are
/// variants, makes no room for others: every sample is asked for once an epoch, and one is worth as much as
/// another.
pub struct PrefixCache {
    shelves: Vec<Mutex<Shelf>>,
}

impl PrefixCache {
    /// An empty cache, if the settings ask for one. Only one on disk asks for `scratch`.
    pub fn new(settings: &CacheSettings, scratch: MakeScratch<'_>) -> Option<Arc<Self>> {
        let CacheSettings { cache, bytes, variants, .. } = *settings;
        let shelf = || {
            let scratch = (cache == Cache::Disk).then(scratch);
            Mutex::new(Shelf::new(bytes / SHELVES as u64, variants, scratch))
        };
        let shelves = || (0..SHELVES).map(|_| shelf()).collect();
        (cache != Cache::Off).then(|| Arc::new(Self { shelves: shelves() }))
    }

    /// The entry of a sample, which `epoch` uses.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn get(&self, key: Key, epoch: u32) -> Result<Option<Entry>, StorageError> {
        self.shelf(key).get(key, epoch)
    }

    /// Keeps the entry of a sample, in place of one that it has, if there is room; `epoch` has used it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn put(&self, key: Key, epoch: u32, entry: &Entry) -> Result<(), StorageError> {
        self.shelf(key).put(key, epoch, entry)
    }

    /// Drops entries of longer fronts than this: blocks of theirs train again.
    pub(crate) fn thaw(&self, front: usize) {
        self.shelves.iter().for_each(|shelf| lock(shelf).thaw(front));
    }

    fn shelf(&self, (sample, _): Key) -> MutexGuard<'_, Shelf> {
        lock(&self.shelves[sample as usize % SHELVES])
    }
}

/// A worker that panics between two changes of a shelf ends the run.
fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
