//! Finds where exactly each cut ends.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};

use crate::tick::Tick;
use crate::window::Stash;

use super::cut::Limit;
use super::place::Place;
use super::split::Candidates;
use super::turns::Turns;
use super::watch::Watch;
use super::worker::Shared;

/// Where a cut ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) order: usize,
    pub(super) cut: usize,
    pub(super) limit: Limit,
}

/// Ranks the samples of a class, of all workers, and finds where the cuts through it end.
pub(super) fn rank<'s>(
    scope: Scope<'s, Tick>,
    (shared, watch): (&Shared, &Rc<Watch>),
    candidates: StreamVec<'s, Tick, Candidates>,
) -> StreamVec<'s, Tick, End> {
    let (shared, watch) = (Rc::clone(shared), Rc::clone(watch));
    let mut builder = OperatorBuilder::new("Rank".to_owned(), scope);
    let to_one = Exchange::new(|set: &Candidates| (set.order + set.class) as u64);
    let mut candidates = builder.new_input(candidates, to_one);
    let (output, ends) = builder.new_output::<Vec<End>>();
    let mut output = OutputBuilder::from(output);
    let address = builder.operator_info().address;
    builder.build(move |capabilities| {
        let mut turns = Turns::new(scope, address, capabilities, &watch);
        let mut stash = Stash::<Candidates>::new();
        move |frontiers| {
            candidates.for_each(|capability, sets| stash.add(&capability, sets));
            while let Some(epoch) = turns.complete(frontiers) {
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
                            output.activate().session(turns.capability(0)).give(End { order, cut, limit });
                        }
                    }
                }
                turns.advance();
            }
        }
    });
    ends
}
