//! Where each sample stands: its membership, its key, its place in the order, as deltas.

use differential_dataflow::{AsCollection, VecCollection};
use spfde_data::rows::{ScoreRow, SieveRow};
use spfde_data::table::Row;
use spfde_policy::{Cut, Rank, SievePolicy, SieveState};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

use super::lowest::{Order, Ranked};
use super::owner;

/// What the cuts work on.
pub(super) struct Standings<'s> {
    /// The samples that may leave, in their order.
    pub(super) ranks: VecCollection<'s, Tick, Ranked, i32>,
    /// How many of them leave, on worker 0.
    pub(super) rank_quota: VecCollection<'s, Tick, u32, i32>,
    /// The samples that may enter, in their order.
    pub(super) queue: VecCollection<'s, Tick, Ranked, i32>,
    /// How many of them enter, on worker 0.
    pub(super) queue_quota: VecCollection<'s, Tick, u32, i32>,
}

/// In which order a sample was ranked at the last decision, and by what: enough to take it back exactly.
#[derive(Clone, Copy)]
enum Place {
    Nowhere,
    Rank { entered: u32, key: u32 },
    Queue { left: u32 },
}

/// A worker's samples: those whose number leaves the worker's index when divided by the number of workers.
struct Members {
    worker: u32,
    workers: u32,
    active: Vec<bool>,
    /// The epoch of the last entry of an active sample, of the last departure of another.
    since: Vec<u32>,
    place: Vec<Place>,
    /// The epoch for which the places were taken.
    decided: u32,
}

type Update = (Ranked, Tick, i32);

impl Members {
    fn new(samples: usize, worker: usize, workers: usize) -> Self {
        let owned = (worker..samples).step_by(workers).count();
        Self {
            worker: worker as u32,
            workers: workers as u32,
            active: vec![false; owned],
            since: vec![0; owned],
            place: vec![Place::Nowhere; owned],
            decided: 0,
        }
    }

    fn slot(&self, sample: u32) -> usize {
        (sample / self.workers) as usize
    }

    fn apply(&mut self, row: &SieveRow) {
        let slot = self.slot(row.sample);
        self.active[slot] = row.diff > 0;
        self.since[slot] = row.epoch;
    }

    fn ranked(
        &self,
        policy: &dyn SievePolicy,
        epoch: u32,
        slot: usize,
        place: Place,
    ) -> Option<(bool, Ranked)> {
        let sample = slot as u32 * self.workers + self.worker;
        let (queue, Rank { key, since, hash }) = match place {
            Place::Nowhere => return None,
            Place::Rank { entered, key } => (false, policy.rank(epoch, sample, entered, key)),
            Place::Queue { left } => (true, policy.queue(epoch, sample, left)),
        };
        Some((queue, (Order { key, since, hash }, sample)))
    }

    /// Takes the places for the decision that takes effect at `epoch`; pushes what changed to `updates`: the ranks
    /// first, the queue second.
    fn rank(
        &mut self,
        policy: &dyn SievePolicy,
        state: &dyn SieveState,
        epoch: u32,
        at: Tick,
        updates: &mut [Vec<Update>; 2],
    ) {
        let exchange = matches!(policy.cut(epoch), Cut::Exchange { .. });
        for slot in 0..self.active.len() {
            let place = if self.active[slot] || !exchange {
                let entered = if self.active[slot] { self.since[slot] } else { 0 };
                Place::Rank { entered, key: state.key(slot) }
            } else {
                Place::Queue { left: self.since[slot] }
            };
            let before = self.ranked(policy, self.decided, slot, self.place[slot]);
            let after = self.ranked(policy, epoch, slot, place);
            if before != after {
                if let Some((queue, ranked)) = before {
                    updates[usize::from(queue)].push((ranked, at, -1));
                }
                if let Some((queue, ranked)) = after {
                    updates[usize::from(queue)].push((ranked, at, 1));
                }
            }
            self.place[slot] = place;
        }
        self.decided = epoch;
    }
}

