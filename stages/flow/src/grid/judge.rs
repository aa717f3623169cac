//! Shows the scores to the sieves, and moves whom their cuts move.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_data::rows::SieveRow;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::Concat;

use crate::fault::Fault;
use crate::sieve::{Change, MemberRow, Share, Shared, Sieves, Standings};
use crate::tick::Tick;
use crate::windowed::Ground;

use super::bundle::{Bundle, each_score};
use super::repeats::each_once;
use super::{DecisionRow, Grid, Kept, KeyRow, written};

/// What comes in.
pub(super) struct Judged<'s> {
    pub(super) bundles: StreamVec<'s, Tick, Bundle>,
    /// How the active set changed when a run was recorded.
    pub(super) recorded: StreamVec<'s, Tick, SieveRow>,
    /// Says nothing: its frontier tells what is decided.
    pub(super) decided: StreamVec<'s, Tick, Fault>,
}

/// What the sieves say.
pub(super) struct Said<'s> {
    pub(super) rows: StreamVec<'s, Tick, MemberRow>,
    pub(super) keys: StreamVec<'s, Tick, KeyRow>,
    /// Says nothing: its frontier tells what is decided.
    pub(super) done: StreamVec<'s, Tick, Fault>,
}

/// Shows the scores of each epoch to the states once the epoch before is decided, decides, and writes it
/// down.
pub(super) fn judge<'s>(ground: &Ground<'s>, grid: &Arc<Grid>, judged: Judged<'s>) -> Said<'s> {
    let (worker, workers) = (ground.scope.index(), ground.scope.peers());
    let share = Share::new(grid.source.samples(), worker, workers);
    let mut standings = Standings::new(&grid.sieves, share, grid.last);
    if grid.run.is_some() {
        standings = standings.compared();
    }
    write(grid, share, (0, worker), |sieve| {
        let active = standings.members[sieve].set.active.iter().zip(0..);
        let (key, before, after) = (0, Change::OUTSIDE, 1.0);
        active.filter(|(active, _)| **active).map(move |(_, index)| Change { index, key, before, after })
    });
    let sieves = Sieves::shared(standings);

    let mut window = ground.window("Count");
    let bundles = window.exchanged(judged.bundles, |bundle: &Bundle| u64::from(bundle.owner));
    let recorded = window.exchanged(judged.recorded, move |row| u64::from(share.owner(row.sample)));
    let _decided = window.own(judged.decided);
    let (mut asks_out, asks) = window.output();
    let (mut rows_out, rows) = window.output();
    let (mut keys_out, keys) = window.output();
    let (counting, asked) = (Shared::clone(&sieves), Arc::clone(grid));
    window.build(move |close| {
        let mut sieves = counting.borrow_mut();
        let standings = &mut sieves.standings;
        recorded.through(close.epoch).iter().for_each(|row| standings.record(row.sample, row.diff > 0));
        let (bundles, show) =
            (bundles.through(close.epoch), |index, score: &_| standings.observe(index, score));
        match asked.repeats {
            None => each_score(bundles, share, show),
            Some(repeats) => {
                let repeated = each_once(bundles, share, repeats, show);
                if repeated > 0 {
                    asked.found(|found| *found.repeated.entry(close.epoch).or_default() += repeated);
                }
            }
        }
        rows_out.give(close, standings.close(close.epoch));
        if asked.ends_before(close.epoch + 1) {
            let row = |(member, key, samples)| KeyRow { member, key, samples };
            keys_out.give(close, standings.keys().into_iter().map(row));
        }
        asks_out.give(close, sieves.ask(close.epoch + 1));
    });

    let answers = Sieves::answer(ground, &sieves, asks);
    let mut window = ground.window("Decide");
    let answers = window.own(answers);
    let (_, done) = window.output();
    let (mut behind_out, behind) = window.output();
    let grid = Arc::clone(grid);
    // Of every group the keys at its last decision so far, if what is kept will be told.
    let (tells, mut last_keys) = (grid.run.is_none() && grid.store.is_some(), BTreeMap::new());
    window.build(move |close| {
        let next = close.epoch + 1;
        let mut sieves = sieves.borrow_mut();
        if tells {
            last_keys.extend(sieves.standings.last_keys(next).map(|(group, keys)| (group, Arc::new(keys))));
        }
        let changes = sieves.decide(next, answers.through(close.epoch));
        write(&grid, share, (next, worker), |sieve| changes[sieve].iter().copied());
        sieves.standings.apply(next, &changes);
        if grid.ends_before(next) && next <= grid.last {
            // No scores are expected of it.
            let rows = sieves.standings.close(next).into_iter();
            behind_out.give(close, rows.map(|row| MemberRow { unscored: 0, ..row }));
            let members = sieves.standings.members.iter().zip(0..).filter(|_| tells);
            let kept = members.map(|(of, member)| Kept {
                member,
                worker: worker as u32,
                kept: of.set.active.clone(),
                keys: last_keys.get(&of.group).cloned().unwrap_or_default(),
            });
            grid.found(|found| found.kept.extend(kept));
        }
    });
    Said { rows: rows.concat(behind), keys, done }
}

/// Writes who changes at an epoch, member by member, if that is wanted; `of_sieve` tells whom a sieve
/// changes.
fn write<C: Iterator<Item = Change>>(
    grid: &Grid,
    share: Share,
    (epoch, worker): (u32, usize),
    of_sieve: impl Fn(usize) -> C,
) {
    let row = |member: u32, change: Change| {
        let sample = grid.source.sample(share.sample(change.index));
        let rows = change.rows();
        rows.map(move |(diff, key, weight)| DecisionRow { epoch, member, sample, diff, key, weight })
    };
    let members = grid.sieve_of_members().into_iter().zip(0..);
    let rows =
        members.flat_map(|(sieve, member)| of_sieve(sieve).flat_map(move |change| row(member, change)));
    written::write(grid, (epoch, worker), rows);
}
