//! A stage of your own in one call: gather a stream epoch by epoch, turn each epoch into rows.

use spfde_data::table::Row;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

/// Gathers the rows of `input` and, when an epoch is over, hands all of it to `stage`, in the order of the rows.
///
/// `route` says which worker gathers a row: rows of equal route meet on one worker. `stage` is called on every
/// worker for every epoch, also when there is nothing; what it returns leaves at the close of the epoch. Give the
/// result to [`Run::table`], to another stage, or to [`Loop::close`](crate::Loop::close).
///
/// What `stage` remembers of earlier epochs is in no checkpoint: in a run that was resumed it begins anew. A stage whose
/// rows depend on more than their epoch has to get what it needs as a stream.
///
/// When a run stops within an epoch, `stage` sees what there is of it; neither tables nor decisions come of that.
pub fn per_epoch<'s, A: Row, B: Row>(
    run: &Run<'s>,
    name: &'static str,
    input: &StreamVec<'s, Tick, A>,
    route: impl Fn(&A) -> u64 + 'static,
    mut stage: impl FnMut(u32, Vec<A>) -> Vec<B> + 'static,
) -> StreamVec<'s, Tick, B> {
    let (horizon, timings) = (run.horizon(), run.timings().clone());
    let mut builder = OperatorBuilder::new(name.to_owned(), run.scope());
    let mut input = builder.new_input(input.clone(), Exchange::new(route));
    let (output, rows) = builder.new_output::<Vec<B>>();
    let mut output = OutputBuilder::from(output);
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut stash = Stash::<A>::new();
        move |frontiers| {
            input.for_each(|capability, rows| stash.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                let mut rows: Vec<A> = stash.through(epoch).collect();
                rows.sort_by_key(Row::order);
                let rows = timings.measure(name, || stage(epoch, rows));
                output.activate().session(windows.capability(0)).give_iterator(rows.into_iter());
                windows.advance();
            }
        }
    });
    rows
}
