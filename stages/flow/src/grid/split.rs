//! Finds out through which class each cut goes, and hands the samples in it on.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};

use crate::tick::Tick;
use crate::window::Stash;

use super::count::Tally;
use super::cut::{Limit, Through, add_up, through};
use super::place::{Class, Place};
use super::turns::Turns;
use super::watch::Watch;
use super::worker::{Decisions, Shared};

/// A worker's samples in one class of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Candidates {
    pub(super) order: usize,
    pub(super) class: usize,
    pub(super) places: Vec<(Place, u32)>,
}

/// Adds up the classes of all workers, which tells where each cut goes through; sends the samples there, in each class to one
/// worker. Every worker adds up the same.
pub(super) fn split<'s>(
    scope: Scope<'s, Tick>,
    (shared, watch): (&Shared, &Rc<Watch>),
    tallies: StreamVec<'s, Tick, Tally>,
) -> StreamVec<'s, Tick, Candidates> {
    let (shared, watch) = (Rc::clone(shared), Rc::clone(watch));
    let mut builder = OperatorBuilder::new("Split".to_owned(), scope);
    let mut tallies = builder.new_input(tallies, Pipeline);
    let (output, candidates) = builder.new_output::<Vec<Candidates>>();
    let mut output = OutputBuilder::from(output);
    let address = builder.operator_info().address;
    builder.build(move |capabilities| {
        let mut turns = Turns::new(scope, address, capabilities, &watch);
        let mut stash = Stash::<Tally>::new();
        move |frontiers| {
            tallies.for_each(|capability, tallies| stash.add(&capability, tallies));
            while let Some(epoch) = turns.complete(frontiers) {
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
                    output.activate().session(turns.capability(0)).give_iterator(sets.into_iter());
                    decisions.through.push(ends);
                    decisions.classes.push(classes);
                }
                worker.decisions.insert(epoch + 1, decisions);
                turns.advance();
            }
        }
    });
    candidates
}
