//! Where numbers stop being finite: for messages, when a step has to be refused.

use crate::description::Reach;
use crate::lane::{LANES, samples_in};
use crate::network::Network;
use crate::shard::Shard;
use crate::workspace::Workspace;

impl Network {
    /// Computes a shard forward, as [`Network::train_shard`] does, and looks for the first layer in forward order whose
    /// output (before batch norm and ReLU) holds a number that is not finite: its number, and the first sample of the
    /// shard, by position, that has one there. `None` if all outputs are finite.
    ///
    /// # Panics
    /// If the shard's inputs have another shape than the network's or too few lanes.
    pub fn first_not_finite(&self, workspace: &mut Workspace, shard: &Shard<'_>) -> Option<(usize, usize)> {
        // A backward pass that reached the input would need every value, so that none is overwritten.
        let mut pass = self.pass(workspace, shard, &self.observing, self.frozen, Reach::Block(0))?;
        self.run_forward(&mut pass);
        self.description.layers.iter().enumerate().find_map(|(layer, description)| {
            let lanes = pass.value(description.value);
            let groups = lanes.chunks_exact(lanes.len() / pass.groups).enumerate();
            let first = groups.filter_map(|(group, lanes)| {
                let mut samples = 0..samples_in(group, pass.samples);
                let sample = samples.find(|slot| lanes.iter().any(|lane| !lane.0[*slot].is_finite()))?;
                Some(group * LANES + sample)
            });
            Some((layer, first.min()?))
        })
    }
}
