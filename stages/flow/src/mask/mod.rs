//! The mask stage: weights in, drop and grow out.

mod within;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use spfde_data::{FreezeRow, MaskRow};
use spfde_policy::mask::Moment;
use spfde_policy::{MaskDelta, MaskPolicy, MaskState, MaskUpdate, Needs};
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::core::OkErr;

use crate::{Flow, Kept, LayerWeights, MASK_POLICY, Run, Settings, Tick, Timings};

/// The initial masks of the layers for which this worker decides, as deltas at `(0, 0)`, drawn layer by
/// layer; the decisions on their way if the run goes on.
pub(crate) fn initial(run: &Run<'_>) -> Box<dyn Iterator<Item = MaskRow>> {
    let (policy, plan) = (Arc::clone(&run.settings().policies.mask), Arc::clone(run.plan()));
    let (decider, worker) = (decider(run, &policy), run.worker());
    let mine = move |layer: usize| decider(layer) == worker;
    if let Some(snapshot) = run.resumed() {
        let rows = snapshot.rows::<MaskRow>().into_iter();
        return Box::new(rows.filter(move |row| mine(usize::from(row.layer))));
    }
    let layers = 0..plan.architecture.layers.len();
    Box::new(layers.filter(move |layer| mine(*layer)).flat_map(move |layer| {
        let indices = policy.initial(layer, plan.spans(layer));
        let row = move |index| MaskRow { epoch: 0, step: 0, layer: layer as u16, index, diff: 1 };
        indices.into_iter().map(row)
    }))
}

/// Hosts a mask policy: at the end of each epoch the owner of a layer, or worker 0 where layers exchange
/// weights, decides which of its weights cease and which begin to exist; if the policy's windows are steps,
/// after so many of them.
///
/// It sees the decisions of the freeze stage of the same tick, so a layer that freezes is pruned to its
/// target density, grows nothing, and is not touched until it trains again. The deltas leave at the close of
/// the epoch, or at the step that they follow.
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
    match policy.steps() {
        None => at_close(run, weights.clone(), frozen_now, decider, host),
        Some(steps) => {
            let is_within = |weights: LayerWeights| if weights.step > 0 { Ok(weights) } else { Err(weights) };
            let (after_steps, at_end) = weights.clone().ok_err(is_within);
            let within = within::within(run, after_steps, steps, decider.clone(), host.clone());
            at_close(run, at_end, frozen_now, decider, host).concat(within)
        }
    }
}

/// The worker that decides for a layer, and writes its rows: its owner, or worker 0 where layers exchange
/// weights.
fn decider(run: &Run<'_>, policy: &Arc<dyn MaskPolicy>) -> impl Fn(usize) -> usize + Clone + 'static {
    let (owner, together) = (run.owners(), policy.redistributes());
    move |layer| if together { 0 } else { owner(layer) }
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
    fn decide(&self, tick: Tick, freezing: &BTreeSet<usize>, mut layers: Vec<LayerWeights>) -> Vec<MaskRow> {
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
            })
        });
        let updates: Vec<MaskUpdate<'_>> = asked.collect();
        if epoch >= self.settings.epochs || updates.is_empty() {
            return Vec::new();
        }
        let changes = self.timings.measure("mask", || self.state.borrow_mut().decide(&updates));
        let rows = |(update, MaskDelta { dropped, grown }): (&MaskUpdate<'_>, MaskDelta)| {
            let layer = update.moment.layer as u16;
            let row = move |diff| move |index| MaskRow { epoch, step, layer, index, diff };
            dropped.into_iter().map(row(-1)).chain(grown.into_iter().map(row(1)))
        };
        updates.iter().zip(changes).flat_map(rows).collect()
    }
}

/// Decides at the end of each epoch.
fn at_close<'s>(
    run: &Run<'s>,
    weights: Flow<'s, LayerWeights>,
    frozen_now: &Flow<'s, FreezeRow>,
    decider: impl Fn(&LayerWeights) -> u64 + 'static,
    host: Host,
) -> Flow<'s, MaskRow> {
    let mut window = run.window("Mask");
    let weights = window.exchanged(weights, decider);
    let frozen_now = window.broadcast(frozen_now.clone());
    let (mut deltas_out, deltas) = window.output();
    let mut kept = run.keeper().output(&mut window);
    window.build(move |close| {
        let frozen_now = frozen_now.through(close.epoch).into_iter().filter(|row| row.diff > 0);
        let freezing: BTreeSet<usize> = frozen_now.map(|row| usize::from(row.layer)).collect();
        let next = Tick::new(close.epoch + 1, 0);
        deltas_out.give(close, host.decide(next, &freezing, weights.through(close.epoch)));
        kept.give(close, |epoch| {
            let state = host.state.borrow();
            vec![Kept::Rows { table: MASK_POLICY, columns: state.columns(), rows: state.save(epoch) }]
        });
    });
    deltas
}
