//! Random draws keyed by what they are for, never a generator that advances.
//!
//! A draw is a pure function of `(seed, purpose, a, b)`. So it is the same on any worker, in any order, after
//! a resume and in a replay; nothing has to be saved or sent.

/// What a draw is for: two purposes never share a random number, whatever their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Order of the active samples within an epoch: keys `(epoch, sample)`.
    Shuffle = 1,
    /// Placement of an augmented image: keys `(epoch, sample)`.
    Augment = 2,
    /// Initial weights of a layer: keys `(layer, 0)`.
    Weights = 3,
    /// Initial mask of a layer: keys `(layer, index)`.
    Mask = 4,
    /// Which absent weights grow: keys `(epoch << 32 | layer, step << 32 | index)`.
    Grow = 5,
    /// Which samples start outside, in queue order: keys `(0, sample)`.
    Outside = 6,
    /// Ties between samples of equal rank: keys `(0, sample)`.
    Tie = 7,
    /// Order of the queue of removed samples: keys `(epoch, sample)`.
    Queue = 8,
    /// A fresh random subset of the samples: keys `(epoch, sample)`.
    Subset = 9,
    /// Synthetic images of benchmarks and tests: keys `(sample, position)`.
    Synthetic = 10,
    /// Which of the samples below the mean are kept: keys `(epoch, sample)`.
    Keep = 11,
    /// Which images of a data set without a test set are set aside for it: keys `(0, sample)`.
    TestSet = 12,
    /// What dropout drops of a sample, and its signs in sums: keys `(epoch << 32 | step, sample)`.
    Dropout = 13,
    /// Which training images are set aside for validation: keys `(0, sample)`.
    Validation = 14,
    /// Order of the row groups within an epoch: keys `(epoch, group)`.
    Blocks = 15,
    /// The sign that a weight keeps: keys `(layer, index)`.
    Sign = 16,
    /// Which absent weights a rule looks at: keys `(epoch << 32 | layer, step << 32 | number)`.
    Candidate = 17,
    /// Which variant of an augmented sample an epoch shows: keys `(epoch, sample)`.
    Variant = 18,
    /// Which training samples are the probe by which layers are compared: keys `(0, sample)`.
    Probe = 19,
    /// User code: stages and policies outside this workspace choose their own keys.
    User = 1 << 32,
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64 bits in which every input bit
/// flips every output bit with probability near one half.
#[inline]
pub const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A uniform 64-bit number that depends on nothing but its arguments.
///
/// ```
/// use spfde_data::random::{draw, Purpose};
/// assert_eq!(draw(7, Purpose::Shuffle, 3, 42), draw(7, Purpose::Shuffle, 3, 42));
/// assert_ne!(draw(7, Purpose::Shuffle, 3, 42), draw(7, Purpose::Augment, 3, 42));
/// ```
#[inline]
pub const fn draw(seed: u64, purpose: Purpose, a: u64, b: u64) -> u64 {
    mix(mix(mix(mix(seed) ^ purpose as u64) ^ a) ^ b)
}

/// A 32-byte seed for a counter-based generator whose stream belongs to one key (initial weights of one
/// layer).
pub fn seed_bytes(seed: u64, purpose: Purpose, a: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (part, chunk) in bytes.chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&draw(seed, purpose, a, part as u64).to_le_bytes());
    }
    bytes
}

/// The given samples in the order in which epoch `epoch` visits them: ascending by a draw keyed by
/// `(seed, epoch, sample)`, ties by sample.
pub fn shuffled(seed: u64, epoch: u32, samples: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let drawn = |sample: u32| (draw(seed, Purpose::Shuffle, u64::from(epoch), u64::from(sample)), sample);
    let mut keyed: Vec<(u64, u32)> = samples.into_iter().map(drawn).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, sample)| sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation_that_changes_with_epoch_and_seed() {
        let order = shuffled(1, 0, 0..1000);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_ne!(order, shuffled(1, 1, 0..1000));
        assert_ne!(order, shuffled(2, 0, 0..1000));
    }

    #[test]
    fn a_shuffle_of_fewer_samples_keeps_their_relative_order() {
        let all = shuffled(5, 3, 0..100);
        let even: Vec<u32> = all.into_iter().filter(|sample| sample % 2 == 0).collect();
        assert_eq!(even, shuffled(5, 3, (0..100).filter(|sample| sample % 2 == 0)));
    }

    #[test]
    fn every_bit_of_a_draw_is_fair() {
        let draws = 4096;
        for bit in 0..64 {
            let ones = (0..draws).filter(|b| draw(0, Purpose::Tie, 0, *b) >> bit & 1 == 1).count() as f64;
            // Five standard deviations of a binomial with p = 1/2.
            assert!(
                (ones - draws as f64 / 2.0).abs() < 5.0 * (draws as f64).sqrt() / 2.0,
                "bit {bit}: {ones}"
            );
        }
    }
}
