//! Images that stay in their files: row groups are decoded by need, and kept as far as the cache goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::format::ValueType;
use super::source::{Source, numbers};
use crate::files::{DataError, Result};
use crate::{PixelStore, Pixels, StorageError};

/// Decoded row groups of the files of a data set, up to so many bytes: those that were used last.
#[derive(Debug)]
pub(super) struct Cache {
    limit: usize,
    bytes: usize,
    /// Counts uses.
    clock: u64,
    /// By file and row group: when it was used last, and its bytes.
    groups: BTreeMap<(usize, usize), (u64, Vec<u8>)>,
}

impl Cache {
    /// An empty cache of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { limit, bytes: 0, clock: 0, groups: BTreeMap::new() }))
    }

    /// The `bytes` bytes of a row group; if they are not there, `decode` makes them, once there is room.
    fn group(
        &mut self,
        key: (usize, usize),
        bytes: usize,
        decode: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<&[u8]> {
        self.clock += 1;
        if !self.groups.contains_key(&key) {
            while self.bytes + bytes > self.limit {
                let last = self.groups.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
                let Some((_, dropped)) = last.and_then(|last| self.groups.remove(&last)) else { break };
                self.bytes -= dropped.len();
            }
            let decoded = decode()?;
            self.bytes += decoded.len();
            self.groups.insert(key, (0, decoded));
        }
        let (used, bytes) = self.groups.get_mut(&key).expect("it was there, or was put there");
        *used = self.clock;
        Ok(bytes)
    }
}

/// The images of a file.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) source: Source,
    /// Which file of the data set it is.
    pub(super) number: usize,
    pub(super) values: ValueType,
    /// Bytes of one image.
    pub(super) stride: usize,
    /// BLAKE3 of the images of each row group.
    pub(super) hashes: Vec<blake3::Hash>,
    /// The first image of each row group.
    pub(super) row_groups: Vec<u32>,
    /// Shared by the files of a data set, and by all workers: while one decodes, the others wait.
    pub(super) cache: Arc<Mutex<Cache>>,
}

impl Store {
    /// Decodes a row group of so many `bytes`, which have to be what they were.
    fn decode(&self, group: usize, bytes: usize) -> Result<Vec<u8>> {
        let mut decoded = Vec::with_capacity(bytes);
        self.source.images(group, self.stride, self.values, |images| {
            decoded.extend_from_slice(images);
            Ok(())
        })?;
        let (found, expected) = (blake3::hash(&decoded).to_hex(), self.hashes[group].to_hex());
        let what = format!("BLAKE3 of the images of row group {group}");
        DataError::same(self.source.file.path(), &what, found.as_str(), expected.as_str())?;
        Ok(decoded)
    }
}

impl PixelStore for Store {
    fn read(&self, images: &[u32]) -> Result<Pixels, StorageError> {
        let mut found = vec![0; images.len() * self.stride];
        // Group by group, so that none is decoded twice.
        let group = |image: u32| self.row_groups.partition_point(|first| *first <= image) - 1;
        let mut wanted: Vec<(usize, usize)> =
            images.iter().enumerate().map(|(place, image)| (group(*image), place)).collect();
        wanted.sort_unstable();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        for wanted in wanted.chunk_by(|(group, _), (other, _)| group == other) {
            let group = wanted[0].0;
            let rows = self.source.file.group_rows(group).expect("a group of the file");
            let bytes = rows as usize * self.stride;
            let decoded = cache.group((self.number, group), bytes, || self.decode(group, bytes))?;
            for (_, place) in wanted {
                let row = (images[*place] - self.row_groups[group]) as usize;
                let image = &decoded[row * self.stride..][..self.stride];
                found[place * self.stride..][..self.stride].copy_from_slice(image);
            }
        }
        Ok(match self.values {
            ValueType::U8 => Pixels::U8(found),
            ValueType::F32 => Pixels::F32(numbers(&found).collect()),
        })
    }

    fn is_table(&self) -> bool {
        self.values == ValueType::F32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Augmentation, DataSet, Images, Normalization, Order};

    #[test]
    fn what_was_used_last_stays_and_no_more_than_the_limit_is_held() {
        let cache = Cache::new(100);
        let mut cache = cache.lock().unwrap();
        let mut decoded = Vec::new();
        for (group, bytes) in
            [(0, 40), (1, 40), (0, 40), (2, 20), (1, 40), (3, 60), (1, 40), (0, 40), (4, 100)]
        {
            let decode = || {
                decoded.push(group);
                Ok(vec![group as u8; bytes])
            };
            assert_eq!(cache.group((0, group), bytes, decode).unwrap(), vec![group as u8; bytes]);
            let held: usize = cache.groups.values().map(|(_, bytes)| bytes.len()).sum();
            assert!(held == cache.bytes && held <= 100, "{held}");
        }
        // 0 and 2 were used before 1: they made room for 3.
        assert_eq!(decoded, [0, 1, 2, 3, 0, 4]);
        let failed = cache.group((1, 4), 50, || Err(DataError::refused("x".as_ref(), "is gone", "")));
        assert_eq!(failed.unwrap_err().to_string(), "x: is gone");
        assert_eq!((cache.bytes, cache.groups.len()), (0, 0));
    }

    #[test]
    fn a_cache_of_a_window_reads_every_row_group_once_an_epoch() {
        let labels = vec![0; 3000];
        let train = Images { channels: 1, height: 1, width: 1, pixels: vec![0_u8; 3000].into(), labels };
        let set = DataSet {
            name: "x".into(),
            classes: 1,
            class_names: Vec::new(),
            column_names: Vec::new(),
            normalization: Normalization::of(&train),
            fingerprint: String::new(),
            augment: Augmentation::None,
            row_groups: (0..3000).step_by(10).collect(),
            train: Arc::new(train),
            test: Arc::default(),
            validation: Arc::default(),
        };
        // Of a batch of 16 samples each may be in a group of its own.
        let cache = Cache::new(set.window_bytes() + 16 * 10);
        let mut cache = cache.lock().unwrap();
        let mut decoded = 0;
        let order = set.ordered(Order::Blocks, 7, 1, (0..3000).collect());
        for batch in order.chunks(16) {
            let mut groups: Vec<u32> = batch.iter().map(|sample| sample / 10).collect();
            groups.sort_unstable();
            for group in groups {
                let decode = || {
                    decoded += 1;
                    Ok(vec![0; 10])
                };
                cache.group((0, group as usize), 10, decode).unwrap();
            }
        }
        assert_eq!(decoded, 300);
    }
}
