//! The mask stage: weights in, drop and grow out.

use std::collections::BTreeSet;
use std::sync::Arc;

use spfde_data::rows::{FreezeRow, MaskRow};
use spfde_policy::{MaskDelta, MaskPolicy, MaskUpdate, Needs};
use timely::dataflow::StreamVec;

use crate::checkpoint::{Kept, MASK_POLICY};
use crate::run::Run;
use crate::tick::Tick;
use crate::train::LayerWeights;

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
    let (owner, together) = (run.owners(), policy.redistributes());
    let decider = move |layer: usize| if together { 0 } else { owner(layer) };
    let mut state = policy.start();
    if let Some(snapshot) = run.resumed() {
        let saved = snapshot.layers(MASK_POLICY, |layer| decider(layer) == run.worker());
        state.restore(&saved).expect("a snapshot was checked");
    }
    let mut window = run.window("Mask");
    let weights =
        window.exchanged(weights.clone(), move |weights: &LayerWeights| decider(weights.layer) as u64);
    let frozen_now = window.broadcast(frozen_now.clone());
    let (mut deltas_out, deltas) = window.output();
    let mut kept = run.keeper().output(&mut window);
    let policy = Arc::clone(policy);
    window.build(move |close| {
        let next = close.epoch + 1;
        let frozen_now = frozen_now.through(close.epoch).into_iter().filter(|row| row.diff > 0);
        let freezing: BTreeSet<usize> = frozen_now.map(|row| usize::from(row.layer)).collect();
        let mut layers = weights.through(close.epoch);
        layers.sort_by_key(|weights| weights.layer);
        let asked = layers.iter().filter_map(|weights| {
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
        });
        let updates: Vec<MaskUpdate<'_>> = asked.collect();
        if next < settings.epochs && !updates.is_empty() {
            let changes = timings.measure("mask", || state.decide(&updates));
            for (update, MaskDelta { dropped, grown }) in updates.iter().zip(changes) {
                let changed = dropped
                    .into_iter()
                    .map(|index| (index, -1))
                    .chain(grown.into_iter().map(|index| (index, 1)));
                deltas_out
                    .give(close, changed.map(|(index, diff)| row(next, update.moment.layer, index, diff)));
            }
        }
        kept.give(close, |epoch| {
            vec![Kept::Rows { table: MASK_POLICY, columns: state.columns(), rows: state.save(epoch) }]
        });
    });
    deltas
}
