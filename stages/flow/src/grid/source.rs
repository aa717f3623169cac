//! Where scores come from: parts are read side by side, their rows handed in bundles to the owners of the
//! samples.

use std::sync::Arc;

use timely::dataflow::StreamVec;

use crate::fault::Cause;
use crate::recorded::{Pace, source};
use crate::sieve::Share;
use crate::tick::Tick;

use super::bundle::{Bundle, Dealer};
use super::{Failure, Grid};

/// Reads this worker's parts, those whose number leaves its index when divided by the number of workers,
/// epoch by epoch, as many ahead as there are workers.
pub(super) fn scores<'s>(pace: &Pace<'s>, grid: &Arc<Grid>) -> StreamVec<'s, Tick, Bundle> {
    let (worker, workers) = (pace.ground.scope.index(), pace.ground.scope.peers());
    let grid = Arc::clone(grid);
    let share = Share::new(grid.source.samples(), worker, workers);
    let losses = grid.sieves.iter().any(|sieve| sieve.reads_losses());
    let mut dealer = Dealer::new(share, workers, losses);
    let mut left = None;
    let (bundles, _) = source(pace, "Scores".to_owned(), workers as u32, move |epoch, take| {
        let mut take = |bundle: Bundle| take(Tick::new(bundle.epoch, 0), vec![bundle]);
        let parts = left.get_or_insert_with(|| grid.source.parts(epoch));
        let Some(part) = parts.find(|part| part % workers == worker) else {
            left = None;
            dealer.finish(take);
            return Ok(false);
        };
        let read = grid.source.read(part, &mut |rows| {
            dealer.deal(part, rows, &mut take);
        });
        read.map_err(|error| {
            grid.fail(Failure::Part(part, error.to_string()));
            Cause::Recording(error.to_string())
        })?;
        Ok(true)
    });
    bundles
}
