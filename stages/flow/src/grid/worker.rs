//! What the operators of one worker share, and how they are wired.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::Scope;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Concat, Concatenate, ConnectLoop, Feedback};

use crate::tick::{Lag, Tick};

use super::Grid;
use super::costs::costs;
use super::count::count;
use super::cut::{Limit, Through};
use super::decide::decide;
use super::gather::{gather, gather_costs};
use super::orders::Order;
use super::place::Class;
use super::rank::rank;
use super::recorded::recorded;
use super::share::Shares;
use super::source::source;
use super::split::split;
use super::standings::Standings;
use super::watch::{Watch, watch};

/// The decisions of one epoch under way.
pub(super) struct Decisions {
    pub(super) orders: Vec<Order>,
    /// For each order and cut.
    pub(super) through: Vec<Vec<Result<Through, Limit>>>,
    /// For each order the classes that a cut goes through, ascending.
    pub(super) classes: Vec<Vec<Class>>,
}

/// What the operators of one worker share: all are one stage.
pub(super) struct Worker {
    pub(super) grid: Arc<Grid>,
    pub(super) standings: Standings,
    /// By the epoch at which they take effect.
    pub(super) decisions: BTreeMap<u32, Decisions>,
}

pub(super) type Shared = Rc<RefCell<Worker>>;

/// Builds the dataflow of a grid in `scope`. What it finds is in [`Grid::take`] when it has run dry.
pub fn grid(scope: Scope<'_, Tick>, grid: &Arc<Grid>) {
    let shares = Shares::new(grid.source.samples(), scope.peers());
    let standings = Standings::new(grid, shares.of(scope.index()));
    let worker = Worker { grid: Arc::clone(grid), standings, decisions: BTreeMap::new() };
    let shared = Rc::new(RefCell::new(worker));
    let (handle, decided) = scope.feedback::<Vec<()>>(Lag::EPOCH);
    let watching = Watch::new(grid);
    watch(scope, &watching, decided.clone());
    let bundles = source(scope, &watching, decided.clone());
    let recorded = match &grid.run {
        Some(run) => recorded(scope, &watching, run, decided.clone()),
        None => scope.concatenate([]),
    };
    let counted = count(scope, (&shared, &watching), bundles, recorded, decided.clone());
    let candidates = split(scope, (&shared, &watching), counted.tallies.broadcast());
    let ends = rank(scope, (&shared, &watching), candidates);
    let decisions = decide(scope, (&shared, &watching), ends.broadcast());
    let Some(run) = &grid.run else {
        decisions.done.connect_loop(handle);
        gather(scope, grid, counted.rows.concat(decisions.rows), counted.keys);
        return;
    };
    let costed = costs(scope, &watching, run, counted.rows, decided);
    let shown = gather_costs(scope, &watching, costed.costs);
    scope.concatenate([decisions.done, costed.done, shown]).connect_loop(handle);
}
