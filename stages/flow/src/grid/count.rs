//! Shows the scores to the states, and counts who stands where.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use spfde_data::rows::SieveRow;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};

use crate::tick::Tick;
use crate::window::Stash;

use super::bundle::Bundle;
use super::place::Class;
use super::share::Shares;
use super::turns::Turns;
use super::watch::Watch;
use super::worker::Shared;
use super::{KeyRow, MemberRow};

/// How many of a worker's samples stand in each class of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) order: usize,
    pub(super) classes: Vec<(Class, u32)>,
}

/// What counting says.
pub(super) struct Counted<'s> {
    pub(super) tallies: StreamVec<'s, Tick, Tally>,
    pub(super) rows: StreamVec<'s, Tick, MemberRow>,
    pub(super) keys: StreamVec<'s, Tick, KeyRow>,
}

/// Shows the scores of each epoch to the states once the epoch before is decided; counts classes where there is a decision.
pub(super) fn count<'s>(
    scope: Scope<'s, Tick>,
    (shared, watch): (&Shared, &Rc<Watch>),
    bundles: StreamVec<'s, Tick, Bundle>,
    recorded: StreamVec<'s, Tick, SieveRow>,
    decided: StreamVec<'s, Tick, ()>,
) -> Counted<'s> {
    let (shared, watch) = (Rc::clone(shared), Rc::clone(watch));
    let shares = Shares::new(shared.borrow().grid.source.samples(), scope.peers());
    let mut builder = OperatorBuilder::new("Count".to_owned(), scope);
    let mut bundles = builder.new_input(bundles, Exchange::new(|bundle: &Bundle| u64::from(bundle.owner)));
    let _decided = builder.new_input_connection(decided, Pipeline, []);
    let to_owner = Exchange::new(move |row: &SieveRow| shares.locate(row.sample).0 as u64);
    let mut recorded = builder.new_input(recorded, to_owner);
    let (tallies_out, tallies) = builder.new_output::<Vec<Tally>>();
    let (rows_out, rows) = builder.new_output::<Vec<MemberRow>>();
    let (keys_out, keys) = builder.new_output::<Vec<KeyRow>>();
    let (mut tallies_out, mut rows_out, mut keys_out) =
        (OutputBuilder::from(tallies_out), OutputBuilder::from(rows_out), OutputBuilder::from(keys_out));
    let address = builder.operator_info().address;
    builder.build(move |capabilities| {
        let mut turns = Turns::new(scope, address, capabilities, &watch);
        let mut stash = Stash::<Bundle>::new();
        let mut deltas = Stash::<SieveRow>::new();
        move |frontiers| {
            recorded.for_each(|capability, rows| deltas.add(&capability, rows));
            bundles.for_each(|capability, bundles| stash.add(&capability, bundles));
            while let Some(epoch) = turns.epoch() {
                let close = Tick::close_of(epoch);
                let read = !frontiers[0].less_equal(&close) && !frontiers[2].less_equal(&close);
                let decided = !frontiers[1].less_equal(&Tick::new(epoch, 0));
                if !read || !decided {
                    break;
                }
                let standings = &mut shared.borrow_mut().standings;
                deltas.through(epoch).for_each(|row| standings.record(&row));
                standings.observe(stash.through(epoch).collect());
                let grid = standings.grid();
                rows_out
                    .activate()
                    .session(turns.capability(1))
                    .give_iterator(standings.close(epoch).into_iter());
                if grid.run.is_none() && epoch + 1 == grid.source.epochs() {
                    keys_out
                        .activate()
                        .session(turns.capability(2))
                        .give_iterator(standings.keys().into_iter());
                }
                let orders = standings.orders(epoch + 1);
                for (number, order) in orders.iter().enumerate() {
                    let classes = standings.count(order, epoch + 1).into_classes();
                    let tally = Tally { order: number, classes };
                    tallies_out.activate().session(turns.capability(0)).give(tally);
                }
                turns.advance();
            }
        }
    });
    Counted { tallies, rows, keys }
}
