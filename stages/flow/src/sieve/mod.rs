//! The sieve: scores in, changes of the active set out; one engine for a training, a replay and the members
//! of a grid.
//!
//! ```text
//! scores ──► Observe ──what each worker tells──► the cut ──what it hears──► Decide ──► changes
//!             ▲ shows them to the states, ranks at a decision                  │
//!             └────────────────── this epoch is decided ───────────────────────┘
//! ```
//!
//! Each worker owns the samples whose number leaves its index when divided by the number of workers, and
//! keeps what policies know of them in dense arrays ([`Standings`]): policies that are
//! [alike](spfde_policy::SievePolicy::alike) share one state, and if they cut an outside one order, of which
//! each takes its own share. A policy that cuts [by class](spfde_policy::sieve::classes) has an order for
//! each class.
//!
//! # The exact cut
//!
//! ```text
//! Tallies ──changes of the sizes of classes──► Cut ──where cuts go──► Split ──candidates──► Decide
//! ```
//!
//! A *class* is a run of neighbouring places in an order; there are at most a few ten thousand, and more only
//! where an order goes by epochs, too, as that of `circular` does ([`Place`]). Each worker
//! tells how many of its samples came into a class or went from it (`tally`). The sizes, and the class
//! through which each cut goes, are differential collections: they cost what has changed, and are as small as
//! the number of classes (`bounds`). All cuts through an order share them: arrange once, cut many times. The
//! samples of that one class go to all workers, which put them in order (`split`). The rest of a decision is
//! a comparison of one number a sample.
//!
//! [`lowest`] keeps a collection of the samples themselves: it costs what changes alone, and keeps every
//! sample with its place. [The grid](crate::grid) has measurements of both.

mod active;
mod bounds;
mod cut;
mod lowest;
mod orders;
mod place;
mod split;
mod standings;
mod tally;

use std::rc::Rc;
use std::sync::Arc;

use spfde_data::rows::{ScoreRow, SieveRow};
use spfde_data::table::Row;
use spfde_policy::SievePolicy;
use timely::dataflow::StreamVec;

use crate::run::Run;
use crate::tick::Tick;

pub use active::MemberRow;
pub(crate) use active::{ActiveSet, Change, Scored, Share};
pub(crate) use cut::{Said, Shared, Sieves};
pub use lowest::lowest;
pub use place::{Place, Ranked};
pub(crate) use standings::Standings;

/// This worker's samples.
pub(crate) fn share(run: &Run<'_>) -> Share {
    Share::new(run.plan().samples, run.worker(), run.workers())
}

/// This worker's share of the initial active set, as deltas at `(0, 0)`; of the decisions on their way if the
/// run goes on.
pub(crate) fn initial(run: &Run<'_>) -> Vec<SieveRow> {
    let share = share(run);
    if let Some(snapshot) = run.resumed() {
        return snapshot.rows::<SieveRow>().into_iter().filter(|row| share.has(row.sample)).collect();
    }
    let mut active = vec![true; run.plan().samples as usize];
    let outside = run.settings().policies.sieve.initially_outside();
    outside.iter().for_each(|sample| active[*sample as usize] = false);
    (0..share.len())
        .map(|index| share.sample(index))
        .filter(|sample| active[*sample as usize])
        .map(|sample| SieveRow { epoch: 0, sample, diff: 1, key: 0, weight: 1.0 })
        .collect()
}

/// Hosts a sieve policy: at the end of a window it ranks the samples, cuts exactly, and says which leave the
/// active set and which enter it. `active` is the loop that it closes.
///
/// The deltas leave at the close of the epoch, on the sample's owner.
pub fn sieve<'s>(
    run: &Run<'s>,
    scores: &StreamVec<'s, Tick, ScoreRow>,
    active: StreamVec<'s, Tick, SieveRow>,
    policy: &Arc<dyn SievePolicy>,
) -> StreamVec<'s, Tick, SieveRow> {
    let (share, ground) = (share(run), run.ground());
    let mut standings = Standings::empty(policy, share, run.settings().epochs - 1);
    if let Some(snapshot) = run.resumed() {
        standings.restore(snapshot);
    }
    let sieves = Sieves::shared(standings);
    let asks = observe(run, &sieves, scores.clone(), active);
    let answers = Sieves::answer(&ground, &sieves, asks);
    let mut window = ground.window("Decide");
    let answers = window.own(answers);
    let (mut deltas_out, deltas) = window.output();
    window.build(move |close| {
        let next = close.epoch + 1;
        let changes = sieves.borrow_mut().decide(next, answers.through(close.epoch));
        let rows = |change: Change| {
            let sample = share.sample(change.index);
            change.rows().map(move |(diff, key, weight)| SieveRow { epoch: next, sample, diff, key, weight })
        };
        deltas_out.give(close, changes.into_iter().flatten().flat_map(rows));
    });
    deltas
}

/// Shows the scores to the state, step by step; at the end of an epoch tells what the decision for the next
/// one needs.
fn observe<'s>(
    run: &Run<'s>,
    sieves: &Shared,
    scores: StreamVec<'s, Tick, ScoreRow>,
    active: StreamVec<'s, Tick, SieveRow>,
) -> StreamVec<'s, Tick, Said<tally::Ask>> {
    let (share, timings, sieves) = (share(run), run.timings().clone(), Rc::clone(sieves));
    let mut window = run.window("Observe");
    let scores = window.exchanged(scores, move |row: &ScoreRow| u64::from(share.owner(row.sample)));
    let active = window.exchanged(active, move |row: &SieveRow| u64::from(share.owner(row.sample)));
    let (mut asks_out, asks) = window.output();
    let mut kept = run.keeper().output(&mut window);
    window.build_by_tick(move |moment| {
        let mut sieves = sieves.borrow_mut();
        let standings = &mut sieves.standings;
        // Scores count as their steps complete, in order, once the epoch before is decided.
        let decided = active.is_past(Tick::new(moment.epoch, 0));
        if decided {
            standings.apply(moment.epoch, &[Change::of_rows(active.through(moment.epoch), share)]);
        }
        while let Some((_, mut rows)) = decided.then(|| scores.next(moment.epoch)).flatten() {
            timings.measure("sieve", || {
                rows.sort_by_key(Row::order);
                rows.iter().for_each(|row| standings.observe(share.index(row.sample), row));
            });
        }
        if !moment.is_complete {
            return;
        }
        let next = moment.epoch + 1;
        kept.give(moment, |epoch| standings.save(epoch));
        asks_out.give(moment, timings.measure("sieve", || sieves.ask(next)));
    });
    asks
}
