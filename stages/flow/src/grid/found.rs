//! What a grid finds.

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
    /// What was written.
    pub segments: Vec<Segment>,
    /// Why it ended early: of several failures the first.
    pub failed: Option<Failure>,
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
