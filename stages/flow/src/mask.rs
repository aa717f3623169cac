//! The mask stage: weights in, drop and grow out.

use std::collections::BTreeSet;
use std::sync::Arc;

use spfde_data::rows::{FreezeRow, MaskRow};
use spfde_policy::{MaskPolicy, MaskUpdate, Needs};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;

use crate::checkpoint::{Kept, MASK_POLICY};
use crate::run::Run;
use crate::tick::Tick;
use crate::train::LayerWeights;
use crate::window::{Stash, Windows};

/// The initial masks of the layers this worker owns, as deltas at `(0, 0)`; the decisions on their way if the
/// run goes on.
pub(crate) fn initial(run: &Run<'_>) -> Vec<MaskRow> {
    if let Some(snapshot) = run.resumed() {
        let mine = |row: &MaskRow| run.owner(usize::from(row.layer)) == run.worker();
        return snapshot.rows::<MaskRow>().into_iter().filter(mine).collect();
    }
    let (policy, plan) = (&run.settings().policies.mask, run.plan());
    let owned = (0..plan.architecture.layers.len()).filter(|layer| run.owner(*layer) == run.worker());
    let rows = owned.filter(|layer| policy.masked(*layer)).flat_map(|layer| {
        let indices = policy.initial(layer, plan.spans(layer));
        indices.into_iter().map(move |index| row(0, layer, index, 1))
    });
    rows.collect()
}

fn row(epoch: u32, layer: usize, index: u32, diff: i8) -> MaskRow {
    MaskRow { epoch, step: 0, layer: layer as u16, index, diff }
}

/// Hosts a mask policy: at the end of each epoch the owner of a layer, or worker 0 where layers exchange
/// weights, decides which of its weights cease and which begin to exist.
///
/// It sees the decisions of the freeze stage of the same tick, so a layer that freezes is pruned to its
/// target density, grows nothing, and is not touched until it trains again. The deltas leave at the close of
/// the epoch.
pub fn mask<'s>(
    run: &Run<'s>,
    weights: &StreamVec<'s, Tick, LayerWeights>,
    frozen_now: &StreamVec<'s, Tick, FreezeRow>,
    policy: &Arc<dyn MaskPolicy>,
) -> StreamVec<'s, Tick, MaskRow> {
    let (settings, timings) = (Arc::clone(run.settings()), run.timings().clone());
    let (horizon, due) = (run.horizon(), run.keeper().due());
    let mut builder = OperatorBuilder::new("Mask".to_owned(), run.scope());
    let owner = run.owners();
    let together = policy.redistributes();
    let to_owner =
        Exchange::new(move |weights: &LayerWeights| if together { 0 } else { owner(weights.layer) as u64 });
    let mut weights = builder.new_input(weights.clone(), to_owner);
    let mut frozen_now = builder.new_input(frozen_now.clone().broadcast(), Pipeline);
    let (output, deltas) = builder.new_output::<Vec<MaskRow>>();
    let (kept_out, kept) = builder.new_output::<Vec<Kept>>();
    let (mut output, mut kept_out) = (OutputBuilder::from(output), OutputBuilder::from(kept_out));
    let mut state = policy.start();
    if let Some(snapshot) = run.resumed() {
        let mine = |layer: usize| (if together { 0 } else { run.owner(layer) }) == run.worker();
        state.restore(&snapshot.layers(MASK_POLICY, mine)).expect("a snapshot was checked");
    }
    let policy = Arc::clone(policy);
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut layers = Stash::<LayerWeights>::new();
        let mut freezes = Stash::<FreezeRow>::new();
        move |frontiers| {
            weights.for_each(|capability, rows| layers.add(&capability, rows));
            frozen_now.for_each(|capability, rows| freezes.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                let next = epoch + 1;
                let freezing: BTreeSet<usize> = freezes
                    .through(epoch)
                    .filter(|row| row.diff > 0)
                    .map(|row| usize::from(row.layer))
                    .collect();
                let mut layers: Vec<LayerWeights> = layers.through(epoch).collect();
                layers.sort_by_key(|weights| weights.layer);
                let updates: Vec<MaskUpdate<'_>> = layers
                    .iter()
                    .filter_map(|weights| {
                        let (layer, spans) = (weights.layer, settings.plan.spans(weights.layer));
                        let freezing = freezing.contains(&layer);
                        let updates = policy.needs(layer, next, spans) > Needs::Nothing;
                        (freezing || updates).then(|| MaskUpdate {
                            moment: policy.moment(layer, next, spans),
                            freezing,
                            seed: settings.seed,
                            indices: &weights.indices,
                            values: &weights.values,
                            gradients: &weights.gradients,
                            dense_gradients: &weights.dense_gradients,
                        })
                    })
                    .collect();
                if next < settings.epochs && !updates.is_empty() {
                    let deltas = timings.measure("mask", || state.decide(&updates));
                    for (update, delta) in updates.iter().zip(deltas) {
                        let layer = update.moment.layer;
                        let dropped = delta.dropped.into_iter().map(|index| row(next, layer, index, -1));
                        let grown = delta.grown.into_iter().map(|index| row(next, layer, index, 1));
                        let mut output = output.activate();
                        output.session(windows.capability(0)).give_iterator(dropped.chain(grown));
                    }
                }
                if due.at(next) {
                    let (columns, rows) = (state.columns(), state.save(next));
                    let kept = Kept::Rows { table: MASK_POLICY, columns, rows };
                    kept_out.activate().session(windows.capability(1)).give(kept);
                }
                windows.advance();
            }
        }
    });
    run.keeper().keep(kept);
    deltas
}
