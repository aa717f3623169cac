//! What a grid finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spfde_data::segment::Segment;

use crate::sieve::MemberRow;

use super::run::MemberCosts;

/// What a grid finds.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Of bare scores: one row for each epoch and member, in this order.
    pub rows: Vec<MemberRow>,
    /// Of a run: one for each epoch and member, in this order.
    pub costs: Vec<MemberCosts>,
    /// Of bare scores: how the final keys are distributed: member, key, samples; in this order.
    pub keys: Vec<KeyRow>,
    /// Epochs of the record, which may have gone on while it was read.
    pub epochs: u32,
    /// Of bare scores, by epoch: how many rows are one more of their sample, in the epochs that have some.
    pub repeated: BTreeMap<u32, u64>,
    /// Of bare scores, if decisions are written: what the last ones keep, by member and worker.
    pub kept: Vec<Kept>,
    /// What was written.
    pub segments: Vec<Segment>,
    /// Why it ended early: of several failures the first.
    pub failed: Option<Failure>,
}

/// Which of one worker's samples a member trains on after its last decision, and by what that ranked them.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The member's place in the grid.
    pub member: u32,
    pub(super) worker: u32,
    pub(super) kept: Vec<bool>,
    /// Empty if nothing was decided.
    pub(super) keys: Arc<Vec<u32>>,
}

impl Found {
    /// For each sample, by its slot: whether a member keeps it, and the key by which its last decision ranked
    /// it, if it made one. Nothing if decisions were not written.
    pub fn kept_by(&self, member: u32) -> impl Iterator<Item = (bool, Option<u32>)> {
        let shares: Vec<&Kept> = self.kept.iter().filter(|kept| kept.member == member).collect();
        let samples: usize = shares.iter().map(|share| share.kept.len()).sum();
        (0..samples).map(move |slot| {
            let (share, index) = (shares[slot % shares.len()], slot / shares.len());
            (share.kept[index], share.keys.get(index).copied())
        })
    }
}

/// Why a grid ends early, in the order in which several count: whichever worker meets one first, the same is
/// told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Failure {
    /// A part of the scores, by number, cannot be read, and what is wrong.
    Part(usize, String),
    /// Something that belongs to no part, and what is wrong.
    Whole(String),
}

impl Failure {
    /// What is wrong.
    pub fn into_reason(self) -> String {
        match self {
            Failure::Part(_, reason) | Failure::Whole(reason) => reason,
        }
    }
}

/// How many samples a member ranks by one key after the last score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyRow {
    /// The member's place in the grid.
    pub member: u32,
    /// The key.
    pub key: u32,
    /// How many samples have it.
    pub samples: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_count_by_their_number_and_before_the_whole() {
        let [second, tenth] = [2, 10].map(|part| Failure::Part(part, "cut".to_owned()));
        let whole = Failure::Whole("a full disk".to_owned());
        assert_eq!([&whole, &tenth, &second].into_iter().min(), Some(&second));
        assert_eq!([&whole, &tenth].into_iter().min(), Some(&tenth));
        assert_eq!((second.into_reason(), whole.into_reason()), ("cut".into(), "a full disk".into()));
    }
}
