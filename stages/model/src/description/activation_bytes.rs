//! The memory that the backward pass keeps, counted from shapes.

use std::collections::BTreeSet;

use crate::description::{Description, Reach};

impl Description {
    /// Bytes of activations that one sample keeps for the backward pass, by the number of frozen blocks:
    /// every stored value that some active operation reads again, once, four bytes a number.
    pub(super) fn activation_bytes(&self) -> Vec<u64> {
        let of = |frozen: usize| -> u64 {
            let reach = Reach::Block(frozen);
            let active = (0..self.operations.len()).filter(|operation| self.is_active(*operation, reach));
            let kept: BTreeSet<usize> =
                active.flat_map(|operation| self.kept_for(operation, reach)).collect();
            kept.into_iter().map(|value| 4 * self.values[value].shape.len() as u64).sum()
        };
        (0..=self.architecture.blocks.len()).map(of).collect()
    }
}
