//! The freeze stage: gradient norms in, decisions on blocks out.

use spfde_data::rows::{FreezeRow, GradientRow, MaskRow};
use spfde_data::table::Row;
use spfde_policy::{Freeze, Plan, Remembered};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::checkpoint::{Kept, RememberedRow};
use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

/// The blocks that the plan freezes from the start, as deltas at `(0, 0)` on worker 0: nobody has to decide them. The
/// decisions on their way if the run goes on.
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
    let layers = (0..plan.architecture.layers.len()).filter(|layer| plan.layer_frozen_at(*layer) == Some(0));
    let row = |layer: usize| FreezeRow {
        epoch: 0,
        step: 0,
        layer: layer as u16,
        diff: 1,
        reason: "from the start".to_owned(),
    };
    layers.map(row).collect()
}

/// The layers of blocks that freeze at the start of `epoch`.
pub(crate) fn layers(plan: &Plan, epoch: u32, blocks: Vec<Freeze>) -> Vec<FreezeRow> {
    let of = |Freeze { block, reason }: Freeze| {
        plan.architecture.layers_of(block).map(move |layer| {
            let (layer, reason) = (layer as u16, reason.clone());
            FreezeRow { epoch, step: 0, layer, diff: 1, reason }
        })
    };
    blocks.into_iter().flat_map(of).collect()
}

/// Hosts the freeze policy: shows it the gradient norms of each epoch in order of (step, layer), and the mask
/// deltas in force, and asks at the end of each epoch what freezes from the next one on.
///
/// A block freezes with all its layers. The decisions leave at the close of the epoch, on worker 0, and have to
/// go to the mask stage and round the loop.
pub fn freeze<'s>(
    run: &Run<'s>,
    gradients: &StreamVec<'s, Tick, GradientRow>,
    masked: StreamVec<'s, Tick, MaskRow>,
) -> StreamVec<'s, Tick, FreezeRow> {
    let (worker, settings) = (run.worker(), std::sync::Arc::clone(run.settings()));
    let timings = run.timings().clone();
    let horizon = run.horizon();
    let mut builder = OperatorBuilder::new("Freeze".to_owned(), run.scope());
    let mut gradients = builder.new_input(gradients.clone(), Exchange::new(|_: &GradientRow| 0));
    let mut masked = builder.new_input(masked, Exchange::new(|_: &MaskRow| 0));
    let (output, decisions) = builder.new_output::<Vec<FreezeRow>>();
    let mut output = OutputBuilder::from(output);
    let (kept_out, kept) = builder.new_output::<Vec<Kept>>();
    let mut kept_out = OutputBuilder::from(kept_out);
    let due = run.keeper().due();
    let mut state = settings.policies.freeze.start(&settings.plan);
    if let Some(snapshot) = run.resumed() {
        state.restore(&snapshot.remembered()).expect("a snapshot was checked");
    }
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut norms = Stash::<GradientRow>::new();
        let mut masks = Stash::<MaskRow>::new();
        move |frontiers| {
            gradients.for_each(|capability, rows| norms.add(&capability, rows));
            masked.for_each(|capability, rows| masks.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                // Mask deltas take effect at the start of an epoch, before any of its norms.
                masks.through(epoch).for_each(|row| state.mask(&row));
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
                    let row = |remembered: Remembered| RememberedRow {
                        epoch: epoch + 1,
                        block: remembered.block as u32,
                        what: remembered.what,
                        tick_epoch: remembered.tick.0,
                        tick_step: remembered.tick.1,
                        value: remembered.value,
                    };
                    let kept = Kept::rows(state.save().into_iter().flatten().map(row));
                    kept_out.activate().session(windows.capability(1)).give(kept);
                }
                windows.advance();
            }
        }
    });
    run.keeper().keep(kept);
    decisions
}
