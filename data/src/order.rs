//! In which order an epoch visits its samples.

use crate::{DataSet, Purpose, draw, shuffled};

crate::choice! {
    /// How the samples of an epoch are ordered.
    pub enum Order {
        /// By the size of the training images: `Full` below 1 GiB of pixels, or else `Blocks`.
        Auto = "auto",
        /// Any sample may follow any other.
        Full = "full",
        /// Window by window of row groups: any sample of a window may follow any other of it.
        Blocks = "blocks",
    }
}

/// Row groups of a window, at most.
const WINDOW_GROUPS: usize = 64;

/// Bytes of pixels of a window, unless it is a single row group.
const WINDOW_BYTES: usize = 256 << 20;

/// Bytes of training pixels from which on `Auto` is `Blocks`.
const BLOCKS_FROM: usize = 1 << 30;

impl DataSet {
    /// Whether an epoch in this order is visited by blocks.
    pub fn is_by_blocks(&self, order: Order) -> bool {
        order == Order::Blocks || order == Order::Auto && self.train.pixels.bytes() >= BLOCKS_FROM
    }

    /// The given training samples in the order in which epoch `epoch` visits them.
    ///
    /// By blocks, the row groups come in the order of a draw keyed by `(seed, epoch, group)`, and each
    /// [`DataSet::window`] of them makes a window. Otherwise the epoch is one window. Within a window samples
    /// ascend by a draw keyed by `(seed, epoch, sample)`, ties by sample.
    pub fn ordered(&self, order: Order, seed: u64, epoch: u32, samples: Vec<u32>) -> Vec<u32> {
        let mut samples = shuffled(seed, epoch, samples);
        if self.is_by_blocks(order) {
            let drawn = |group: &usize| draw(seed, Purpose::Blocks, u64::from(epoch), *group as u64);
            let mut groups: Vec<usize> = (0..self.row_groups.len()).collect();
            groups.sort_by_key(drawn);
            let window = self.window();
            let mut windows = vec![0; groups.len()];
            groups.iter().enumerate().for_each(|(place, group)| windows[*group] = place / window);
            let group = |sample: u32| self.row_groups.partition_point(|first| *first <= sample);
            // Stable: within a window the shuffled order stays.
            samples.sort_by_cached_key(|sample| group(*sample).checked_sub(1).map(|group| windows[group]));
        }
        samples
    }

    /// Row groups of a window: 64, or as many as have 256 MiB of pixels, at least one.
    pub fn window(&self) -> usize {
        (WINDOW_BYTES / self.largest_row_group().max(1)).clamp(1, WINDOW_GROUPS)
    }

    /// Bytes of pixels of a window, at most.
    pub fn window_bytes(&self) -> usize {
        self.window().min(self.row_groups.len()) * self.largest_row_group()
    }

    /// Bytes of pixels of the training images of a row group, at most.
    fn largest_row_group(&self) -> usize {
        let ends = self.row_groups.iter().skip(1).copied().chain([self.train.len() as u32]);
        let longest = self.row_groups.iter().zip(ends).map(|(first, end)| end - first).max();
        longest.unwrap_or(0) as usize * self.train.stride() * self.train.pixels.width()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::{Augmentation, Images, Normalization};

    /// Images of `side` × 1 bytes in groups of `rows`.
    fn set(count: u32, rows: usize, side: usize) -> DataSet {
        let images = |count: usize| Images {
            channels: 1,
            height: 1,
            width: side,
            pixels: vec![0_u8; count * side].into(),
            labels: vec![0; count],
        };
        let train = images(count as usize);
        DataSet {
            name: "x".into(),
            classes: 1,
            class_names: Vec::new(),
            column_names: Vec::new(),
            normalization: Normalization::of(&train),
            fingerprint: String::new(),
            augment: Augmentation::None,
            row_groups: (0..count).step_by(rows).collect(),
            train: Arc::new(train),
            test: Arc::default(),
            validation: Arc::default(),
        }
    }

    #[test]
    fn every_window_has_the_samples_of_its_groups_in_any_order() {
        // 150 groups of 7 samples, but for the last, which has 3: windows of 64, 64 and 22 groups.
        let set = set(1046, 7, 1);
        assert_eq!((set.row_groups.len(), set.window(), set.window_bytes()), (150, 64, 448));
        let order = set.ordered(Order::Blocks, 3, 5, (0..1046).collect());
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1046).collect::<Vec<u32>>());
        let mut rest = &order[..];
        let mut seen = BTreeSet::new();
        for groups in [64, 64, 22] {
            let mut found = BTreeSet::new();
            let end = rest.iter().position(|sample| {
                found.len() == groups && !found.contains(&(sample / 7)) || {
                    found.insert(sample / 7);
                    false
                }
            });
            let (window, others) = rest.split_at(end.unwrap_or(rest.len()));
            assert_eq!(found.len(), groups);
            let expected = shuffled(3, 5, (0..1046).filter(|sample| found.contains(&(sample / 7))));
            assert_eq!(window, expected);
            assert!(seen.is_disjoint(&found));
            seen.extend(found);
            rest = others;
        }
        assert!(rest.is_empty());
        // Not the same groups together in every epoch, nor with every seed.
        let first =
            |seed, epoch| set.ordered(Order::Blocks, seed, epoch, (0..1046).collect())[..400].to_vec();
        let groups = |order: Vec<u32>| order.into_iter().map(|sample| sample / 7).collect::<BTreeSet<u32>>();
        assert_ne!(groups(first(3, 5)), groups(first(3, 6)));
        assert_ne!(groups(first(3, 5)), groups(first(4, 5)));
    }

    #[test]
    fn fewer_samples_keep_their_order() {
        let set = set(1000, 5, 1);
        let all = set.ordered(Order::Blocks, 1, 2, (0..1000).collect());
        let odd = set.ordered(Order::Blocks, 1, 2, (0..1000).filter(|sample| sample % 2 == 1).collect());
        assert_eq!(odd, all.into_iter().filter(|sample| sample % 2 == 1).collect::<Vec<u32>>());
    }

    #[test]
    fn one_group_is_one_window_and_large_groups_make_small_ones() {
        let single = set(100, 100, 1);
        let full = single.ordered(Order::Full, 1, 2, (0..100).collect());
        assert_eq!(single.ordered(Order::Blocks, 1, 2, (0..100).collect()), full);
        assert_eq!(full, shuffled(1, 2, 0..100));
        assert_eq!(single.ordered(Order::Auto, 1, 2, (0..100).collect()), full);
        assert_eq!(set(40, 10, 3 << 20).window(), 8);
    }

    #[test]
    fn groups_of_what_is_not_set_aside_stay_groups() {
        let mut whole = set(60, 10, 1);
        let pixels = (0..60_u8).collect();
        whole.train = Arc::new(Images { pixels, ..Images::clone(&whole.train) });
        let split = whole.with_validation(0.25, 4);
        assert_eq!(split.row_groups.len(), 6);
        for sample in 0..split.train.len() as u32 {
            let group = split.row_groups.iter().rposition(|first| *first <= sample).unwrap();
            assert_eq!(group, usize::from(split.train.image(sample as usize)[0]) / 10);
        }
    }
}
