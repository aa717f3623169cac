//! The freeze stage: gradient norms, layers and their similarity in, decisions on blocks out.

use std::sync::Arc;

use spfde_data::{FreezeRow, GradientRow, LayerRow, Row, SimilarityRow};
use spfde_policy::{Change, FreezePolicy, FreezeState, Plan};

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

/// What a freeze policy may judge by of an epoch.
pub(crate) struct Seen {
    gradients: Vec<GradientRow>,
    layers: Vec<LayerRow>,
    similarity: Vec<SimilarityRow>,
}

impl Seen {
    /// The rows of one epoch, in any order.
    pub(crate) fn of(
        mut gradients: Vec<GradientRow>,
        mut layers: Vec<LayerRow>,
        mut similarity: Vec<SimilarityRow>,
    ) -> Self {
        gradients.sort_by_key(Row::order);
        layers.sort_by_key(Row::order);
        // What was frozen when it was recorded rested, and says nothing.
        similarity.retain(|row| !layers.iter().any(|layer| layer.layer == row.layer && layer.frozen));
        similarity.sort_by_key(Row::order);
        Self { gradients, layers, similarity }
    }

    /// The gradient norms.
    pub(crate) fn gradients(&self) -> &[GradientRow] {
        &self.gradients
    }

    /// The layers at the epoch's end.
    pub(crate) fn layers(&self) -> &[LayerRow] {
        &self.layers
    }

    /// Shows it all to a policy.
    pub(crate) fn show(&self, state: &mut dyn FreezeState) {
        self.gradients.iter().for_each(|row| state.observe(row));
        self.layers.iter().for_each(|row| state.observe_layer(row));
        self.similarity.iter().for_each(|row| state.observe_similarity(row));
    }
}

/// Whether a policy judges by what a record does not have of a layer that was frozen in it: the accumulated
/// gradient, or how much it changes.
pub(crate) fn needs_unfrozen(policy: &dyn FreezePolicy) -> bool {
    policy.reads_layers() || policy.reads_similarity()
}

/// Hosts a freeze policy: shows it the gradient norms of each epoch in order of (step, layer), then the
/// layers at its end, and how much they change if it reads that. Asks at the end of each epoch what freezes,
/// or trains again, from the next one on.
///
/// A block freezes with all its layers. The decisions leave at the close of the epoch, on worker 0, and have
/// to go to the mask stage and round the loop. What was judged goes to the table `freeze_evidence`, in the
/// epoch that was judged.
pub fn freeze<'s>(
    run: &Run<'s>,
    gradients: &Flow<'s, GradientRow>,
    layers: &Flow<'s, LayerRow>,
    similarity: &Flow<'s, SimilarityRow>,
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
    let similarity = policy.reads_similarity().then(|| window.on_first(similarity.clone()));
    let (mut decisions_out, decisions) = window.output();
    let (mut evidence_out, evidence) = window.output();
    let mut kept = run.keeper().output(&mut window);
    window.build(move |close| {
        let next = close.epoch + 1;
        let similar = similarity.as_ref().map_or_else(Vec::new, |rows| rows.through(close.epoch));
        let seen = Seen::of(gradients.through(close.epoch), ends.through(close.epoch), similar);
        if worker != 0 {
            return;
        }
        if next < settings.epochs {
            let decided = timings.measure("freeze", || {
                seen.show(&mut *state);
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
