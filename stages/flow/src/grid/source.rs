//! Where scores come from: parts are read side by side, their rows handed in bundles to the owners of the samples.

use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spfde_data::scores::ScoreColumns;
use timely::dataflow::{Scope, StreamVec};

use crate::tick::Tick;

use super::epochs::epochs;
use super::share::Shares;
use super::watch::Watch;

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

/// Reads this worker's parts, those whose number leaves its index when divided by the number of workers, epoch by epoch.
/// `decided` holds reading back: its frontier tells which epochs are decided.
pub(super) fn source<'s>(
    scope: Scope<'s, Tick>,
    watch: &Rc<Watch>,
    decided: StreamVec<'s, Tick, ()>,
) -> StreamVec<'s, Tick, Bundle> {
    let (worker, workers) = (scope.index(), scope.peers());
    let grid = Arc::clone(&watch.grid);
    let shares = Shares::new(grid.source.samples(), workers);
    let losses = grid.reads_losses();
    epochs(scope, "Scores", watch, decided, workers as u32 + AHEAD, move |epoch, take| {
        for part in grid.source.parts(epoch).filter(|part| part % workers == worker) {
            let mut before = 0;
            let read = grid.source.read(part, &mut |rows| {
                for bundle in bundle(rows, &shares, (part as u64, before), losses) {
                    take(bundle.epoch, vec![bundle]);
                }
                before += rows.slots.len() as u64;
            });
            read.map_err(|error| (part, error))?;
        }
        Ok(())
    })
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
