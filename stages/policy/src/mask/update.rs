//! What a mask policy is shown of a layer, and what it answers.

use super::{Moment, Units};

/// The state of one layer at the moment at which its mask changes.
#[derive(Clone, Copy, Debug)]
pub struct MaskUpdate<'a> {
    /// The layer, when the change takes effect, and how many weights there are.
    pub moment: Moment,
    /// Whether the layer's block freezes at this very epoch: the layer is brought to its target density,
    /// unless densities depend on data.
    pub freezing: bool,
    /// The run's seed.
    pub seed: u64,
    /// The existing weights, ascending: row-major in (out, in, ky, kx).
    pub indices: &'a [u32],
    /// Their values, in the same order.
    pub values: &'a [f32],
    /// The reduced gradient of the last step, in the same order; empty unless it was needed.
    pub gradients: &'a [f32],
    /// The dense gradient of the last step, or its momentum, by index; empty unless it was needed.
    pub dense_gradients: &'a [f32],
    /// The values of all weights by index, of a policy that [explores](super::MaskPolicy::explores); empty
    /// otherwise.
    pub stored: &'a [f32],
    /// The absent weights that the policy named before the last step, ascending; empty unless they were
    /// needed.
    pub candidates: &'a [u32],
    /// Their gradients in that step, in the same order.
    pub candidate_gradients: &'a [f32],
}

/// A layer before the step whose gradients an update will look at.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The layer.
    pub layer: usize,
    /// The epoch and the step from which the update takes effect.
    pub tick: (u32, u32),
    /// In which units the layer's weights exist.
    pub units: Units,
    /// The existing weights, ascending.
    pub indices: &'a [u32],
    /// What the step before added up over its batch, as the policy's [sampling](super::Sampling) says: of
    /// what the layer reads, by (input, kernel row, kernel column), and of the gradients of its outputs.
    /// Empty if there was no such step in the epoch.
    pub sums: [&'a [f32]; 2],
}

/// How a mask changes. Both lists are ascending; `dropped` holds existing weights, `grown` absent ones or
/// dropped ones: a weight in both starts again at 0, without momentum. Where absent
/// weights keep values, a weight that grows starts with its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskDelta {
    /// The weights that cease to exist.
    pub dropped: Vec<u32>,
    /// The weights that begin to exist, with value 0.
    pub grown: Vec<u32>,
}
