//! The front of a network: what can be computed once for each sample while blocks are frozen.

use crate::description::{Description, Kind, Operation, Reach};

impl Description {
    /// The *front* while the first `blocks` blocks are frozen: so many leading operations, whose output for a
    /// sample is the same in every step. They neither measure nor train, and drop nothing. 0 without frozen
    /// blocks, and in a network that reads its input again further back.
    pub fn front(&self, blocks: usize) -> usize {
        let is_constant = |operation: &&Operation| {
            let drops = matches!(operation.kind, Kind::Dropout { .. });
            !drops && !self.is_active(operation.output, Reach::Block(blocks))
        };
        let front = self.operations().iter().take_while(is_constant).count();
        let reads_input = self.operations()[front..].iter().any(|operation| operation.reads.contains(&0));
        if blocks == 0 || reads_input { 0 } else { front }
    }

    /// How many numbers of a sample the front of so many operations hands on.
    pub fn front_numbers(&self, front: usize) -> usize {
        self.handed_on(front).map(|value| self.shapes[value].len()).sum()
    }

    /// How many leading layers belong to the front of so many operations.
    pub fn front_layers(&self, front: usize) -> usize {
        self.layers.iter().take_while(|layer| layer.value <= front).count()
    }

    /// How many numbers of a sample each layer puts out.
    pub fn layer_numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.iter().map(|layer| self.shapes[layer.value].len())
    }

    /// The values of the front that operations behind it read, in order.
    pub(crate) fn handed_on(&self, front: usize) -> impl Iterator<Item = usize> + '_ {
        let behind = &self.operations()[front..];
        (1..=front).filter(|value| behind.iter().any(|operation| operation.reads.contains(value)))
    }
}
