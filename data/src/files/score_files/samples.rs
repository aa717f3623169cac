//! Which samples occur: a bit for each number while they are looked for, then slots without gaps.

/// Bits in a word.
const BITS: u32 = u64::BITS;

/// A set of samples under construction.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<u64>);

impl Seen {
    /// Adds a sample, which has passed its limit.
    pub(super) fn add(&mut self, sample: u32) {
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

    /// The samples in ascending order.
    pub(super) fn samples(&self) -> Samples {
        let occurs = |sample: &u32| self.0[(sample / BITS) as usize] >> (sample % BITS) & 1 == 1;
        Samples((0..self.0.len() as u32 * BITS).filter(occurs).collect())
    }
}

/// The samples that occur, ascending. The slot of each is how many smaller ones occur.
#[derive(Debug)]
pub(super) struct Samples(pub(super) Vec<u32>);

impl Samples {
    /// The slot of a sample, if it occurs.
    pub(super) fn slot(&self, sample: u32) -> Option<u32> {
        // Mostly there are no gaps.
        if self.0.get(sample as usize) == Some(&sample) {
            return Some(sample);
        }
        self.0.binary_search(&sample).ok().map(|slot| slot as u32)
    }
}
