//! The sieve stage: scores in, changes of the active set out.
//!
//! ```text
//! scores ──► Standings ──ranks of the active──► lowest ──► Decide ──► deltas of the active set
//! active ──►   │ │                                          ▲
//! (the loop)   │ └──────ranks of the queue────► lowest ─────┘
//! ```
//!
//! [`Standings`](standings) holds a few bytes for each sample, on the worker that owns it, and hands on what
//! changed. Everything that combines samples, the exact cut and the queue, is a differential collection: a window
//! costs what has changed, not what there is.

mod decide;
mod lowest;
mod members;
mod standings;

use spfde_data::rows::{ScoreRow, SieveRow};
use timely::dataflow::StreamVec;

use crate::run::Run;
use crate::tick::Tick;

pub use lowest::{Order, Ranked, lowest};

/// The worker that holds a sample's state: sample mod workers.
pub(crate) fn owner(sample: u32, workers: usize) -> usize {
    sample as usize % workers
}

/// This worker's share of the initial active set, as deltas at `(0, 0)`; of the decisions on their way if the run goes
/// on.
pub(crate) fn initial(run: &Run<'_>) -> Vec<SieveRow> {
    if let Some(snapshot) = run.resumed() {
        let mine = |row: &SieveRow| owner(row.sample, run.workers()) == run.worker();
        return snapshot.rows::<SieveRow>().into_iter().filter(mine).collect();
    }
    let samples = run.plan().samples;
    let mut active = vec![true; samples as usize];
    run.settings()
        .policies
        .sieve
        .initially_outside()
        .iter()
        .for_each(|sample| active[*sample as usize] = false);
    (0..samples)
        .filter(|sample| active[*sample as usize] && owner(*sample, run.workers()) == run.worker())
        .map(|sample| SieveRow { epoch: 0, sample, diff: 1, key: 0, weight: 1.0 })
        .collect()
}

/// Hosts the sieve policy: at the end of a window it ranks the samples, cuts exactly, and says which leave the active
/// set and which enter it. `active` is the loop that it closes.
///
/// The deltas leave at the close of the epoch, on the sample's owner.
pub fn sieve<'s>(
    run: &Run<'s>,
    scores: &StreamVec<'s, Tick, ScoreRow>,
    active: StreamVec<'s, Tick, SieveRow>,
) -> StreamVec<'s, Tick, SieveRow> {
    let standings = standings::standings(run, scores.clone(), active);
    let low = lowest(standings.ranks, standings.rank_quota);
    let first = lowest(standings.queue, standings.queue_quota);
    decide::decide(run, low, first)
}
