//! What the mask policies see of the weights.

use serde::{Deserialize, Serialize};
use spfde_policy::Needs;

use crate::Tick;

use super::ledger::is_frozen;
use super::replica::Replica;

/// What a mask policy needs of one layer: at the end of an epoch, for an update or a freeze at the start of
/// the next, or after a step within it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerWeights {
    /// The layer.
    pub layer: usize,
    /// The step from which the update takes effect; 0: the first of the next epoch.
    pub step: u32,
    /// Which weights exist: ascending row-major indices.
    pub indices: Vec<u32>,
    /// Their values, in the same order.
    pub values: Vec<f32>,
    /// The last step's gradient, in the same order; empty unless it is needed.
    pub gradients: Vec<f32>,
    /// The last step's dense gradient, or its momentum, by index; empty unless it is needed.
    pub dense_gradients: Vec<f32>,
    /// The values of all weights, by index, where absent ones keep theirs; else empty.
    pub stored: Vec<f32>,
    /// The absent weights that the policy named before the last step, ascending; empty unless it did.
    pub candidates: Vec<u32>,
    /// Their gradients in that step, in the same order.
    pub candidate_gradients: Vec<f32>,
}

/// What the mask policy needs after step `tick` of the layers that this worker owns: at the end of the epoch,
/// if it `ends`, for their updates at the start of the next.
pub(super) fn snapshots(replica: &Replica, tick: Tick, ends: bool, values: &[f32]) -> Vec<LayerWeights> {
    let (network, settings) = (&replica.network, &replica.settings);
    let (mask, plan) = (&settings.policies.mask, &settings.plan);
    let (next, step) = (tick.epoch + 1, if ends { 0 } else { tick.step + 1 });
    // Where densities depend on data, a layer that freezes keeps what it has.
    let may_freeze = settings.policies.freeze.may_freeze(next);
    let unplanned = next < settings.epochs && may_freeze && mask.is_scheduled();
    let needs = |layer: usize| match mask.needs(layer, next, plan.spans(layer)) {
        // One that freezes without being planned is pruned to its target, if it has more.
        Needs::Nothing
            if unplanned && mask.masked(layer) && network.nonzero(layer) > mask.target(layer) as usize =>
        {
            mask.needs_to_freeze()
        }
        needs => needs,
    };
    let needs = |layer: usize| match ends {
        true => needs(layer),
        false => mask.needs_within(layer, tick.epoch, plan.spans(layer)),
    };
    let part = &values[..network.part_len()];
    let owned = replica.ledger.layers().iter().copied().filter(|layer| !is_frozen(network, *layer));
    let snapshot = |layer: usize| {
        let needs = needs(layer);
        let wanted = |least: Needs, numbers: &dyn Fn() -> Vec<f32>| {
            if needs >= least { numbers() } else { Vec::new() }
        };
        let (candidates, candidate_gradients) = match needs {
            Needs::Candidates => replica.candidates(values, layer),
            _ => (Vec::new(), Vec::new()),
        };
        (needs > Needs::Nothing).then(|| LayerWeights {
            layer,
            step,
            indices: network.indices(layer).to_vec(),
            values: network.values(layer).to_vec(),
            gradients: wanted(Needs::Gradient, &|| network.gradient(part, layer).to_vec()),
            dense_gradients: wanted(Needs::DenseGradient, &|| replica.dense_gradient(values, layer)),
            stored: replica.explored.stored(network, layer),
            candidates,
            candidate_gradients,
        })
    };
    owned.filter_map(snapshot).collect()
}
