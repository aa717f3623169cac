//! Gradient transforms: what becomes of a gradient between backward pass and update.

use spfde_model::Network;

use crate::tick::Tick;

/// Changes gradients before they are applied. Norms in the trace are those before the change.
///
/// A transform is the same on every worker, and has to be a function of its arguments and of what it has seen, so that all
/// replicas keep the same bits.
pub trait GradientTransform: Send + Sync {
    /// One shard's part, before the parts of all shards are added.
    fn shard(&self, _tick: Tick, _network: &Network, _part: &mut [f32]) {}

    /// The sum of all shards' parts, before the update.
    fn reduced(&self, _tick: Tick, _network: &Network, _part: &mut [f32]) {}
}
