//! Granularity: in which units weights exist or are absent.
//!
//! A rule scores single weights; its granularity says which of them go and come together. Here weights go one
//! by one; blocks, N of M and channels are further implementations.

use super::selection::lowest;

/// Units of weights that exist or are absent as one.
pub trait Granularity {
    /// The weights of the lowest units of `keyed` (key, then index), `count` of them where units allow it,
    /// ascending by index.
    fn lowest(&self, keyed: &mut dyn Iterator<Item = (u64, u32)>, count: usize) -> Vec<u32>;
}

/// Every weight is a unit of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unstructured;

impl Granularity for Unstructured {
    fn lowest(&self, keyed: &mut dyn Iterator<Item = (u64, u32)>, count: usize) -> Vec<u32> {
        lowest(keyed, count)
    }
}