/// Follows scores and membership of the samples this worker owns; at the close of each window for which the policy
/// decides, hands on how their ranks changed.
pub(super) fn standings<'s>(
    run: &Run<'s>,
    scores: StreamVec<'s, Tick, ScoreRow>,
    active: StreamVec<'s, Tick, SieveRow>,
) -> Standings<'s> {
    let (worker, workers, settings) = (run.worker(), run.workers(), std::sync::Arc::clone(run.settings()));
    let timings = run.timings().clone();
    let horizon = run.horizon();
    let mut builder = OperatorBuilder::new("Standings".to_owned(), run.scope());
    let to_owner = move |sample: u32| owner(sample, workers) as u64;
    let mut scores = builder.new_input(scores, Exchange::new(move |row: &ScoreRow| to_owner(row.sample)));
    let mut active = builder.new_input(active, Exchange::new(move |row: &SieveRow| to_owner(row.sample)));
    let (ranks_out, ranks) = builder.new_output::<Vec<Update>>();
    let (queue_out, queue) = builder.new_output::<Vec<Update>>();
    let (leave_out, leave) = builder.new_output::<Vec<(u32, Tick, i32)>>();
    let (enter_out, enter) = builder.new_output::<Vec<(u32, Tick, i32)>>();
    let mut update_outs = [OutputBuilder::from(ranks_out), OutputBuilder::from(queue_out)];
    let mut quota_outs = [OutputBuilder::from(leave_out), OutputBuilder::from(enter_out)];
    builder.build(move |capabilities| {
        let mut start = Some(capabilities.clone());
        let mut windows = Windows::new(capabilities, horizon);
        let mut members = Members::new(settings.plan.samples as usize, worker, workers);
        let mut state = settings.policies.sieve.start(members.active.len());
        let mut observed = Stash::<ScoreRow>::new();
        let mut deltas = Stash::<SieveRow>::new();
        let mut quotas = [0u32; 2];
        move |frontiers| {
            scores.for_each(|capability, rows| observed.add(&capability, rows));
            active.for_each(|capability, rows| deltas.add(&capability, rows));
            if let Some(capabilities) = start.take()
                && let Cut::Outside { out } = settings.policies.sieve.cut(0)
            {
                // The cut is the outside from the start: decisions are changes against that.
                let at = Tick::new(0, 0);
                let mut updates = [Vec::new(), Vec::new()];
                members.rank(&*settings.policies.sieve, &*state, 0, at, &mut updates);
                let [ranks, _] = updates;
                update_outs[0].activate().session(&capabilities[0]).give_iterator(ranks.into_iter());
                if worker == 0 && out > 0 {
                    quota_outs[0].activate().session(&capabilities[2]).give((out, at, 1));
                    quotas[0] = out;
                }
            }
            loop {
                let (policy, now) = (&*settings.policies.sieve, windows.epoch());
                // Scores count as their steps complete, in order; those of the next window wait for the decision.
                let due = |tick: &Tick| tick.epoch == now && !frontiers[0].less_equal(tick);
                while let Some((_, mut rows)) = observed.next(due) {
                    timings.measure("sieve", || {
                        rows.sort_by_key(Row::order);
                        rows.iter().for_each(|row| state.observe(members.slot(row.sample), row));
                    });
                }
                let Some(epoch) = windows.complete(frontiers) else { break };
                let next = epoch + 1;
                // A departure comes before an entry, should one sample ever have both.
                let mut rows: Vec<SieveRow> = deltas.through(epoch).collect();
                rows.sort_by_key(|row| (row.epoch, row.diff));
                rows.iter().for_each(|row| members.apply(row));
                if next < settings.epochs && policy.decides(next) {
                    let at = Tick::close_of(epoch);
                    let mut updates = [Vec::new(), Vec::new()];
                    timings.measure("sieve", || {
                        members.rank(policy, &*state, next, at, &mut updates);
                        state.clear();
                    });
                    for (port, updates) in updates.into_iter().enumerate() {
                        let mut output = update_outs[port].activate();
                        output.session(windows.capability(port)).give_iterator(updates.into_iter());
                    }
                    let wanted = match policy.cut(next) {
                        Cut::Outside { out } => [out, 0],
                        Cut::Exchange { count } => [count, count],
                    };
                    for (port, (quota, wanted)) in quotas.iter_mut().zip(wanted).enumerate() {
                        if worker == 0 && *quota != wanted {
                            let change =
                                [(*quota, at, -1), (wanted, at, 1)].into_iter().filter(|(n, ..)| *n > 0);
                            let mut output = quota_outs[port].activate();
                            output.session(windows.capability(2 + port)).give_iterator(change);
                            *quota = wanted;
                        }
                    }
                }
                windows.advance();
            }
        }
    });
    Standings {
        ranks: ranks.as_collection(),
        queue: queue.as_collection(),
        rank_quota: leave.as_collection(),
        queue_quota: enter.as_collection(),
    }
}
