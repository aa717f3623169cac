//! Moves whom the cuts move.

use std::rc::Rc;

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};

use crate::tick::Tick;
use crate::window::Stash;

use super::changes::Change;
use super::cut::{Limit, Through};
use super::rank::End;
use super::turns::Turns;
use super::watch::Watch;
use super::worker::{Decisions, Shared, Worker};
use super::{Failure, MemberRow, written};

/// What is decided.
pub(super) struct Decided<'s> {
    /// Says nothing: its frontier tells what is decided.
    pub(super) done: StreamVec<'s, Tick, ()>,
    /// What the last decision leaves.
    pub(super) rows: StreamVec<'s, Tick, MemberRow>,
}

/// Moves whom the cuts move, and writes it down.
pub(super) fn decide<'s>(
    scope: Scope<'s, Tick>,
    (shared, watch): (&Shared, &Rc<Watch>),
    ends: StreamVec<'s, Tick, End>,
) -> Decided<'s> {
    let index = scope.index() as u32;
    let (shared, watch) = (Rc::clone(shared), Rc::clone(watch));
    let mut builder = OperatorBuilder::new("Decide".to_owned(), scope);
    let mut ends = builder.new_input(ends, Pipeline);
    let (_, done) = builder.new_output::<Vec<()>>();
    let (rows_out, rows) = builder.new_output::<Vec<MemberRow>>();
    let mut rows_out = OutputBuilder::from(rows_out);
    let address = builder.operator_info().address;
    builder.build(move |capabilities| {
        let mut turns = Turns::new(scope, address, capabilities, &watch);
        let mut stash = Stash::<End>::new();
        initial(&shared.borrow(), index);
        move |frontiers| {
            ends.for_each(|capability, ends| stash.add(&capability, ends));
            while let Some(epoch) = turns.complete(frontiers) {
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
                let sieves = worker.grid.sieve_of_members();
                let members = sieves.iter().map(|sieve| changes[*sieve].iter().copied());
                write(worker, (next, index), members);
                worker.standings.apply(next, &changes);
                if worker.grid.run.is_none()
                    && next == worker.grid.source.epochs()
                    && next <= worker.grid.last
                {
                    let rows = worker.standings.answer(next);
                    rows_out.activate().session(turns.capability(1)).give_iterator(rows.into_iter());
                }
                turns.advance();
            }
        }
    });
    Decided { done, rows }
}

/// Writes the initial active sets.
fn initial(worker: &Worker, index: u32) {
    let standings = &worker.standings;
    let enters = |member| move |index: &u32| standings.is_active(member, *index);
    let sieves = worker.grid.sieve_of_members();
    let members =
        sieves.iter().map(|sieve| (0..standings.len()).filter(enters(*sieve)).map(|index| (index, true, 0)));
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
        Err(error) => grid.fail(Failure::Whole(error.to_string())),
    }
}
