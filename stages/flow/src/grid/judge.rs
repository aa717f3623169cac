//! Shows the scores to the sieves, and moves whom their cuts move.

use std::sync::Arc;

use spfde_data::rows::SieveRow;
use timely::dataflow::StreamVec;

use crate::fault::Fault;
use crate::sieve::{self, Change, Cutting, MemberRow, Share, Shared, Sieves, Standings};
use crate::tick::Tick;
use crate::windowed::Ground;

use super::bundle::{Bundle, each_score};
use super::{Failure, Grid, KeyRow, written};

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
pub(super) fn judge<'s, C: Cutting>(ground: &Ground<'s>, grid: &Arc<Grid>, judged: Judged<'s>) -> Said<'s> {
    let (worker, workers) = (ground.scope.index(), ground.scope.peers());
    let share = Share::new(grid.source.samples(), worker, workers);
    let mut standings = Standings::new(&grid.sieves, share, grid.last);
    if grid.run.is_some() {
        standings = standings.compared();
    }
    let writer = Writer { grid: Arc::clone(grid), share, worker: worker as u32 };
    writer.initial(&standings);
    let sieves = Sieves::<C>::shared(standings);
    let counted = count(ground, grid, &sieves, judged);
    let answers = Sieves::answer(ground, &sieves, counted.asks);
    let mut window = ground.window("Decide");
    let answers = window.own(answers);
    let (_, done) = window.output();
    let (mut rows_out, rows) = window.output();
    window.build(move |close| {
        let next = close.epoch + 1;
        let mut sieves = sieves.borrow_mut();
        let changes = sieves.decide(next, answers.through(close.epoch));
        let of_members = writer.grid.sieve_of_members().into_iter();
        writer.write(next, of_members.map(|sieve| changes[sieve].iter().copied()));
        sieves.standings.apply(next, &changes);
        let grid = &writer.grid;
        if grid.run.is_none() && next == grid.source.epochs() && next <= grid.last {
            // No scores are expected of it.
            let rows = sieves.standings.close(next).into_iter();
            rows_out.give(close, rows.map(|row| MemberRow { unscored: 0, ..row }));
        }
    });
    let rows = timely::dataflow::operators::Concat::concat(counted.rows, rows);
    Said { rows, keys: counted.keys, done }
}

/// What counting says.
struct Counted<'s, A> {
    asks: StreamVec<'s, Tick, A>,
    rows: StreamVec<'s, Tick, MemberRow>,
    keys: StreamVec<'s, Tick, KeyRow>,
}

/// Shows the scores of each epoch to the states; tells how the sieves stand, and what their decisions need.
fn count<'s, C: Cutting>(
    ground: &Ground<'s>,
    grid: &Arc<Grid>,
    sieves: &Shared<C>,
    judged: Judged<'s>,
) -> Counted<'s, sieve::Said<C::Ask>> {
    let (sieves, grid) = (Shared::clone(sieves), Arc::clone(grid));
    let share = sieves.borrow().standings.share;
    let mut window = ground.window("Count");
    let bundles = window.exchanged(judged.bundles, |bundle: &Bundle| u64::from(bundle.owner));
    let recorded = window.exchanged(judged.recorded, move |row| u64::from(share.owner(row.sample)));
    let _decided = window.own(judged.decided);
    let (mut asks_out, asks) = window.output();
    let (mut rows_out, rows) = window.output();
    let (mut keys_out, keys) = window.output();
    window.build(move |close| {
        let mut sieves = sieves.borrow_mut();
        let standings = &mut sieves.standings;
        recorded.through(close.epoch).iter().for_each(|row| standings.record(row.sample, row.diff > 0));
        each_score(bundles.through(close.epoch), share, |index, score| standings.observe(index, score));
        rows_out.give(close, standings.close(close.epoch));
        let next = close.epoch + 1;
        if grid.run.is_none() && next == grid.source.epochs() {
            let row = |(member, key, samples)| KeyRow { member, key, samples };
            keys_out.give(close, standings.keys().into_iter().map(row));
        }
        asks_out.give(close, sieves.ask(next));
    });
    Counted { asks, rows, keys }
}

/// Writes the decisions of all members, if they are wanted.
struct Writer {
    grid: Arc<Grid>,
    share: Share,
    worker: u32,
}

impl Writer {
    /// The initial active sets.
    fn initial(&self, standings: &Standings) {
        let sieves = self.grid.sieve_of_members().into_iter();
        let members = sieves.map(|sieve| {
            let active = standings.members[sieve].set.active.iter().zip(0..);
            let (key, before, after) = (0, Change::OUTSIDE, 1.0);
            active.filter(|(active, _)| **active).map(move |(_, index)| Change { index, key, before, after })
        });
        self.write(0, members);
    }

    /// The changes at `epoch`, member by member.
    fn write<M: Iterator<Item = Change>>(&self, epoch: u32, members: impl Iterator<Item = M>) {
        let grid = &self.grid;
        let Some(store) = grid.store.as_ref().filter(|_| epoch <= grid.last && !grid.failed()) else {
            return;
        };
        let sample = |index| grid.source.sample(self.share.sample(index));
        match written::sieves(&**store, sample, (epoch, self.worker), members) {
            Ok(segment) => grid.found(|found| found.segments.extend(segment)),
            // Behind everything that could not be read.
            Err(error) => grid.fail(Failure::Whole(error.to_string())),
        }
    }
}
