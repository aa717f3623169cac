//! The mask stage: weights in, drop and grow out.

use std::collections::{BTreeMap, BTreeSet};

use spfde_data::rows::{FreezeRow, MaskRow};
use spfde_policy::MaskUpdate;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;

use crate::run::Run;
use crate::tick::Tick;
use crate::train::LayerWeights;
use crate::window::{Stash, Windows};

/// The initial masks of the layers this worker owns, as deltas at `(0, 0)`; the decisions on their way if the run goes
/// on.
pub(crate) fn initial(run: &Run<'_>) -> Vec<MaskRow> {
    if let Some(snapshot) = run.resumed() {
        let mine = |row: &MaskRow| run.owner(usize::from(row.layer)) == run.worker();
        return snapshot.rows::<MaskRow>().into_iter().filter(mine).collect();
    }
    let (policy, plan) = (&run.settings().policies.mask, run.plan());
    let owned = (0..plan.architecture.layers.len()).filter(|layer| run.owner(*layer) == run.worker());
    let rows = owned.filter(|layer| policy.masked(*layer)).flat_map(|layer| {
        let indices = policy.initial(layer, plan.layer_frozen_at(layer));
        indices.into_iter().map(move |index| row(0, layer, index, 1))
    });
    rows.collect()
}

fn row(epoch: u32, layer: usize, index: u32, diff: i8) -> MaskRow {
    MaskRow { epoch, step: 0, layer: layer as u16, index, diff }
}

/// Hosts the mask policy: at the end of each epoch the owner of a layer decides which of its weights cease and which
/// begin to exist.
///
/// It sees the decisions of the freeze stage of the same tick, so a layer that freezes is pruned to its target
/// density, grows nothing, and is never touched again. The deltas leave at the close of the epoch, on the owner.
pub fn mask<'s>(
    run: &Run<'s>,
    weights: &StreamVec<'s, Tick, LayerWeights>,
    frozen_now: &StreamVec<'s, Tick, FreezeRow>,
) -> StreamVec<'s, Tick, MaskRow> {
    let (settings, timings) = (std::sync::Arc::clone(run.settings()), run.timings().clone());
    let horizon = run.horizon();
    let mut builder = OperatorBuilder::new("Mask".to_owned(), run.scope());
    let mut weights = builder.new_input(weights.clone(), Pipeline);
    let mut frozen_now = builder.new_input(frozen_now.clone().broadcast(), Pipeline);
    let (output, deltas) = builder.new_output::<Vec<MaskRow>>();
    let mut output = OutputBuilder::from(output);
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut layers = Stash::<LayerWeights>::new();
        let mut freezes = Stash::<FreezeRow>::new();
        let mut frozen_at: BTreeMap<usize, u32> = BTreeMap::new();
        move |frontiers| {
            weights.for_each(|capability, rows| layers.add(&capability, rows));
            frozen_now.for_each(|capability, rows| freezes.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                let next = epoch + 1;
                let freezing: BTreeSet<usize> =
                    freezes.through(epoch).map(|row| usize::from(row.layer)).collect();
                frozen_at.extend(freezing.iter().map(|layer| (*layer, next)));
                let mut layers: BTreeMap<usize, LayerWeights> =
                    layers.through(epoch).map(|weights| (weights.layer, weights)).collect();
                if next < settings.epochs {
                    layers.retain(|layer, _| frozen_at.get(layer).is_none_or(|at| *at == next));
                    for (layer, weights) in layers {
                        let update = MaskUpdate {
                            layer,
                            epoch: next,
                            frozen_at: settings.plan.layer_frozen_at(layer),
                            freezing: freezing.contains(&layer),
                            indices: &weights.indices,
                            values: &weights.values,
                            gradients: &weights.gradients,
                        };
                        let policy = &settings.policies.mask;
                        if !update.freezing && !policy.updates(layer, next, update.frozen_at) {
                            continue;
                        }
                        let delta = timings.measure("mask", || policy.decide(&update));
                        let dropped = delta.dropped.into_iter().map(|index| row(next, layer, index, -1));
                        let grown = delta.grown.into_iter().map(|index| row(next, layer, index, 1));
                        let mut output = output.activate();
                        output.session(windows.capability(0)).give_iterator(dropped.chain(grown));
                    }
                }
                windows.advance();
            }
        }
    });
    deltas
}
