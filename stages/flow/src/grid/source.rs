//! Where scores come from: parts are read side by side, their rows handed in bundles to the owners of the samples.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spfde_data::scores::ScoreColumns;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};

use crate::replay::LOOK_AFTER;
use crate::tick::Tick;

use super::Grid;
use super::share::Shares;

/// Epochs that may be read before one that is not decided, beyond one for each worker.
const AHEAD: u32 = 1;

/// Presentations of one worker's samples in one epoch, from one part, in the order of its rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bundle {
    pub(super) epoch: u32,
    /// The worker that owns the samples.
    pub(super) owner: u32,
    /// The part, and how much of it came before.
    pub(super) order: (u64, u64),
    /// Twice the sample's index among those of its owner, plus one if it was right.
    pub(super) rows: Vec<u32>,
    /// Losses of the rows, if somebody looks at them.
    pub(super) losses: Vec<f32>,
    /// The same of the norms of their errors, if they are known.
    pub(super) error_norms: Vec<f32>,
    /// Whether each took part in the update, if some did not.
    pub(super) trained: Vec<bool>,
    /// Steps: each with the number of rows up to its last.
    pub(super) runs: Vec<(u64, u32)>,
}

/// What lies ahead of a source.
pub(super) enum Ahead {
    /// An epoch that can be read.
    Epoch,
    /// Nothing more will come, or nobody wants it.
    Nothing,
    /// An epoch that is not recorded yet, if ever.
    Unknown,
}

/// Looks whether `epoch` can be read.
pub(super) fn ahead_of(grid: &Grid, epoch: u32) -> Ahead {
    if grid.failed() {
        return Ahead::Nothing;
    }
    match grid.source.look() {
        Err(error) => {
            grid.fail(usize::MAX, error.to_string());
            Ahead::Nothing
        }
        Ok(extent) if epoch < extent.epochs => Ahead::Epoch,
        Ok(extent) if extent.complete => Ahead::Nothing,
        Ok(_) => Ahead::Unknown,
    }
}

/// Reads this worker's parts, those whose number leaves its index when divided by the number of workers, epoch by epoch.
/// `decided` holds reading back: its frontier tells which epochs are decided.
pub(super) fn source<'s>(
    scope: Scope<'s, Tick>,
    grid: &Arc<Grid>,
    decided: StreamVec<'s, Tick, ()>,
) -> StreamVec<'s, Tick, Bundle> {
    let (worker, workers) = (scope.index(), scope.peers());
    let grid = Arc::clone(grid);
    let shares = Shares::new(grid.source.samples(), workers);
    let mut builder = OperatorBuilder::new("Scores".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let _decided = builder.new_input_connection(decided, Pipeline, []);
    let (output, bundles) = builder.new_output_connection::<Vec<Bundle>, _>([]);
    let mut output = OutputBuilder::from(output);
    builder.build(move |mut capabilities| {
        let mut held = capabilities.pop();
        let (losses, ahead) = (grid.reads_losses(), workers as u32 + AHEAD);
        move |frontiers| {
            while let Some(capability) = held.as_mut() {
                let epoch = capability.time().epoch;
                if frontiers[0].less_equal(&Tick::new((epoch + 1).saturating_sub(ahead), 0)) {
                    break;
                }
                match ahead_of(&grid, epoch) {
                    Ahead::Epoch => (),
                    Ahead::Nothing => {
                        held = None;
                        break;
                    }
                    Ahead::Unknown => {
                        activator.activate_after(LOOK_AFTER);
                        break;
                    }
                }
                let mut output = output.activate();
                for part in grid.source.parts(epoch).filter(|part| part % workers == worker) {
                    let mut before = 0;
                    let read = grid.source.read(part, &mut |rows| {
                        for bundle in bundle(rows, &shares, (part as u64, before), losses) {
                            let tick = Tick::new(bundle.epoch, 0);
                            output.session(&capability.delayed(&tick)).give(bundle);
                        }
                        before += rows.slots.len() as u64;
                    });
                    if let Err(error) = read {
                        grid.fail(part, error.to_string());
                        break;
                    }
                }
                capability.downgrade(&Tick::new(epoch + 1, 0));
            }
        }
    });
    bundles
}

/// Deals rows to the owners of their samples.
fn bundle(rows: &ScoreColumns, shares: &Shares, order: (u64, u64), losses: bool) -> Vec<Bundle> {
    let mut bundles: Vec<Bundle> = Vec::new();
    let workers = shares.workers();
    let mut from = 0;
    while from < rows.slots.len() {
        let epoch = rows.epochs[from];
        let len = rows.epochs[from..].iter().take_while(|other| **other == epoch).count();
        let first = bundles.len();
        bundles.extend((0..workers).map(|owner| Bundle {
            epoch,
            owner: owner as u32,
            order: (order.0, order.1 + from as u64),
            rows: Vec::with_capacity(len / workers + len / 16),
            losses: Vec::new(),
            error_norms: Vec::new(),
            trained: Vec::new(),
            runs: Vec::new(),
        }));
        let own = &mut bundles[first..];
        let until = from + len;
        while from < until {
            let step = rows.steps[from];
            let end = from + rows.steps[from..until].iter().take_while(|other| **other == step).count();
            for at in from..end {
                let (owner, index) = shares.locate(rows.slots[at]);
                own[owner].rows.push(index << 1 | u32::from(rows.correct[at]));
                if losses {
                    own[owner].losses.push(rows.losses[at]);
                    own[owner].error_norms.extend(rows.error_norms.get(at));
                    own[owner].trained.extend(rows.trained.get(at));
                }
            }
            own.iter_mut().for_each(|bundle| bundle.runs.push((step, bundle.rows.len() as u32)));
            from = end;
        }
    }
    bundles.retain(|bundle| !bundle.rows.is_empty());
    bundles
}
