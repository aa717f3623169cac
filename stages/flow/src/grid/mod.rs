//! Many policies over the same record, as one dataflow: sieves over scores, or whole experiments over a run.
//!
//! ```text
//! Scores ──bundles──► Count ──what each worker tells──► the cut ──what it hears──► Decide ──► decisions
//!    ▲                  ▲                                                            │
//!    └──────────────────┴──────────────── this epoch is decided ─────────────────────┘
//! ```
//!
//! The scores are decoded once, whatever the number of policies. The sieves are those of a training or a
//! plain replay, with the same state and the same cuts ([`sieve`](crate::sieve())): a replay is a grid of one
//! member. Here rows travel in bundles of a few bytes each, an epoch at a time.
//!
//! Over a recorded run ([`Grid::run`]) a member is an experiment: a sieve, a freezing, and what they
//! cost.
//!
//! ```text
//! recorded norms, mask deltas, freezes ──► all workers ──► Costs ──costs, what is censored──► Gather
//!               what Count says of each sieve ───────────────▲
//! recorded deltas of the active set ──► Count (agreement)
//! ```
//!
//! Members that have a sieve in common share it, those that have a freezing in common (policy, plan and
//! masks) share that; a freezing is one worker's.
//!
//! A record may go on ([`Recording::look`](spfde_data::segment::Recording::look)): then the sources wait for
//! the next epoch, and every state stays where it is, so that an epoch more costs what it takes to read and
//! to judge that epoch.
//!
//! All workers are of one process, and share the record and what has failed. A failure is known to all before
//! a source gives up its capabilities, so no worker takes what is left out for what there is.
//!
//! # What a cut costs as more samples change
//!
//! Seconds for each decision on the lowest 30 % of a million samples, one worker, on a busy virtual Intel
//! Xeon with AVX-512, the least of three repeats. *Arranged* is [`lowest`](crate::lowest), a differential
//! collection of the samples; *by classes* is the [engine](crate::sieve()) under a rule whose ranks follow
//! from keys; *recomputed* is the engine under a rule that does not say so, and so ranks all samples.
//!
//! | cuts | samples that change | arranged | by classes | recomputed |
//! |---:|---:|---:|---:|---:|
//! | 1 | 0.1 % | 0.0086 | 0.0195 | 0.0400 |
//! | 1 | 1 % | 0.0155 | 0.0142 | 0.0469 |
//! | 1 | 10 % | 0.1402 | 0.0347 | 0.0483 |
//! | 1 | 100 % | 1.8097 | 0.0982 | 0.0520 |
//!
//! An arrangement costs what changes, a pass what there is. They meet where one per cent changes; the
//! arrangement also keeps every sample with its place. Classes pay until some 30 % change, by interpolation:
//! beyond that, it is cheaper to rank all than to find out who has changed.
//!
//! To measure it again:
//!
//! ```text
//! cargo run --release -p spfde-flow --example dense_or_arranged
//! ```

mod bundle;
mod costs;
mod found;
mod gather;
mod judge;
mod recorded;
mod repeats;
mod run;
mod source;
mod worker;
mod written;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use spfde_data::scores::{Repeats, ScoreSource};
use spfde_data::segment::SegmentStore;
use spfde_policy::SievePolicy;

pub use crate::sieve::MemberRow;
pub use found::{Failure, Found, Kept, KeyRow};
pub use recorded::RecordedScores;
pub use run::{Freezing, MemberCosts, RunMember, RunMembers};
pub use worker::grid;
pub use written::{DecisionRow, FreezeDecisionRow};

/// Epochs of other streams than the scores that may be read before one that is not decided, beyond the next.
const AHEAD: u32 = 1;

/// What is asked: sieves over recorded scores; or members that are whole experiments, over a recorded run.
pub struct Grid {
    /// The scores.
    pub source: Arc<dyn ScoreSource>,
    /// What counts of a sample that has several rows in one epoch; `None`: all of them, one after the other.
    pub repeats: Option<Repeats>,
    /// The sieves: of bare scores the members; of a run one for all members that have it in common.
    pub sieves: Vec<Arc<dyn SievePolicy>>,
    /// The members of a grid over a run.
    pub run: Option<RunMembers>,
    /// The last epoch that is decided. Of a run it is the last one. Of bare scores it is the one behind them,
    /// if the caller wants the last decision, too, with which no epoch is trained.
    pub last: u32,
    /// Where the decisions of all members are written, if anywhere.
    pub store: Option<Arc<dyn SegmentStore>>,
    /// Whether the record may still go on.
    pub follows: bool,
    /// Set from outside to end it.
    pub interrupted: Arc<AtomicBool>,
    /// Is shown all members of a grid over a run, epoch by epoch.
    pub observer: GridObserver,
    /// What has been found.
    pub found: Mutex<Found>,
}

/// Is shown all members of a grid over a run in an epoch, by number (none on workers other than worker 0), on
/// a worker's own thread; says in words why the grid cannot go on, if it cannot.
pub type GridObserver = Arc<dyn Fn(&[MemberCosts]) -> Result<(), String> + Send + Sync>;

impl Grid {
    /// A grid over `source`.
    pub fn new(
        source: Arc<dyn ScoreSource>,
        sieves: Vec<Arc<dyn SievePolicy>>,
        last: u32,
        store: Option<Arc<dyn SegmentStore>>,
        interrupted: Arc<AtomicBool>,
    ) -> Self {
        let observer = Arc::new(|_: &[MemberCosts]| Ok(()));
        let (run, repeats, follows, found) = (None, None, false, Mutex::default());
        Self { source, repeats, sieves, run, last, store, follows, interrupted, observer, found }
    }

    /// The sieve of each member.
    fn sieve_of_members(&self) -> Vec<usize> {
        match &self.run {
            None => (0..self.sieves.len()).collect(),
            Some(run) => run.members.iter().map(|member| member.sieve).collect(),
        }
    }

    /// Whether something has failed, or the caller has interrupted the grid: nothing that is still to come
    /// would count.
    pub fn failed(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.found(|found| found.failed.is_some())
    }

    /// Whether bare scores end before `epoch`: it is decided, too.
    fn ends_before(&self, epoch: u32) -> bool {
        self.run.is_none() && epoch == self.source.epochs()
    }

    fn found<R>(&self, work: impl FnOnce(&mut Found) -> R) -> R {
        work(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the grid: of several failures the first counts.
    fn fail(&self, failure: Failure) {
        self.found(|found| {
            if found.failed.as_ref().is_none_or(|known| failure < *known) {
                found.failed = Some(failure);
            }
        });
    }

    /// Takes what was found, in order.
    pub fn take(&self) -> Found {
        let mut found = self.found(std::mem::take);
        found.epochs = self.source.extent().epochs;
        found.rows.sort_unstable();
        found.costs.sort_by_key(|costs| (costs.epoch.epoch, costs.member));
        found.keys.sort_unstable();
        found.kept.sort_by_key(|kept| (kept.member, kept.worker));
        found.segments.sort();
        found
    }
}
