//! Where scores come from: parts are read side by side, their rows handed in bundles to the owners of the samples.

use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::{Scope, StreamVec};

use crate::tick::Tick;

use super::Failure;
use super::bundle::{Bundle, Dealer};
use super::epochs::epochs;
use super::share::Shares;
use super::watch::Watch;

/// Epochs that may be read before one that is not decided, beyond one for each worker.
const AHEAD: u32 = 1;

/// Reads this worker's parts, those whose number leaves its index when divided by the number of workers, epoch by epoch.
/// `decided` holds reading back: its frontier tells which epochs are decided.
pub(super) fn source<'s>(
    scope: Scope<'s, Tick>,
    watch: &Rc<Watch>,
    decided: StreamVec<'s, Tick, ()>,
) -> StreamVec<'s, Tick, Bundle> {
    let (worker, workers) = (scope.index(), scope.peers());
    let grid = Arc::clone(&watch.grid);
    let mut dealer = Dealer::new(Shares::new(grid.source.samples(), workers), grid.reads_losses());
    epochs(scope, "Scores", watch, decided, workers as u32 + AHEAD, move |epoch, take| {
        for part in grid.source.parts(epoch).filter(|part| part % workers == worker) {
            let read = grid.source.read(part, &mut |rows| {
                dealer.deal(part, rows, |bundle| take(bundle.epoch, vec![bundle]));
            });
            read.map_err(|error| Failure::Part(part, error.to_string()))?;
        }
        dealer.finish(take);
        Ok(())
    })
}
