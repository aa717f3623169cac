//! Who is active in a replay, and who of them has no score.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spfde_data::rows::{ScoreRow, SieveRow, TimingRow};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::run::Run;
use crate::sieve::owner;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

/// What a worker counts of its samples in one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Count {
    /// Active samples.
    pub(super) active: u32,
    /// Those of them without a score.
    pub(super) unscored: u32,
}

/// What this stage sends on.
pub(super) struct Members<'s> {
    /// A worker's count of every epoch, at its close.
    pub(super) counts: StreamVec<'s, Tick, Count>,
    /// Wall-clock time of this worker's stages.
    pub(super) timings: StreamVec<'s, Tick, TimingRow>,
}

/// Follows the active set and the scores of the samples that this worker owns.
///
/// # Panics
/// While running, if a sample leaves that is not active, or one enters twice: then a stage upstream is wrong.
pub(super) fn members<'s>(
    run: &Run<'s>,
    scores: &StreamVec<'s, Tick, ScoreRow>,
    active: StreamVec<'s, Tick, SieveRow>,
) -> Members<'s> {
    let (worker, workers, settings) = (run.worker(), run.workers(), Arc::clone(run.settings()));
    let (horizon, timings) = (run.horizon(), run.timings().clone());
    let mut builder = OperatorBuilder::new("Members".to_owned(), run.scope());
    let to_owner = move |sample: u32| owner(sample, workers) as u64;
    let mut scores =
        builder.new_input(scores.clone(), Exchange::new(move |row: &ScoreRow| to_owner(row.sample)));
    let mut active = builder.new_input(active, Exchange::new(move |row: &SieveRow| to_owner(row.sample)));
    let (counts_out, counts) = builder.new_output::<Vec<Count>>();
    let (timings_out, times) = builder.new_output::<Vec<TimingRow>>();
    let (mut counts_out, mut timings_out) =
        (OutputBuilder::from(counts_out), OutputBuilder::from(timings_out));
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut deltas = Stash::<SieveRow>::new();
        let slot = move |sample: u32| sample as usize / workers;
        let owned = (worker..settings.plan.samples as usize).step_by(workers).count();
        let mut weights: Vec<Option<f32>> = vec![None; owned];
        // By epoch in flight: who has a score.
        let mut scored: BTreeMap<u32, Vec<bool>> = BTreeMap::new();
        move |frontiers| {
            scores.for_each(|_, rows| {
                for row in rows.drain(..) {
                    scored.entry(row.epoch).or_insert_with(|| vec![false; owned])[slot(row.sample)] = true;
                }
            });
            active.for_each(|capability, rows| deltas.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                let mut rows: Vec<SieveRow> = deltas.through(epoch).collect();
                rows.sort_by_key(|row| (row.epoch, row.diff));
                rows.iter().for_each(|row| crate::loader::apply(&mut weights[slot(row.sample)], row));
                let scored = scored.remove(&epoch).unwrap_or_else(|| vec![false; owned]);
                let mut count = Count::default();
                for (_, scored) in weights.iter().zip(scored).filter(|(weight, _)| weight.is_some()) {
                    count.active += 1;
                    count.unscored += u32::from(!scored);
                }
                counts_out.activate().session(windows.capability(0)).give(count);
                let rows = timings.take(epoch, worker);
                timings_out.activate().session(windows.capability(1)).give_iterator(rows.into_iter());
                windows.advance();
            }
        }
    });
    Members { counts, timings: times }
}
