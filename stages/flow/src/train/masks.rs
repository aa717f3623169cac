//! Mask deltas on their way into the replica.

use std::collections::BTreeMap;

use spfde_data::MaskRow;
use spfde_model::Growth;
use timely::dataflow::operators::InputCapability;

use crate::Tick;

use super::replica::Replica;

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

impl Replica {
    /// Brings masks up to date: what goes, then what comes, layer by layer.
    pub(super) fn mask(&mut self, tick: Tick, changes: Changes) {
        // The initial mask takes the initial weights; what grows later starts at zero, or as a store has it.
        let is_initial = tick == Tick::new(0, 0);
        let growth = if is_initial { Growth::Initial } else { Growth::Zero };
        for (layer, mut lists) in changes {
            lists.iter_mut().for_each(|indices| indices.sort_unstable());
            let (layer, [dropped, grown]) = (usize::from(layer), lists);
            let before = (tick.step > 0).then(|| self.network.indices(layer).to_vec());
            self.explored.put(&self.network, layer);
            self.network.apply_mask(layer, &dropped, &grown, growth);
            self.explored.grow(&mut self.network, layer);
            if let Some(before) = before {
                self.ledger.remap(layer, &before, self.network.indices(layer));
            }
        }
        if is_initial {
            self.settings.begin(&mut self.network);
        }
    }
}
