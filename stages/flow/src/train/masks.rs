//! Mask deltas on their way into the replica.

use std::collections::BTreeMap;

use spfde_data::MaskRow;
use timely::dataflow::operators::InputCapability;

use crate::Tick;

/// What changes in each layer at one tick: the weights that cease and those that begin to exist.
pub(super) type Changes = BTreeMap<u16, [Vec<u32>; 2]>;

/// Mask deltas by tick and layer, until they are due. The rows of an initial mask would take four times the
/// room.
#[derive(Default)]
pub(super) struct MaskChanges(BTreeMap<Tick, Changes>);

impl MaskChanges {
    /// Takes the rows of a message, which leaves `rows` empty.
    pub(super) fn add(&mut self, capability: &InputCapability<Tick>, rows: &mut Vec<MaskRow>) {
        let Some(tick) = capability.least() else { return };
        let changes = self.0.entry(*tick).or_default();
        for row in rows.drain(..) {
            changes.entry(row.layer).or_default()[usize::from(row.diff > 0)].push(row.index);
        }
    }

    /// The earliest changes up to `tick`.
    pub(super) fn next(&mut self, tick: Tick) -> Option<(Tick, Changes)> {
        let first = self.0.first_entry().filter(|entry| *entry.key() <= tick)?;
        Some(first.remove_entry())
    }
}
