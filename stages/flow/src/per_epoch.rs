//! A stage of your own in one call: gather a stream epoch by epoch, turn each epoch into rows.

use spfde_data::Row;

use crate::{Flow, Run};

/// Gathers the rows of `input` and, when an epoch is over, hands all of it to `stage`, in the order of the
/// rows.
///
/// `route` says which worker gathers a row: rows of equal route meet on one worker. `stage` is called on
/// every worker for every epoch, also when there is nothing; what it returns leaves at the close of the
/// epoch. Give the result to [`Run::table`], to another stage, or to [`Loop::close`](crate::Loop::close).
///
/// What `stage` remembers of earlier epochs is in no checkpoint: in a run that was resumed it begins anew. A
/// stage whose rows depend on more than their epoch has to get what it needs as a stream.
///
/// When a run stops within an epoch, `stage` sees what there is of it; neither tables nor decisions come of
/// that.
pub fn per_epoch<'s, A: Row, B: Row>(
    run: &Run<'s>,
    name: &'static str,
    input: &Flow<'s, A>,
    route: impl Fn(&A) -> u64 + 'static,
    mut stage: impl FnMut(u32, Vec<A>) -> Vec<B> + 'static,
) -> Flow<'s, B> {
    let timings = run.timings().clone();
    let mut window = run.window(name);
    let input = window.exchanged(input.clone(), route);
    let (mut output, rows) = window.output();
    window.build(move |close| {
        let mut rows = input.through(close.epoch);
        rows.sort_by_key(Row::order);
        output.give(close, timings.measure(name, || stage(close.epoch, rows)));
    });
    rows
}
