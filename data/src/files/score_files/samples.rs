//! Which samples occur: a bit for each number, and slots without gaps.

use super::SAMPLE_LIMIT;

/// Bits in a word.
const BITS: u32 = u64::BITS;

/// A set of samples under construction.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<u64>);

impl Seen {
    /// Adds a sample, which has passed its limit.
    pub(super) fn add(&mut self, sample: u32) {
        debug_assert!(sample <= SAMPLE_LIMIT);
        let word = (sample / BITS) as usize;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (sample % BITS);
    }

    /// Adds all of another set.
    pub(super) fn join(&mut self, other: &Seen) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }
}

/// The samples that occur. Each has a slot: how many smaller ones occur.
#[derive(Debug)]
pub(super) struct Samples {
    words: Vec<u64>,
    /// How many occur before each word.
    before: Vec<u32>,
    /// The samples by slot; `None` if those are the same.
    by_slot: Option<Vec<u32>>,
    count: u32,
}

impl Samples {
    /// The samples of a set.
    pub(super) fn new(seen: Seen) -> Self {
        let mut count = 0;
        let count_word = |word: &u64| {
            let before = count;
            count += word.count_ones();
            before
        };
        let before = seen.0.iter().map(count_word).collect();
        let occur = |sample: &u32| seen.0[(sample / BITS) as usize] >> (sample % BITS) & 1 == 1;
        let every = 0..seen.0.len() as u32 * BITS;
        let gaps = (0..count).any(|sample| !occur(&sample));
        let by_slot = gaps.then(|| every.filter(occur).collect());
        Self { before, by_slot, count, words: seen.0 }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The slot of a sample, if it occurs.
    pub(super) fn slot(&self, sample: u32) -> Option<u32> {
        if self.by_slot.is_none() {
            return (sample < self.count).then_some(sample);
        }
        let word = *self.words.get((sample / BITS) as usize)?;
        let below = word & ((1 << (sample % BITS)) - 1);
        (word >> (sample % BITS) & 1 == 1).then(|| self.before[(sample / BITS) as usize] + below.count_ones())
    }

    /// The sample in a slot.
    ///
    /// # Panics
    /// If there is no such slot.
    pub(super) fn sample(&self, slot: u32) -> u32 {
        match &self.by_slot {
            None => {
                assert!(slot < self.count, "slot {slot} of {}", self.count);
                slot
            }
            Some(samples) => samples[slot as usize],
        }
    }
}
