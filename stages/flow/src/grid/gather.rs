//! What all workers say, added up on one.

use std::collections::BTreeMap;
use std::sync::Arc;

use timely::dataflow::StreamVec;

use crate::fault::Fault;
use crate::sieve::MemberRow;
use crate::tick::Tick;
use crate::windowed::Ground;

use super::{Failure, Grid, KeyRow, MemberCosts};

/// Adds up what all workers say of an epoch, on one.
///
/// The stream says nothing: its frontier tells which epochs have been shown to the observer.
pub(super) fn gather<'s>(
    ground: &Ground<'s>,
    grid: &Arc<Grid>,
    rows: StreamVec<'s, Tick, MemberRow>,
    keys: StreamVec<'s, Tick, KeyRow>,
    costs: StreamVec<'s, Tick, MemberCosts>,
) -> StreamVec<'s, Tick, Fault> {
    let grid = Arc::clone(grid);
    let mut window = ground.window("Gather");
    let rows = window.on_first(rows);
    let keys = window.on_first(keys);
    let costs = window.on_first(costs);
    let (_, shown) = window.output();
    window.build(move |close| {
        let mut sums: BTreeMap<(u32, u32), MemberRow> = BTreeMap::new();
        for row in rows.through(close.epoch) {
            let MemberRow { epoch, member, .. } = row;
            let none = MemberRow { epoch, member, ..MemberRow::default() };
            sums.entry((epoch, member)).or_insert(none).add(&row);
        }
        let mut counts: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for KeyRow { member, key, samples } in keys.through(close.epoch) {
            *counts.entry((member, key)).or_default() += samples;
        }
        let keys = counts.into_iter().map(|((member, key), samples)| KeyRow { member, key, samples });
        let mut costs = costs.through(close.epoch);
        costs.sort_by_key(|costs| costs.member);
        if let Err(reason) = (grid.observer)(&costs) {
            grid.fail(Failure::Whole(reason));
        }
        grid.found(|found| {
            found.rows.extend(sums.into_values());
            found.keys.extend(keys);
            found.costs.extend(costs);
        });
    });
    shown
}
