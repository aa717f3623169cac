//! The mask stage: weights in, drop and grow out.

mod within;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use spfde_data::{FreezeRow, MaskRow, MaskUpdateRow};
use spfde_policy::mask::Moment;
use spfde_policy::mask::selection::without;
use spfde_policy::{MaskDelta, MaskPolicy, MaskState, MaskUpdate, Needs, Spans};
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::core::OkErr;

use crate::initial::decider;
use crate::{Flow, Kept, LayerWeights, Loop, MASK_POLICY, Run, Settings, Tick, Timings};

/// Hosts a mask policy: at the end of each epoch the owner of a layer, or worker 0 where layers exchange
/// weights, decides which of its weights cease and which begin to exist; if the policy's windows are steps,
/// after so many of them.
///
/// It sees the decisions of the freeze stage of the same tick. A layer that freezes is pruned to its target
/// density, or keeps its weights where densities depend on data. It grows nothing, and is not touched until
/// it trains again. The deltas leave at the close of the epoch, or at the step that they follow.
///
/// # Panics
/// If the policy has other windows than the one in the run's settings: the loops were declared for those.
pub fn mask<'s>(
    run: &Run<'s>,
    weights: &Flow<'s, LayerWeights>,
    frozen_now: &Flow<'s, FreezeRow>,
    policy: &Arc<dyn MaskPolicy>,
) -> Flow<'s, MaskRow> {
    assert_eq!(policy.steps(), run.policies().mask.steps(), "the run was built for the policy's windows");
    let decider = decider(run, policy);
    let mut state = policy.start();
    if let Some(snapshot) = run.resumed() {
        let saved = snapshot.layers(MASK_POLICY, |layer| decider(layer) == run.worker());
        state.restore(&saved).expect("a snapshot was checked");
    }
    let (settings, timings) = (Arc::clone(run.settings()), run.timings().clone());
    let decider = move |weights: &LayerWeights| decider(weights.layer) as u64;
    let host = Host { state: Rc::new(RefCell::new(state)), policy: Arc::clone(policy), settings, timings };
    let (deltas, updates) = match policy.steps() {
        None => at_close(run, weights.clone(), frozen_now, decider, host),
        Some(steps) => {
            #[allow(
                clippy::result_large_err,
                reason = "neither is an error: the operator tells two ways apart"
            )]
            let is_within = |weights: LayerWeights| if weights.step > 0 { Ok(weights) } else { Err(weights) };
            let (after_steps, at_end) = weights.clone().ok_err(is_within);
            let within = within::within(run, after_steps, steps, decider.clone(), host.clone());
            let at_close = at_close(run, at_end, frozen_now, decider, host);
            (at_close.0.concat(within.0), at_close.1.concat(within.1))
        }
    };
    // A replay decides on no mask.
    if !run.replays() {
        Loop::updates(run).close(updates);
    }
    deltas
}

/// What the operators of the stage share on one worker.
#[derive(Clone)]
struct Host {
    state: Rc<RefCell<Box<dyn MaskState>>>,
    policy: Arc<dyn MaskPolicy>,
    settings: Arc<Settings>,
    timings: Timings,
}

impl Host {
    /// What changes of these layers from `tick` on, at which some are `freezing`.
    fn decide(
        &self,
        tick: Tick,
        freezing: &BTreeSet<usize>,
        mut layers: Vec<LayerWeights>,
    ) -> (Vec<MaskRow>, Vec<MaskUpdateRow>) {
        let Tick { epoch, step } = tick;
        layers.sort_by_key(|weights| weights.layer);
        let asked = layers.iter().filter_map(|weights| {
            let (layer, spans) = (weights.layer, self.settings.plan.spans(weights.layer));
            let freezing = freezing.contains(&layer);
            let needs = match step {
                0 => self.policy.needs(layer, epoch, spans),
                _ => self.policy.needs_within(layer, epoch, spans),
            };
            (freezing || needs > Needs::Nothing).then(|| MaskUpdate {
                moment: Moment { step, ..self.policy.moment(layer, epoch, spans) },
                freezing,
                seed: self.settings.seed,
                indices: &weights.indices,
                values: &weights.values,
                gradients: &weights.gradients,
                dense_gradients: &weights.dense_gradients,
                stored: &weights.stored,
                candidates: &weights.candidates,
                candidate_gradients: &weights.candidate_gradients,
            })
        });
        let updates: Vec<MaskUpdate<'_>> = asked.collect();
        if epoch >= self.settings.epochs || updates.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let changes = self.timings.measure("mask", || self.state.borrow_mut().decide(&updates));
        let told = updates.iter().zip(&changes).map(|(update, change)| {
            let spans = self.settings.plan.spans(update.moment.layer);
            let promised = self.policy.is_scheduled().then(|| match update.freezing {
                true => self.policy.nonzero(update.moment.layer, epoch, &Spans::from(epoch)),
                false => self.policy.nonzero(update.moment.layer, epoch, spans),
            });
            check(self.policy.name(), update, change, promised);
            MaskUpdateRow {
                epoch,
                step,
                layer: update.moment.layer as u16,
                dropped: change.dropped.len() as u32,
                grown: change.grown.len() as u32,
                threshold: greatest(update, &change.dropped),
            }
        });
        let told = told.collect();
        let rows = |(update, MaskDelta { dropped, grown }): (&MaskUpdate<'_>, MaskDelta)| {
            let layer = update.moment.layer as u16;
            let row = move |diff| move |index| MaskRow { epoch, step, layer, index, diff };
            dropped.into_iter().map(row(-1)).chain(grown.into_iter().map(row(1)))
        };
        (updates.iter().zip(changes).flat_map(rows).collect(), told)
    }
}

