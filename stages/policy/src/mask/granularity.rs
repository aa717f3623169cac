//! Granularity: in which units weights are dropped and grown.
//!
//! A rule scores single weights; a granularity says which of them go and come together. Today weights go one by one;
//! blocks, N of M and channels are further implementations.

use super::selection::lowest;

/// Units of weights that exist or are absent as one.
pub trait Granularity {
    /// The `count` weights of the lowest units of `keyed` (key, then index), ascending by index.
    fn lowest(&self, keyed: Vec<(u64, u32)>, count: usize) -> Vec<u32>;
}

/// Every weight is a unit of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unstructured;

impl Granularity for Unstructured {
    fn lowest(&self, keyed: Vec<(u64, u32)>, count: usize) -> Vec<u32> {
        lowest(keyed, count)
    }
}
