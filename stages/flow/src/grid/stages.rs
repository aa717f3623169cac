//! The operators, and what they say to one another.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Concat, ConnectLoop, Feedback};
use timely::dataflow::{Scope, StreamVec};

use crate::tick::{Lag, Tick};
use crate::window::{Horizon, Stash, Windows};

use super::cut::{Limit, Through, add_up, through};
use super::place::{Class, Place};
use super::share::Shares;
use super::source::{Bundle, source};
use super::standings::{Change, Order, Standings};
use super::{Grid, KeyRow, MemberRow, written};

/// How many of a worker's samples stand in each class of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tally {
    order: usize,
    classes: Vec<(Class, u32)>,
}

/// A worker's samples in one class of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Candidates {
    order: usize,
    class: usize,
    places: Vec<(Place, u32)>,
}

/// Where a cut ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct End {
    order: usize,
    cut: usize,
    limit: Limit,
}

/// The decisions of one epoch under way.
struct Decisions {
    orders: Vec<Order>,
    /// For each order and cut.
    through: Vec<Vec<Result<Through, Limit>>>,
    /// For each order the classes that a cut goes through, ascending.
    classes: Vec<Vec<Class>>,
}

/// What the operators of one worker share: all are one stage.
struct Worker {
    grid: Arc<Grid>,
    standings: Standings,
    /// By the epoch at which they take effect.
    decisions: BTreeMap<u32, Decisions>,
}

type Shared = Rc<RefCell<Worker>>;

/// Builds the dataflow of a grid in `scope`. What it finds is in [`Grid::take`] when it has run dry.
pub fn grid(scope: Scope<'_, Tick>, grid: &Arc<Grid>) {
    let shares = Shares::new(grid.source.samples(), scope.peers());
    let standings = Standings::new(grid, shares.of(scope.index()));
    let worker = Worker { grid: Arc::clone(grid), standings, decisions: BTreeMap::new() };
    let shared = Rc::new(RefCell::new(worker));
    let (handle, decided) = scope.feedback::<Vec<()>>(Lag::EPOCH);
    let bundles = source(scope, grid, decided.clone());
    let counted = count(scope, &shared, bundles, decided);
    let candidates = split(scope, &shared, counted.tallies.broadcast());
    let ends = rank(scope, &shared, candidates);
    let decisions = decide(scope, &shared, ends.broadcast());
    decisions.done.connect_loop(handle);
    gather(scope, grid, counted.rows.concat(decisions.rows), counted.keys);
}

fn windows(capabilities: Vec<timely::dataflow::operators::Capability<Tick>>, grid: &Grid) -> Windows {
    Windows::new(capabilities, Horizon::new(0, grid.source.epochs(), &Rc::default()))
}

struct Counted<'s> {
    tallies: StreamVec<'s, Tick, Tally>,
    rows: StreamVec<'s, Tick, MemberRow>,
    keys: StreamVec<'s, Tick, KeyRow>,
}

/// Shows the scores of each epoch to the states once the epoch before is decided; counts classes where there is a decision.
fn count<'s>(
    scope: Scope<'s, Tick>,
    shared: &Shared,
    bundles: StreamVec<'s, Tick, Bundle>,
    decided: StreamVec<'s, Tick, ()>,
) -> Counted<'s> {
    let shared = Rc::clone(shared);
    let mut builder = OperatorBuilder::new("Count".to_owned(), scope);
    let mut bundles = builder.new_input(bundles, Exchange::new(|bundle: &Bundle| u64::from(bundle.owner)));
    let _decided = builder.new_input_connection(decided, Pipeline, []);
    let (tallies_out, tallies) = builder.new_output::<Vec<Tally>>();
    let (rows_out, rows) = builder.new_output::<Vec<MemberRow>>();
    let (keys_out, keys) = builder.new_output::<Vec<KeyRow>>();
    let (mut tallies_out, mut rows_out, mut keys_out) =
        (OutputBuilder::from(tallies_out), OutputBuilder::from(rows_out), OutputBuilder::from(keys_out));
    builder.build(move |capabilities| {
        let mut windows = windows(capabilities, &shared.borrow().grid);
        let mut stash = Stash::<Bundle>::new();
        move |frontiers| {
            bundles.for_each(|capability, bundles| stash.add(&capability, bundles));
            loop {
                let epoch = windows.epoch();
                let read = !frontiers[0].less_equal(&Tick::close_of(epoch));
                let decided = !frontiers[1].less_equal(&Tick::new(epoch, 0));
                if windows.ended() || !read || !decided {
                    break;
                }
                let standings = &mut shared.borrow_mut().standings;
                standings.observe(stash.through(epoch).collect());
                let grid = standings.grid();
                rows_out
                    .activate()
                    .session(windows.capability(1))
                    .give_iterator(standings.close(epoch).into_iter());
                if epoch + 1 == grid.source.epochs() {
                    keys_out
                        .activate()
                        .session(windows.capability(2))
                        .give_iterator(standings.keys().into_iter());
                }
                let orders = standings.orders(epoch + 1);
                for (number, order) in orders.iter().enumerate() {
                    let classes = standings.count(order, epoch + 1).into_classes();
                    let tally = Tally { order: number, classes };
                    tallies_out.activate().session(windows.capability(0)).give(tally);
                }
                windows.advance();
            }
        }
    });
    Counted { tallies, rows, keys }
}

