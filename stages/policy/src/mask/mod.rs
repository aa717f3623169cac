//! Masks: which weights of a layer exist, and when that changes.
//!
//! A weight outside the mask is stored nowhere; an existing weight counts as nonzero even if its value is 0. By
//! default every convolution but the first (1×1 shortcuts too) and every linear layer but the last is masked.

pub mod dense;
pub mod distribution;
pub mod fixed;
mod mest;
pub mod mest_em;
pub mod mest_ems;
mod selection;

use std::sync::Arc;

use spfde_data::architecture::Architecture;
use spfde_data::parameter::{Parameter, ParameterError, Parameters};

use crate::Entry;

/// What a mask policy is told of the run.
#[derive(Clone, Debug)]
pub struct MaskContext {
    /// The run's seed.
    pub seed: u64,
    /// How many epochs the run has.
    pub epochs: u32,
    /// The network.
    pub architecture: Arc<Architecture>,
}

/// The state of one layer at the moment at which its mask may change.
#[derive(Clone, Copy, Debug)]
pub struct MaskUpdate<'a> {
    /// The layer.
    pub layer: usize,
    /// The epoch at whose first step the decision takes effect.
    pub epoch: u32,
    /// When the layer's block freezes according to the plan.
    pub frozen_at: Option<u32>,
    /// Whether the layer's block freezes at this very epoch: the layer is brought to its final density and never
    /// asked again.
    pub freezing: bool,
    /// The existing weights, ascending: row-major in (out, in, ky, kx).
    pub indices: &'a [u32],
    /// Their values, in the same order.
    pub values: &'a [f32],
    /// The reduced gradient of the last step, in the same order.
    pub gradients: &'a [f32],
}

/// How a mask changes. Both lists are ascending; `dropped` holds existing weights, `grown` absent ones, so that
/// no weight is in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskDelta {
    /// The weights that cease to exist.
    pub dropped: Vec<u32>,
    /// The weights that begin to exist, with value 0.
    pub grown: Vec<u32>,
}

/// A rule that says which weights exist.
///
/// `frozen_at` is always the epoch at which the plan freezes the layer's block, `None` if it does not.
pub trait MaskPolicy: Send + Sync {
    /// The name under which it is registered.
    fn name(&self) -> &'static str;

    /// Whether a layer is masked. A layer that is not is dense and in no delta.
    fn masked(&self, layer: usize) -> bool;

    /// The density a layer ends with, from 0 to 1; 1 for a layer that is not masked. Initial weights are scaled
    /// for it.
    fn density(&self, layer: usize) -> f64;

    /// The existing weights of a layer during `epoch`. It must follow from the configuration alone, be constant
    /// from `frozen_at` on, and for a given epoch not fall when `frozen_at` moves later: plans count on it. A
    /// policy whose densities depend on data gives its target.
    fn nonzero(&self, layer: usize, epoch: u32, frozen_at: Option<u32>) -> u32;

    /// Whether the layers will have exactly the weights that [`nonzero`](Self::nonzero) says: then costs follow from the
    /// schedule, and a replay can count them. False for a policy whose densities depend on weights or data.
    fn is_scheduled(&self) -> bool {
        true
    }

    /// The weights of a masked layer that exist at the start, ascending; empty for a layer that is not masked.
    fn initial(&self, layer: usize, frozen_at: Option<u32>) -> Vec<u32>;

    /// Whether the schedule has an update of the layer at `(epoch, 0)`: never at epoch 0, never in a frozen
    /// layer, never after the run's end. A layer that freezes is asked at that epoch in any case, with
    /// [`MaskUpdate::freezing`].
    fn updates(&self, layer: usize, epoch: u32, frozen_at: Option<u32>) -> bool;

    /// The change of one masked layer that takes effect at `(update.epoch, 0)`.
    fn decide(&self, update: &MaskUpdate<'_>) -> MaskDelta;
}

/// All mask policies.
pub fn registry() -> &'static [Entry<dyn MaskPolicy, MaskContext>] {
    &[dense::ENTRY, fixed::ENTRY, mest_em::ENTRY, mest_ems::ENTRY]
}

/// The key `mask.policy`: one of the names in the registry.
pub fn choice() -> Parameter {
    crate::entry::choice("mask.policy", "mest-ems", registry(), "which weights of a layer exist")
}

/// Builds the policy called `name` from its parameters.
///
/// # Errors
/// If there is no such policy, or parameters contradict each other or the run.
///
/// # Panics
/// If `parameters` lacks one of the policy's keys.
pub fn build(
    name: &str,
    parameters: &Parameters,
    context: &MaskContext,
) -> Result<Box<dyn MaskPolicy>, ParameterError> {
    crate::entry::build(&choice(), registry(), name, parameters, context)
}

#[cfg(test)]
mod tests;
