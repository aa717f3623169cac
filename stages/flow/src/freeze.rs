//! The freeze stage: gradient norms in, decisions on blocks out.

use std::sync::Arc;

use spfde_data::rows::{FreezeRow, GradientRow};
use spfde_data::table::Row;
use spfde_policy::{Change, FreezePolicy, Plan};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::checkpoint::{FREEZE_POLICY, FrozenRow, Kept};
use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

/// The blocks that the plan freezes from the start, as deltas at `(0, 0)` on worker 0: nobody has to decide
/// them. The decisions on their way if the run goes on.
pub(crate) fn initial(run: &Run<'_>) -> Vec<FreezeRow> {
    if run.worker() != 0 {
        return Vec::new();
    }
    if let Some(snapshot) = run.resumed() {
        return snapshot.rows();
    }
    from_start(run.plan())
}

/// The layers that a plan freezes from the start.
pub(crate) fn from_start(plan: &Plan) -> Vec<FreezeRow> {
    let layers = (0..plan.architecture.layers.len()).filter(|layer| plan.spans(*layer).is_frozen(0));
    let reason = || "from the start".to_owned();
    layers
        .map(|layer| FreezeRow { epoch: 0, step: 0, layer: layer as u16, diff: 1, reason: reason() })
        .collect()
}

/// The layers of blocks that freeze or thaw at the start of `epoch`.
pub(crate) fn layers(plan: &Plan, epoch: u32, changes: Vec<Change>) -> Vec<FreezeRow> {
    let of = |Change { block, frozen, reason }: Change| {
        plan.architecture.layers_of(block).map(move |layer| {
            let (layer, diff, reason) = (layer as u16, if frozen { 1 } else { -1 }, reason.clone());
            FreezeRow { epoch, step: 0, layer, diff, reason }
        })
    };
    changes.into_iter().flat_map(of).collect()
}

/// Hosts a freeze policy: shows it the gradient norms of each epoch in order of (step, layer), and asks at
/// the end of each epoch what freezes, or trains again, from the next one on.
///
/// A block freezes with all its layers. The decisions leave at the close of the epoch, on worker 0, and have
/// to go to the mask stage and round the loop.
pub fn freeze<'s>(
    run: &Run<'s>,
    gradients: &StreamVec<'s, Tick, GradientRow>,
    policy: &Arc<dyn FreezePolicy>,
) -> StreamVec<'s, Tick, FreezeRow> {
    let (worker, settings) = (run.worker(), Arc::clone(run.settings()));
    let timings = run.timings().clone();
    let horizon = run.horizon();
    let mut builder = OperatorBuilder::new("Freeze".to_owned(), run.scope());
    let mut gradients = builder.new_input(gradients.clone(), Exchange::new(|_: &GradientRow| 0));
    let (output, decisions) = builder.new_output::<Vec<FreezeRow>>();
    let mut output = OutputBuilder::from(output);
    let (kept_out, kept) = builder.new_output::<Vec<Kept>>();
    let mut kept_out = OutputBuilder::from(kept_out);
    let due = run.keeper().due();
    let mut state = policy.start(&settings.plan);
    if let Some(snapshot) = run.resumed() {
        let frozen = snapshot.frozen(&settings.plan);
        frozen
            .and_then(|frozen| state.restore(frozen, snapshot.table(FREEZE_POLICY)))
            .expect("a snapshot was checked");
    }
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut norms = Stash::<GradientRow>::new();
        move |frontiers| {
            gradients.for_each(|capability, rows| norms.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                let mut rows: Vec<GradientRow> = norms.through(epoch).collect();
                rows.sort_by_key(Row::order);
                if worker == 0 && epoch + 1 < settings.epochs {
                    let decided = timings.measure("freeze", || {
                        rows.iter().for_each(|row| state.observe(row));
                        state.decide(epoch + 1)
                    });
                    let layers = layers(&settings.plan, epoch + 1, decided);
                    output.activate().session(windows.capability(0)).give_iterator(layers.into_iter());
                }
                if worker == 0 && due.at(epoch + 1) {
                    let (columns, rows) = (state.columns(), state.save(epoch + 1));
                    let policy = Kept::Rows { table: FREEZE_POLICY, columns, rows };
                    let spans = Kept::rows(FrozenRow::rows(epoch + 1, state.frozen()));
                    let mut output = kept_out.activate();
                    output.session(windows.capability(1)).give_iterator([spans, policy].into_iter());
                }
                windows.advance();
            }
        }
    });
    run.keeper().keep(kept);
    decisions
}
