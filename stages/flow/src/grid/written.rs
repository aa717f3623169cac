//! The decisions of all members as one table.

use spfde_data::table::Row;

use crate::trace::Sink;

use super::{Failure, Grid};

spfde_data::row! {
    /// A sample that enters (+1) or leaves (−1) the active set of a member at the start of an epoch. The
    /// whole initial active set enters at epoch 0, so that the active set of any epoch is the sum of the rows
    /// up to it.
    pub struct DecisionRow in "sieves" by (epoch, member, sample) {
        /// Epoch from which it holds.
        pub epoch: u32,
        /// The member's place in the grid, from 0.
        pub member: u32,
        /// The sample.
        pub sample: u32,
        /// +1 enters, −1 leaves.
        pub diff: i8,
        /// By what it was ranked; 0 at the start and for those who enter.
        pub key: u32,
        /// Its weight in the loss; the row that retracts repeats it.
        pub weight: f32,
    }
}

spfde_data::row! {
    /// A layer that freezes (+1) or thaws (−1) for a member at the start of an epoch.
    pub struct FreezeDecisionRow in "freezes" by (epoch, member, layer) {
        /// Epoch from whose first step on it holds.
        pub epoch: u32,
        /// The member's place in the grid, from 0.
        pub member: u32,
        /// Layer, from 0 in forward order.
        pub layer: u16,
        /// +1 frozen, −1 thawed.
        pub diff: i8,
        /// Why, in words.
        pub reason: String,
    }
}

/// Rows handed to a segment at a time.
const BATCH_ROWS: usize = 1 << 15;

/// Writes down, if that is wanted, what was decided for `epoch`: `rows`, member by member; no file if there
/// are none, except by worker 0.
pub(super) fn write<R: Row>(grid: &Grid, (epoch, worker): (u32, usize), rows: impl Iterator<Item = R>) {
    let Some(store) = grid.store.as_ref().filter(|_| epoch <= grid.last && !grid.failed()) else { return };
    let (mut sink, mut rows) = (Sink::new(store, worker), rows.peekable());
    let mut written = || {
        while rows.peek().is_some() {
            sink.append(epoch, rows.by_ref().take(BATCH_ROWS))?;
        }
        sink.finish::<R>(epoch)
    };
    match written() {
        Ok(segment) => grid.found(|found| found.segments.extend(segment)),
        // Behind everything that could not be read.
        Err(error) => grid.fail(Failure::Whole(error.to_string())),
    }
}
