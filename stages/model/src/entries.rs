//! Entries: what the front of a network puts out for a sample is a constant while its blocks are frozen, and
//! can be kept.
//!
//! An *entry* is what the front hands on of one sample: the values that later operations read, in order, each
//! number in little-endian bytes as [`Packing`] says. It does not depend on which other samples there are.

use crate::storage::Storage;

spfde_data::choice! {
    /// How the numbers of an entry are kept.
    pub enum Packing {
        /// As [`Storage`] keeps them, to the bit.
        Exact = "exact",
        /// In two bytes: in those that they have with [`Storage::Bf16`], else rounded to the nearest f16.
        F16 = "f16",
    }
}

/// What the front handed on of the samples of a shard.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    /// The front that it was, in operations, as [`Description::front`](crate::Description::front) counts.
    pub front: usize,
    /// How it is kept.
    pub packing: Packing,
    /// One entry for each sample.
    pub entries: &'a [&'a [u8]],
}

impl Packing {
    /// Bytes of a number.
    pub fn bytes(self, storage: Storage) -> usize {
        if self == Self::F16 { 2 } else { storage.bytes() }
    }
}
