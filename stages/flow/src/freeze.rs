//! The freeze stage: gradient norms in, decisions on blocks out.

use spfde_data::rows::{FreezeRow, GradientRow, MaskRow};
use spfde_data::table::Row;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

/// The blocks that the plan freezes from the start, as deltas at `(0, 0)` on worker 0: nobody has to decide them.
pub(crate) fn initial(run: &Run<'_>) -> Vec<FreezeRow> {
    if run.worker() != 0 {
        return Vec::new();
    }
    let plan = run.plan();
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
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut state = settings.policies.freeze.start(&settings.plan);
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
                    let layers = decided.iter().flat_map(|freeze| {
                        settings.plan.architecture.layers_of(freeze.block).map(|layer| FreezeRow {
                            epoch: epoch + 1,
                            step: 0,
                            layer: layer as u16,
                            diff: 1,
                            reason: freeze.reason.clone(),
                        })
                    });
                    output.activate().session(windows.capability(0)).give_iterator(layers);
                }
                windows.advance();
            }
        }
    });
    decisions
}
