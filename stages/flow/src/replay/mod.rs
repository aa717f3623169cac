//! Replay: a recorded run in place of training, for the same stages.
//!
//! ```text
//! recorded scores ─────► Read ──scores──────► sieve ──► deltas of the active set ──┐
//! recorded norms ──────► Read ──gradients───► freeze ─► freeze deltas ─────────────┤
//! recorded layers ─────► Read ──layers──────► freeze                               │
//! recorded similarity ─► Read ──similarity──► freeze, if its policy reads it       │
//! recorded mask deltas ► Read ──the loop `masked`──► freeze                        ▼
//!                        Members: who is active, who lacks a score ──────────► Costs
//!                                                              epochs, costs, censored ◄──┘
//! ```
//!
//! Decisions and costs of a replay are exact functions of the recorded rows. Accuracy is not: the scores were
//! produced under the recorded decisions. What the record lacks is counted
//! ([`CensoredRow`](spfde_data::rows::CensoredRow)), per epoch:
//!
//! - a *sample* is censored if it is active in the replay and has no row in the record's `scores` of that
//!   epoch, trained or observed;
//! - a *norm* is censored if its layer trains (is not frozen) in the replay and has no row in the record's
//!   `gradients` at one of the epoch's steps, the steps being those at which any layer has a row; a *layer*
//!   is censored that lacks a norm, or, under a freeze policy that reads `layers` or `similarity`, has a row
//!   in `layers` that says it was frozen.
//!
//! In a replay of a run under its own policies nothing is censored, and in none of a run that was recorded
//! with `trace.observe = "full"`, unless the freeze policy reads `layers` or `similarity`. Whether a censored
//! input matters is the policy's affair: `random` draws its samples without a look at any score.
//!
//! `observed_flops` of a replay is what observing would have cost under its decisions, if the run was
//! recorded so.
//!
//! A record may go on: then the sources wait until the next epoch is committed, and the run ends when the
//! record is complete.
//!
//! Memory holds the epochs in flight, two at most, whatever the length of the trace: the next one is read
//! when the epoch before the last has been decided, counted, written and committed.

mod costs;

use timely::dataflow::operators::Concatenate;

use crate::recorded::read;
use crate::{Loops, Run, Trained};

/// Stands in for [`train`](crate::train): the same streams, from the run that [`Services`](crate::Services)
/// hands in.
///
/// Scores, norms, layers and, if the freeze policy reads it, similarity are the recorded ones, each row on
/// the worker that reads it. `epochs` has the costs of the decisions that come round `loops`; accuracy and
/// loss are null. There are no weights and no steps to report, so a mask stage decides nothing: the loop
/// `masked` carries the recorded deltas. Two tables come with it, `costs` and `censored`.
///
/// # Panics
/// If the run has no record: [`Run::replays`] tells. While running, if a sample leaves that is not active, or
/// one enters twice: then a stage upstream is wrong.
pub fn replay<'s>(run: &Run<'s>, loops: &Loops<'s>) -> Trained<'s> {
    let (scores, gradients, layers) = (read(run), read(run), read(run));
    let (counts, timings) = costs::members(run, &scores, loops.active.stream());
    let epochs = costs::costs(run, counts, loops, &gradients, &layers);
    let (weights, steps) = (run.scope().concatenate([]), run.scope().concatenate([]));
    let predictions = run.scope().concatenate([]);
    // Only some runs have it.
    let similarity =
        if run.policies().freeze.reads_similarity() { read(run) } else { run.scope().concatenate([]) };
    Trained { scores, predictions, gradients, layers, similarity, weights, epochs, timings, steps }
}
