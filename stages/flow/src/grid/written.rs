//! The decisions of all members as one table.

use std::collections::BTreeMap;

use spfde_data::rows::FreezeRow;
use spfde_data::segment::{Segment, SegmentStore, SegmentWriter, StorageError};
use spfde_data::table::{Cells, Columns, Record, Row};

use crate::sieve::Change;

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

/// Writes what freezes at the start of `epoch`, member by member; no file if nothing does, except by worker
/// 0.
pub(super) fn freezes(
    store: &dyn SegmentStore,
    (epoch, worker): (u32, u32),
    members: BTreeMap<usize, &[FreezeRow]>,
) -> Result<Option<Segment>, StorageError> {
    if worker != 0 && members.values().all(|rows| rows.is_empty()) {
        return Ok(None);
    }
    let row = |member: usize, row: &FreezeRow| FreezeDecisionRow {
        epoch,
        member: member as u32,
        layer: row.layer,
        diff: row.diff,
        reason: row.reason.clone(),
    };
    let mut writer = store.create(FreezeDecisionRow::STREAM, &FreezeDecisionRow::columns(), epoch, worker)?;
    for (member, rows) in members {
        writer.append(&Columns::from_rows(rows.iter().map(|freeze| row(member, freeze))))?;
    }
    Ok(Some(writer.finish()?))
}

/// Rows handed to a segment at a time.
const BATCH_ROWS: usize = 1 << 15;

/// Writes the changes at `epoch`, one member after the other; no file if there are none, except by worker 0.
pub(super) fn sieves<C: Iterator<Item = Change>>(
    store: &dyn SegmentStore,
    sample: impl Fn(u32) -> u32,
    (epoch, worker): (u32, u32),
    members: impl Iterator<Item = C>,
) -> Result<Option<Segment>, StorageError> {
    let columns = DecisionRow::columns();
    let create = || store.create(DecisionRow::STREAM, &columns, epoch, worker);
    let mut writer = if worker == 0 { Some(create()?) } else { None };
    for (member, changes) in members.enumerate() {
        let row =
            |change: Change| change.rows().map(move |(diff, key, weight)| (change.index, diff, key, weight));
        let mut rows = changes.flat_map(row);
        loop {
            let batch: Vec<(u32, i8, u32, f32)> = rows.by_ref().take(BATCH_ROWS).collect();
            if batch.is_empty() {
                break;
            }
            let cells = vec![
                Cells::U32(vec![epoch; batch.len()]),
                Cells::U32(vec![member as u32; batch.len()]),
                Cells::U32(batch.iter().map(|(index, ..)| sample(*index)).collect()),
                Cells::I8(batch.iter().map(|(_, diff, ..)| *diff).collect()),
                Cells::U32(batch.iter().map(|(.., key, _)| *key).collect()),
                Cells::F32(batch.iter().map(|(.., weight)| *weight).collect()),
            ];
            let open = match writer.take() {
                Some(open) => open,
                None => create()?,
            };
            writer.insert(open).append(&Columns { cells, rows: batch.len() })?;
        }
    }
    writer.map(SegmentWriter::finish).transpose()
}
