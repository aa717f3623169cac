//! What the members of a grid over a run freeze, and what their decisions cost.

use std::sync::Arc;

use spfde_data::rows::{FreezeRow, GradientRow, LayerRow, MaskRow, SimilarityRow};
use spfde_data::table::Row;
use spfde_policy::{FreezePolicy, FreezeState};
use timely::dataflow::StreamVec;

use crate::account::{Layers, Norms};
use crate::fault::Fault;
use crate::freeze::{Seen, from_start, layers, needs_unfrozen};
use crate::recorded::{Limits, Pace, recorded};
use crate::settings::Settings;
use crate::sieve::MemberRow;
use crate::tick::Tick;

use super::run::{MemberCosts, RunMembers};
use super::{AHEAD, Failure, FreezeDecisionRow, Grid, written};

/// What a freeze policy has made of the layers, and whose it is.
struct Judge {
    settings: Arc<Settings>,
    state: Box<dyn FreezeState>,
    layers: Layers,
    /// What freezes at the start of the epoch that comes.
    pending: Vec<FreezeRow>,
    /// Its members.
    members: Vec<usize>,
}

/// This worker's share of the freezings, in turn.
fn judges(run: &RunMembers, worker: usize, workers: usize) -> Vec<Judge> {
    let judge = |number: usize| {
        let freezing = &run.freezings[number];
        let (settings, plan) = (Arc::clone(&freezing.settings), &freezing.settings.plan);
        Judge {
            state: settings.policies.freeze.start(plan),
            layers: Layers::new(plan, freezing.densities),
            pending: from_start(plan),
            members: (0..run.members.len()).filter(|at| run.members[*at].freezing == number).collect(),
            settings,
        }
    };
    (worker..run.freezings.len()).step_by(workers).map(judge).collect()
}

/// What an epoch of the record has, as every worker gathers it.
struct Epoch {
    number: u32,
    norms: Norms,
    /// What all workers say of each sieve, added up.
    sieves: Vec<MemberRow>,
    /// Which layers were frozen when it was recorded.
    frozen: Vec<bool>,
}

/// Shows the recorded norms to the freeze policies, and counts what every member costs, from its own active
/// set (`rows` of its sieve) and its own frozen layers. A freezing is one worker's; what it needs to know
/// goes to all of them.
///
/// Every member in every epoch, on the worker that judges it; and a stream that says nothing: its frontier
/// tells what is judged.
pub(super) fn costs<'s>(
    pace: &Pace<'s>,
    grid: &Arc<Grid>,
    run: &RunMembers,
    rows: StreamVec<'s, Tick, MemberRow>,
) -> (StreamVec<'s, Tick, MemberCosts>, StreamVec<'s, Tick, Fault>) {
    fn read<'s, R: Row>(pace: &Pace<'s>, run: &RunMembers) -> StreamVec<'s, Tick, R> {
        recorded(pace, AHEAD, &run.recording, Some(Limits::of(&run.freezings[0].settings.plan))).0
    }
    let (worker, grid) = (pace.ground.scope.index(), Arc::clone(grid));
    let mut judges = judges(run, worker, pace.ground.scope.peers());
    let mut window = pace.ground.window("Costs");
    let gradients = window.broadcast(read::<GradientRow>(pace, run));
    let masks = window.broadcast(read::<MaskRow>(pace, run));
    let freezes = window.broadcast(read::<FreezeRow>(pace, run));
    let any = |asks: fn(&dyn FreezePolicy) -> bool| {
        run.freezings.iter().any(|freezing| asks(&*freezing.settings.policies.freeze))
    };
    let ends = any(needs_unfrozen).then(|| window.broadcast(read::<LayerRow>(pace, run)));
    let similarity = any(|policy| policy.reads_similarity());
    let similarity = similarity.then(|| window.broadcast(read::<SimilarityRow>(pace, run)));
    let rows = window.broadcast(rows);
    let (mut costs_out, costs) = window.output();
    let (_, done) = window.output();
    let mut frozen = vec![false; run.freezings[0].settings.plan.architecture.layers.len()];
    window.build(move |close| {
        let epoch = close.epoch;
        freezes.through(epoch).iter().for_each(|row| frozen[usize::from(row.layer)] = row.diff > 0);
        let ends = ends.as_ref().map_or_else(Vec::new, |ends| ends.through(epoch));
        let similar = similarity.as_ref().map_or_else(Vec::new, |rows| rows.through(epoch));
        let seen = Seen::of(gradients.through(epoch), ends, similar);
        let masks = masks.through(epoch);
        let mut sieves = vec![MemberRow::default(); grid.sieves.len()];
        rows.through(epoch).iter().for_each(|row| sieves[row.member as usize].add(row));
        let norms = Norms::of(seen.gradients(), seen.layers());
        let now = Epoch { number: epoch, norms, sieves, frozen: frozen.clone() };
        let mut decided: Vec<FreezeDecisionRow> = judges.iter().flat_map(Judge::decisions).collect();
        decided.sort_by_key(Row::order);
        written::write(&grid, (epoch, worker), decided.into_iter());
        for judge in &mut judges {
            match judge.costs(&grid, &now, &masks) {
                Ok(costs) => costs_out.give(close, costs),
                Err(reason) => grid.fail(Failure::Whole(reason)),
            }
            judge.decide(epoch + 1, &seen);
        }
    });
    (costs, done)
}

impl Judge {
    /// What was decided for the epoch that comes, of each member.
    fn decisions(&self) -> impl Iterator<Item = FreezeDecisionRow> {
        let of = |member: usize| {
            self.pending.iter().cloned().map(move |FreezeRow { epoch, layer, diff, reason, .. }| {
                FreezeDecisionRow { epoch, member: member as u32, layer, diff, reason }
            })
        };
        self.members.iter().flat_map(move |member| of(*member))
    }

    /// What was decided for an epoch takes effect, and what it costs each member.
    fn costs(&mut self, grid: &Grid, now: &Epoch, masks: &[MaskRow]) -> Result<Vec<MemberCosts>, String> {
        std::mem::take(&mut self.pending).iter().for_each(|row| self.layers.freeze(row));
        masks.iter().for_each(|row| self.layers.mask(row.layer, i64::from(row.diff)));
        let account = self.layers.account(now.number)?;
        let frozen = self.layers.frozen().iter().zip(&now.frozen);
        let layers_as_recorded = frozen.filter(|(own, recorded)| own == recorded).count() as u16;
        let run = grid.run.as_ref().expect("there is a run");
        let needs_unfrozen = needs_unfrozen(&*self.settings.policies.freeze);
        let member = |number: &usize| {
            let member = &run.members[*number];
            let MemberRow { active, entered, left, unscored, as_recorded, .. } = now.sieves[member.sieve];
            MemberCosts {
                member: *number as u32,
                epoch: account.epoch(&member.settings, active),
                censored: account.censored(unscored, &now.norms, needs_unfrozen),
                entered,
                left,
                samples_as_recorded: as_recorded,
                layers_as_recorded,
            }
        };
        Ok(self.members.iter().map(member).collect())
    }

    /// Decides what freezes from `epoch` on, of which nothing is known yet, by what the epoch before has.
    fn decide(&mut self, epoch: u32, seen: &Seen) {
        if epoch < self.settings.epochs {
            seen.show(&mut *self.state);
            self.pending = layers(&self.settings.plan, epoch, self.state.decide(epoch));
        }
    }
}