/// The greatest magnitude among the dropped weights, if there are any.
fn greatest(update: &MaskUpdate<'_>, dropped: &[u32]) -> Option<f32> {
    let mut dropped = dropped.iter().peekable();
    let magnitudes = update.indices.iter().zip(update.values);
    let gone = magnitudes.filter(|(index, _)| dropped.next_if_eq(index).is_some());
    gone.map(|(_, value)| value.abs()).reduce(f32::max)
}

/// Panics unless a change keeps what every mask policy promises: dropped weights existed, grown ones are not
/// among those that stay, and the layer has as many weights as the schedule says, where it does.
fn check(name: &str, update: &MaskUpdate<'_>, change: &MaskDelta, promised: Option<u32>) {
    let MaskDelta { dropped, grown } = change;
    let layer = update.moment.layer;
    let kept = without(update.indices, dropped);
    let ascend = |list: &[u32]| list.is_sorted_by(|a, b| a < b);
    assert!(ascend(dropped) && ascend(grown), "mask {name}: the changes of layer {layer} ascend");
    assert_eq!(
        kept.len() + dropped.len(),
        update.indices.len(),
        "mask {name}: layer {layer} had what it drops"
    );
    let is_new = |index: &u32| kept.binary_search(index).is_err() && *index < update.moment.units.weights();
    assert!(grown.iter().all(is_new), "mask {name}: what layer {layer} grows was absent");
    let after = kept.len() + grown.len();
    if let Some(promised) = promised.filter(|promised| *promised as usize != after) {
        // One that freezes, or has frozen, without being planned may have fewer than the plan's schedule.
        let fewer = after < promised as usize && after == update.indices.len();
        assert!(fewer, "mask {name}: layer {layer} has {after} weights, promised were {promised}");
    }
}

/// Decides at the end of each epoch.
fn at_close<'s>(
    run: &Run<'s>,
    weights: Flow<'s, LayerWeights>,
    frozen_now: &Flow<'s, FreezeRow>,
    decider: impl Fn(&LayerWeights) -> u64 + 'static,
    host: Host,
) -> (Flow<'s, MaskRow>, Flow<'s, MaskUpdateRow>) {
    let mut window = run.window("Mask");
    let weights = window.exchanged(weights, decider);
    let frozen_now = window.broadcast(frozen_now.clone());
    let (mut deltas_out, deltas) = window.output();
    let (mut updates_out, updates) = window.output();
    let mut kept = run.keeper().output(&mut window);
    window.build(move |close| {
        let frozen_now = frozen_now.through(close.epoch).into_iter().filter(|row| row.diff > 0);
        let freezing: BTreeSet<usize> = frozen_now.map(|row| usize::from(row.layer)).collect();
        let next = Tick::new(close.epoch + 1, 0);
        let (rows, told) = host.decide(next, &freezing, weights.through(close.epoch));
        deltas_out.give(close, rows);
        updates_out.give(close, told);
        kept.give(close, |epoch| {
            let state = host.state.borrow();
            vec![Kept::Rows { table: MASK_POLICY, columns: state.columns(), rows: state.save(epoch) }]
        });
    });
    (deltas, updates)
}
