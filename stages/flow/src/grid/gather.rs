//! What all workers say, added up on one.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};

use crate::tick::Tick;
use crate::window::Stash;

use super::turns::Turns;
use super::watch::Watch;
use super::{Failure, Grid, KeyRow, MemberCosts, MemberRow};

/// Adds up what all workers say of an epoch, on one.
pub(super) fn gather<'s>(
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
                    sum.add(&row);
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

/// Keeps the costs of all members, on one worker.
///
/// The stream says nothing: its frontier tells which epochs have been shown to the observer.
pub(super) fn gather_costs<'s>(
    scope: Scope<'s, Tick>,
    watch: &Rc<Watch>,
    costs: StreamVec<'s, Tick, MemberCosts>,
) -> StreamVec<'s, Tick, ()> {
    let watch = Rc::clone(watch);
    let mut builder = OperatorBuilder::new("Gather costs".to_owned(), scope);
    let mut costs = builder.new_input(costs, Exchange::new(|_: &MemberCosts| 0));
    let (_, shown) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address;
    builder.build(move |capabilities| {
        let mut turns = Turns::new(scope, address, capabilities, &watch);
        let mut stash = Stash::<MemberCosts>::new();
        move |frontiers| {
            costs.for_each(|capability, costs| stash.add(&capability, costs));
            while let Some(epoch) = turns.complete(frontiers) {
                let mut costs: Vec<MemberCosts> = stash.through(epoch).collect();
                costs.sort_by_key(|costs| costs.member);
                if let Err(reason) = watch.grid.observer.epoch(&costs) {
                    watch.grid.fail(Failure::Whole(reason));
                }
                watch.grid.found(|found| found.costs.extend(costs));
                turns.advance();
            }
        }
    });
    shown
}
