//! How the operators of one worker are wired.

use std::rc::Rc;
use std::sync::Arc;

use spfde_data::segment::Extent;
use timely::dataflow::Scope;
use timely::dataflow::operators::{Concatenate, ConnectLoop, Feedback};

use crate::fault::{Cause, Fault};
use crate::recorded::{Limits, Pace, recorded};
use crate::tick::{Lag, Tick};
use crate::window::Horizon;
use crate::windowed::Ground;

use super::costs::costs;
use super::gather::gather;
use super::judge::{Judged, judge};
use super::source::scores;
use super::{AHEAD, Failure, Grid};

/// Builds the dataflow of a grid in `scope`. What it finds is in [`Grid::take`] when it has run dry.
pub fn grid(scope: Scope<'_, Tick>, grid: &Arc<Grid>) {
    let known = Arc::clone(grid);
    // All workers share what has failed: it is known before anything that it left out could be taken for what
    // there is.
    let epochs = move || match known.source.extent() {
        _ if known.failed() => 0,
        Extent { epochs, complete: true } => epochs,
        Extent { complete: false, .. } => u32::MAX,
    };
    let ground = Ground { scope, horizon: Horizon::new(0, epochs, &Rc::default()) };
    let (handle, decided) = scope.feedback::<Vec<Fault>>(Lag::EPOCH);
    let (looking, refusing) = (Arc::clone(grid), Arc::clone(grid));
    let look = move || looking.source.look().map_err(|error| Cause::Recording(error.to_string()));
    let refuse = move |cause: &Cause| {
        if let Cause::Recording(reason) = cause {
            refusing.fail(Failure::Whole(reason.clone()));
        }
    };
    let (look, refuse) = (Rc::new(look), Rc::new(refuse));
    let pace = Pace { ground: ground.clone(), gate: decided.clone(), look, refuse };
    let bundles = scores(&pace, grid);
    let recorded = match &grid.run {
        Some(run) => {
            let limits = Limits::of(&run.freezings[0].settings.plan);
            recorded(&pace, AHEAD, &run.recording, Some(limits)).0
        }
        None => scope.concatenate([]),
    };
    let judged = Judged { bundles, recorded, decided };
    let said = judge(&ground, grid, judged);
    let (rows, costs, costed) = match &grid.run {
        None => (said.rows, scope.concatenate([]), scope.concatenate([])),
        Some(run) => {
            let (costs, done) = costs(&pace, grid, run, said.rows);
            (scope.concatenate([]), costs, done)
        }
    };
    let shown = gather(&ground, grid, rows, said.keys, costs);
    scope.concatenate([said.done, costed, shown]).connect_loop(handle);
}