/// Adds up the classes of all workers, which tells where each cut goes through; sends the samples there, in each class to one
/// worker. Every worker adds up the same.
fn split<'s>(
    scope: Scope<'s, Tick>,
    shared: &Shared,
    tallies: StreamVec<'s, Tick, Tally>,
) -> StreamVec<'s, Tick, Candidates> {
    let shared = Rc::clone(shared);
    let mut builder = OperatorBuilder::new("Split".to_owned(), scope);
    let mut tallies = builder.new_input(tallies, Pipeline);
    let (output, candidates) = builder.new_output::<Vec<Candidates>>();
    let mut output = OutputBuilder::from(output);
    builder.build(move |capabilities| {
        let mut windows = windows(capabilities, &shared.borrow().grid);
        let mut stash = Stash::<Tally>::new();
        move |frontiers| {
            tallies.for_each(|capability, tallies| stash.add(&capability, tallies));
            while let Some(epoch) = windows.complete(frontiers) {
                let worker = &mut *shared.borrow_mut();
                let orders = worker.standings.orders(epoch + 1);
                let mut counts: Vec<Vec<Vec<(Class, u32)>>> = vec![Vec::new(); orders.len()];
                for tally in stash.through(epoch) {
                    counts[tally.order].push(tally.classes);
                }
                let mut decisions = Decisions { orders, through: Vec::new(), classes: Vec::new() };
                for (number, (order, counts)) in decisions.orders.iter().zip(counts).enumerate() {
                    let total = add_up(counts);
                    let ends: Vec<Result<Through, Limit>> =
                        order.cuts.iter().map(|(_, wanted)| through(&total, *wanted)).collect();
                    let mut classes: Vec<Class> =
                        ends.iter().flatten().map(|through| through.class).collect();
                    classes.sort_unstable();
                    classes.dedup();
                    let mut sets: Vec<Candidates> = (0..classes.len())
                        .map(|class| Candidates { order: number, class, places: Vec::new() })
                        .collect();
                    if !classes.is_empty() {
                        for (class, place, slot) in worker.standings.inside(order, epoch + 1, &classes) {
                            sets[class].places.push((place, slot));
                        }
                    }
                    output.activate().session(windows.capability(0)).give_iterator(sets.into_iter());
                    decisions.through.push(ends);
                    decisions.classes.push(classes);
                }
                worker.decisions.insert(epoch + 1, decisions);
                windows.advance();
            }
        }
    });
    candidates
}

/// Ranks the samples of a class, of all workers, and finds where the cuts through it end.
fn rank<'s>(
    scope: Scope<'s, Tick>,
    shared: &Shared,
    candidates: StreamVec<'s, Tick, Candidates>,
) -> StreamVec<'s, Tick, End> {
    let shared = Rc::clone(shared);
    let mut builder = OperatorBuilder::new("Rank".to_owned(), scope);
    let to_one = Exchange::new(|set: &Candidates| (set.order + set.class) as u64);
    let mut candidates = builder.new_input(candidates, to_one);
    let (output, ends) = builder.new_output::<Vec<End>>();
    let mut output = OutputBuilder::from(output);
    builder.build(move |capabilities| {
        let mut windows = windows(capabilities, &shared.borrow().grid);
        let mut stash = Stash::<Candidates>::new();
        move |frontiers| {
            candidates.for_each(|capability, sets| stash.add(&capability, sets));
            while let Some(epoch) = windows.complete(frontiers) {
                let worker = shared.borrow();
                let mut sets: BTreeMap<(usize, usize), Vec<(Place, u32)>> = BTreeMap::new();
                for set in stash.through(epoch) {
                    sets.entry((set.order, set.class)).or_default().extend(set.places);
                }
                for ((order, class), mut places) in sets {
                    let decisions = &worker.decisions[&(epoch + 1)];
                    let class = decisions.classes[order][class];
                    places.sort_unstable();
                    for (cut, through) in decisions.through[order].iter().enumerate() {
                        let Ok(through) = through else { continue };
                        if through.class == class {
                            let limit = Some(places[through.taken as usize - 1]);
                            output.activate().session(windows.capability(0)).give(End { order, cut, limit });
                        }
                    }
                }
                windows.advance();
            }
        }
    });
    ends
}

struct Decided<'s> {
    /// Says nothing: its frontier tells what is decided.
    done: StreamVec<'s, Tick, ()>,
    /// What the last decision leaves.
    rows: StreamVec<'s, Tick, MemberRow>,
}

