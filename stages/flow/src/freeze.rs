//! The freeze stage: gradient norms and layers in, decisions on blocks out.

use std::sync::Arc;

use spfde_data::{FreezeRow, GradientRow, LayerRow, Row};
use spfde_policy::{Change, FreezePolicy, Plan};

use crate::{FREEZE_POLICY, Flow, FrozenRow, Kept, Run};

/// The blocks that the plan freezes from the start, as deltas at `(0, 0)` on worker 0: no stage has to
/// decide them. The decisions on their way if the run goes on.
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
    let row = |layer| FreezeRow { epoch: 0, step: 0, layer: layer as u16, diff: 1, reason: reason() };
    layers.map(row).collect()
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

/// Hosts a freeze policy: shows it the gradient norms of each epoch in order of (step, layer), then the
/// layers at its end, and asks at the end of each epoch what freezes, or trains again, from the next one on.
///
/// A block freezes with all its layers. The decisions leave at the close of the epoch, on worker 0, and have
/// to go to the mask stage and round the loop. What was judged goes to the table `freeze_evidence`, in the
/// epoch that was judged.
pub fn freeze<'s>(
    run: &Run<'s>,
    gradients: &Flow<'s, GradientRow>,
    layers: &Flow<'s, LayerRow>,
    policy: &Arc<dyn FreezePolicy>,
) -> Flow<'s, FreezeRow> {
    let (worker, settings, timings) = (run.worker(), Arc::clone(run.settings()), run.timings().clone());
    let mut state = policy.start(&settings.plan);
    if let Some(snapshot) = run.resumed() {
        let frozen = snapshot.frozen(&settings.plan);
        let restored = frozen.and_then(|frozen| state.restore(frozen, snapshot.table(FREEZE_POLICY)));
        restored.expect("a snapshot was checked");
    }
    let mut window = run.window("Freeze");
    let gradients = window.on_first(gradients.clone());
    let ends = window.on_first(layers.clone());
    let (mut decisions_out, decisions) = window.output();
    let (mut evidence_out, evidence) = window.output();
    let mut kept = run.keeper().output(&mut window);
    window.build(move |close| {
        let next = close.epoch + 1;
        let mut rows = gradients.through(close.epoch);
        rows.sort_by_key(Row::order);
        let mut ends = ends.through(close.epoch);
        ends.sort_by_key(Row::order);
        if worker != 0 {
            return;
        }
        if next < settings.epochs {
            let decided = timings.measure("freeze", || {
                rows.iter().for_each(|row| state.observe(row));
                ends.iter().for_each(|row| state.observe_layer(row));
                state.decide(next)
            });
            decisions_out.give(close, self::layers(&settings.plan, next, decided));
            evidence_out.give(close, state.evidence().to_vec());
        }
        kept.give(close, |epoch| {
            let (columns, rows) = (state.columns(), state.save(epoch));
            let policy = Kept::Rows { table: FREEZE_POLICY, columns, rows };
            vec![Kept::rows(FrozenRow::rows(epoch, state.frozen())), policy]
        });
    });
    run.table(evidence);
    decisions
}
