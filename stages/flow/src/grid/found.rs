//! What a grid finds.

use serde::{Deserialize, Serialize};
use spfde_data::segment::Segment;

use super::run::MemberCosts;

/// What a grid finds. Of several processes the one that has worker 0 finds it all, but for what the others have written.
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
    /// What was written by this process.
    pub segments: Vec<Segment>,
    /// Why it ended early: the first part or file, by number, that could not be read or written, and what is wrong.
    pub failed: Option<(usize, String)>,
    /// Whether somebody has asked one of the processes to end it.
    pub interrupted: bool,
}

/// A sieve in one epoch. Of bare scores the sieves are the members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MemberRow {
    /// Epoch, from 0.
    pub epoch: u32,
    /// The sieve's place in the grid.
    pub member: u32,
    /// Samples in its active set.
    pub active: u32,
    /// Those that entered at the epoch's start, beyond the initial set.
    pub entered: u32,
    /// Those that left at the epoch's start.
    pub left: u32,
    /// Active samples that have no score in the epoch.
    pub unscored: u32,
    /// Of a run: samples that are in or out as they were recorded.
    pub as_recorded: u32,
}

impl MemberRow {
    /// Adds what another worker says of the same epoch and sieve.
    pub(super) fn add(&mut self, other: &Self) {
        self.active += other.active;
        self.entered += other.entered;
        self.left += other.left;
        self.unscored += other.unscored;
        self.as_recorded += other.as_recorded;
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