/// Moves whom the cuts move, and writes it down.
fn decide<'s>(scope: Scope<'s, Tick>, shared: &Shared, ends: StreamVec<'s, Tick, End>) -> Decided<'s> {
    let index = scope.index() as u32;
    let shared = Rc::clone(shared);
    let mut builder = OperatorBuilder::new("Decide".to_owned(), scope);
    let mut ends = builder.new_input(ends, Pipeline);
    let (_, done) = builder.new_output::<Vec<()>>();
    let (rows_out, rows) = builder.new_output::<Vec<MemberRow>>();
    let mut rows_out = OutputBuilder::from(rows_out);
    builder.build(move |capabilities| {
        let mut windows = windows(capabilities, &shared.borrow().grid);
        let mut stash = Stash::<End>::new();
        initial(&shared.borrow(), index);
        move |frontiers| {
            ends.for_each(|capability, ends| stash.add(&capability, ends));
            while let Some(epoch) = windows.complete(frontiers) {
                let worker = &mut *shared.borrow_mut();
                let next = epoch + 1;
                let Decisions { orders, through, .. } =
                    worker.decisions.remove(&next).expect("every epoch is split before it is decided");
                let known = |through: &Result<Through, Limit>| through.as_ref().err().copied().flatten();
                let mut limits: Vec<Vec<Limit>> =
                    through.iter().map(|cuts| cuts.iter().map(known).collect()).collect();
                for end in stash.through(epoch) {
                    limits[end.order][end.cut] = end.limit;
                }
                let changes = worker.standings.changes(&orders, next, &limits);
                write(worker, (next, index), changes.iter().map(|changes| changes.iter().copied()));
                worker.standings.apply(next, &changes);
                if next == worker.grid.source.epochs() && next <= worker.grid.last {
                    let rows = worker.standings.answer(next);
                    rows_out.activate().session(windows.capability(1)).give_iterator(rows.into_iter());
                }
                windows.advance();
            }
        }
    });
    Decided { done, rows }
}

/// Writes the initial active sets.
fn initial(worker: &Worker, index: u32) {
    let standings = &worker.standings;
    let enters = |member| move |index: &u32| standings.is_active(member, *index);
    let members = (0..worker.grid.members.len())
        .map(|member| (0..standings.len()).filter(enters(member)).map(|index| (index, true, 0)));
    write(worker, (0, index), members);
}

fn write<C: Iterator<Item = Change>>(
    worker: &Worker,
    (epoch, index): (u32, u32),
    members: impl Iterator<Item = C>,
) {
    let grid = &worker.grid;
    let Some(store) = grid.store.as_ref().filter(|_| epoch <= grid.last && !grid.failed()) else { return };
    match written::write(&**store, &worker.standings, (epoch, index), index == 0, members) {
        Ok(segment) => grid.found(|found| found.segments.extend(segment)),
        // Behind everything that could not be read.
        Err(error) => grid.fail(usize::MAX, error.to_string()),
    }
}

/// Adds up what all workers say of an epoch, on one.
fn gather<'s>(
    scope: Scope<'s, Tick>,
    grid: &Arc<Grid>,
    rows: StreamVec<'s, Tick, MemberRow>,
    keys: StreamVec<'s, Tick, KeyRow>,
) {
    let grid = Arc::clone(grid);
    let mut builder = OperatorBuilder::new("Gather".to_owned(), scope);
    let mut rows = builder.new_input(rows, Exchange::new(|_: &MemberRow| 0));
    let mut keys = builder.new_input(keys, Exchange::new(|_: &KeyRow| 0));
    builder.build(move |_| {
        let mut sums: BTreeMap<(u32, u32), MemberRow> = BTreeMap::new();
        let mut counts: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        move |frontiers| {
            rows.for_each(|_, rows| {
                for row in rows.drain(..) {
                    let sum = sums.entry((row.epoch, row.member)).or_insert(MemberRow {
                        epoch: row.epoch,
                        member: row.member,
                        ..MemberRow::default()
                    });
                    sum.active += row.active;
                    sum.entered += row.entered;
                    sum.left += row.left;
                    sum.unscored += row.unscored;
                }
            });
            keys.for_each(|_, keys| {
                for key in keys.drain(..) {
                    *counts.entry((key.member, key.key)).or_default() += key.samples;
                }
            });
            let whole = |row: &MemberRow| !frontiers[0].less_equal(&Tick::close_of(row.epoch));
            let later = sums.values().find(|row| !whole(row)).map(|row| (row.epoch, row.member));
            let later = later.map_or_else(BTreeMap::new, |later| sums.split_off(&later));
            let complete = std::mem::replace(&mut sums, later);
            if !complete.is_empty() {
                grid.found(|found| found.rows.extend(complete.into_values()));
            }
            if frontiers[1].is_empty() && !counts.is_empty() {
                let rows = std::mem::take(&mut counts).into_iter();
                let rows = rows.map(|((member, key), samples)| KeyRow { member, key, samples });
                grid.found(|found| found.keys.extend(rows));
            }
        }
    });
}
