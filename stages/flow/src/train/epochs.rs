//! One row for each epoch that is complete: costs and means from training, accuracy from the test set.

use spfde_data::rows::EpochRow;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

use super::evaluate::{Evaluation, chunks};

/// Completes the rows of `summaries` with the test set's results, on worker 0. An epoch whose evaluation is
/// not whole has no row.
pub(super) fn epochs<'s>(
    run: &Run<'s>,
    summaries: StreamVec<'s, Tick, EpochRow>,
    evaluations: StreamVec<'s, Tick, Evaluation>,
) -> StreamVec<'s, Tick, EpochRow> {
    let (horizon, samples) = (run.horizon(), run.settings().data.test.len());
    let mut builder = OperatorBuilder::new("Epochs".to_owned(), run.scope());
    let mut summaries = builder.new_input(summaries, Pipeline);
    let mut evaluations = builder.new_input(evaluations, Exchange::new(|_: &Evaluation| 0));
    let (output, rows) = builder.new_output::<Vec<EpochRow>>();
    let mut output = OutputBuilder::from(output);
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut rows = Stash::<EpochRow>::new();
        let mut results = Stash::<Evaluation>::new();
        move |frontiers| {
            summaries.for_each(|capability, data| rows.add(&capability, data));
            evaluations.for_each(|capability, data| results.add(&capability, data));
            while let Some(epoch) = windows.complete(frontiers) {
                let mut results: Vec<Evaluation> = results.through(epoch).collect();
                results.sort_by_key(|result| result.chunk);
                for row in rows.through(epoch) {
                    if results.len() == chunks(samples) {
                        let row = with_test(row, &results, samples);
                        output.activate().session(windows.capability(0)).give(row);
                    }
                }
                windows.advance();
            }
        }
    });
    rows
}

fn with_test(row: EpochRow, results: &[Evaluation], samples: usize) -> EpochRow {
    if samples == 0 {
        return row;
    }
    let loss: f64 = results.iter().map(|result| result.loss).sum();
    let correct: u64 = results.iter().map(|result| u64::from(result.correct)).sum();
    let mean = |sum: f64| Some(sum / samples as f64);
    EpochRow { test_loss: mean(loss), test_accuracy: mean(correct as f64), ..row }
}
