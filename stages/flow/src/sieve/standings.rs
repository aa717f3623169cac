//! Where each sample stands: its membership, its key, its place in the order, as deltas.

use differential_dataflow::{AsCollection, VecCollection};
use spfde_data::rows::{ScoreRow, SieveRow};
use spfde_data::table::Row;
use spfde_policy::Cut;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::checkpoint::Kept;
use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

use super::lowest::Ranked;
use super::members::{Members, Update};
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
    let (kept_out, kept) = builder.new_output::<Vec<Kept>>();
    let mut kept_out = OutputBuilder::from(kept_out);
    let (begin, checkpoints) = (run.start(), run.keeper().due());
    let mut members = Members::new(settings.plan.samples as usize, worker, workers);
    let mut state = settings.policies.sieve.start(members.len());
    if let Some(snapshot) = run.resumed() {
        members.restore(snapshot, &mut *state);
    }
    builder.build(move |capabilities| {
        let first = capabilities.iter().map(|capability| capability.delayed(&begin));
        let mut start = Some(first.collect::<Vec<_>>());
        let mut windows = Windows::new(capabilities, horizon);
        let mut observed = Stash::<ScoreRow>::new();
        let mut deltas = Stash::<SieveRow>::new();
        let mut quotas = [0u32; 2];
        move |frontiers| {
            scores.for_each(|capability, rows| observed.add(&capability, rows));
            active.for_each(|capability, rows| deltas.add(&capability, rows));
            if let Some(capabilities) = start.take() {
                let policy = &*settings.policies.sieve;
                let mut updates = [Vec::new(), Vec::new()];
                members.begin(policy, &*state, begin, &mut updates);
                for (port, updates) in updates.into_iter().enumerate() {
                    let mut output = update_outs[port].activate();
                    output.session(&capabilities[port]).give_iterator(updates.into_iter());
                }
                if members.are_ranked(policy) {
                    quotas = wanted(policy.decision(members.decided()).cut);
                }
                for (port, quota) in quotas.into_iter().enumerate().filter(|(_, quota)| *quota > 0) {
                    if worker == 0 {
                        let mut output = quota_outs[port].activate();
                        output.session(&capabilities[2 + port]).give((quota, begin, 1));
                    }
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
                    let wanted = wanted(policy.decision(next).cut);
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
                if checkpoints.at(next) {
                    let mut output = kept_out.activate();
                    let kept = members.save(next, &*state);
                    output.session(windows.capability(4)).give_iterator(kept.into_iter());
                }
                windows.advance();
            }
        }
    });
    run.keeper().keep(kept);
    Standings {
        ranks: ranks.as_collection(),
        queue: queue.as_collection(),
        rank_quota: leave.as_collection(),
        queue_quota: enter.as_collection(),
    }
}

/// How many leave, and how many enter.
fn wanted(cut: Cut) -> [u32; 2] {
    match cut {
        Cut::Outside { out } => [out, 0],
        Cut::Exchange { count } => [count, count],
        other => unimplemented!("{other:?} while training"),
    }
}
