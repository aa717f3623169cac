//! What the members of a grid over a run freeze, and what their decisions cost.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use spfde_data::rows::{FreezeRow, GradientRow, MaskRow};
use spfde_data::table::Row;
use spfde_policy::FreezeState;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::{Scope, StreamVec};

use crate::account::epoch_row;
use crate::freeze::{from_start, layers};
use crate::replay::{Layers, Norms, count_censored};
use crate::settings::Settings;
use crate::tick::Tick;
use crate::window::Stash;

use super::recorded::recorded;
use super::run::{MemberCosts, RunMembers};
use super::turns::Turns;
use super::watch::Watch;
use super::{Failure, Grid, MemberRow, written};

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

impl Judge {
    /// Decides what freezes from `epoch` on, of which nothing is known yet, by the norms of the epoch before.
    fn decide(&mut self, epoch: u32, norms: &[GradientRow]) {
        let plan = &self.settings.plan;
        if epoch < self.settings.epochs {
            norms.iter().for_each(|row| self.state.observe(row));
            self.pending = layers(plan, epoch, self.state.decide(epoch));
        }
    }
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
#[derive(Default)]
struct Epoch {
    /// Sums of the mask deltas by layer.
    masks: BTreeMap<u16, i64>,
    /// For each layer, the norms that it lacks.
    lacking: Vec<u64>,
    /// What all workers say of each sieve, added up.
    sieves: Vec<MemberRow>,
}

/// What costing says.
pub(super) struct Costed<'s> {
    /// Every member in every epoch, on the worker that judges it.
    pub(super) costs: StreamVec<'s, Tick, MemberCosts>,
    /// Says nothing: its frontier tells what is judged.
    pub(super) done: StreamVec<'s, Tick, ()>,
}

/// Shows the recorded norms to the freeze policies, and counts what every member costs, from its own active set (`rows` of
/// its sieve) and its own frozen layers. A freezing is one worker's; what it needs to know goes to all of them.
pub(super) fn costs<'s>(
    scope: Scope<'s, Tick>,
    watch: &Rc<Watch>,
    run: &RunMembers,
    rows: StreamVec<'s, Tick, MemberRow>,
    decided: StreamVec<'s, Tick, ()>,
) -> Costed<'s> {
    let index = scope.index() as u32;
    let gradients = recorded::<GradientRow>(scope, watch, run, decided.clone());
    let masks = recorded::<MaskRow>(scope, watch, run, decided.clone());
    let freezes = recorded::<FreezeRow>(scope, watch, run, decided);
    let mut judges = judges(run, scope.index(), scope.peers());
    let count = run.freezings[0].settings.plan.architecture.layers.len();
    let (watch, grid) = (Rc::clone(watch), Arc::clone(&watch.grid));
    let sieves = grid.sieves.len();
    let mut builder = OperatorBuilder::new("Costs".to_owned(), scope);
    let mut gradients = builder.new_input(gradients.broadcast(), Pipeline);
    let mut masks = builder.new_input(masks.broadcast(), Pipeline);
    let mut freezes = builder.new_input(freezes.broadcast(), Pipeline);
    let mut rows = builder.new_input(rows.broadcast(), Pipeline);
    let (output, costs) = builder.new_output::<Vec<MemberCosts>>();
    let (_, done) = builder.new_output::<Vec<()>>();
    let mut output = OutputBuilder::from(output);
    let address = builder.operator_info().address;
    builder.build(move |capabilities| {
        let mut turns = Turns::new(scope, address, capabilities, &watch);
        let (mut norms, mut deltas) = (Stash::<GradientRow>::new(), Stash::<MaskRow>::new());
        let (mut recorded, mut counted) = (Stash::<FreezeRow>::new(), Stash::<MemberRow>::new());
        // Which layers were frozen when it was recorded.
        let mut frozen = vec![false; count];
        move |frontiers| {
            gradients.for_each(|capability, rows| norms.add(&capability, rows));
            masks.for_each(|capability, rows| deltas.add(&capability, rows));
            freezes.for_each(|capability, rows| recorded.add(&capability, rows));
            rows.for_each(|capability, rows| counted.add(&capability, rows));
            while let Some(epoch) = turns.complete(frontiers) {
                recorded.through(epoch).for_each(|row| frozen[usize::from(row.layer)] = row.diff > 0);
                let mut norms: Vec<GradientRow> = norms.through(epoch).collect();
                norms.sort_by_key(Row::order);
                let mut deltas: Vec<MaskRow> = deltas.through(epoch).collect();
                deltas.sort_by_key(Row::order);
                let mut seen = Norms::default();
                norms.iter().for_each(|row| seen.add(row));
                let mut now = Epoch { lacking: seen.lacking(count), ..Epoch::default() };
                for row in &deltas {
                    *now.masks.entry(row.layer).or_default() += i64::from(row.diff);
                }
                now.sieves = vec![MemberRow::default(); sieves];
                counted.through(epoch).for_each(|row| now.sieves[row.member as usize].add(&row));
                freeze(&grid, &mut judges, (epoch, index));
                for judge in &mut judges {
                    match judge.costs(&grid, epoch, &now, &frozen) {
                        Ok(costs) => {
                            let mut output = output.activate();
                            output.session(turns.capability(0)).give_iterator(costs.into_iter());
                        }
                        Err(reason) => grid.fail(Failure::Whole(reason)),
                    }
                    judge.decide(epoch + 1, &norms);
                }
                turns.advance();
            }
        }
    });
    Costed { costs, done }
}

/// Freezes what was decided for `epoch`, and writes it down.
fn freeze(grid: &Grid, judges: &mut [Judge], (epoch, worker): (u32, u32)) {
    if let Some(store) = grid.store.as_ref().filter(|_| !grid.failed()) {
        let pending: BTreeMap<usize, &[FreezeRow]> = judges
            .iter()
            .flat_map(|judge| judge.members.iter().map(|member| (*member, judge.pending.as_slice())))
            .collect();
        match written::freezes(&**store, (epoch, worker), pending) {
            Ok(segment) => grid.found(|found| found.segments.extend(segment)),
            Err(error) => grid.fail(Failure::Whole(error.to_string())),
        }
    }
    for judge in judges {
        std::mem::take(&mut judge.pending).iter().for_each(|row| judge.layers.freeze(row));
    }
}

impl Judge {
    /// What `epoch` costs each member.
    fn costs(
        &mut self,
        grid: &Grid,
        epoch: u32,
        now: &Epoch,
        recorded: &[bool],
    ) -> Result<Vec<MemberCosts>, String> {
        now.masks.iter().for_each(|(layer, sum)| self.layers.mask(*layer, *sum));
        let nonzero = self.layers.nonzero(epoch)?;
        let (blocks, frozen) = (self.layers.frozen_blocks(), self.layers.frozen());
        let as_recorded = frozen.iter().zip(recorded).filter(|(own, recorded)| own == recorded).count();
        let run = grid.run.as_ref().expect("there is a run");
        let member = |number: &usize| {
            let member = &run.members[*number];
            let MemberRow { active, entered, left, unscored, as_recorded: samples, .. } =
                now.sieves[member.sieve];
            MemberCosts {
                member: *number as u32,
                epoch: epoch_row(&member.settings, epoch, &nonzero, blocks, active),
                censored: count_censored(epoch, unscored, &now.lacking, frozen),
                entered,
                left,
                samples_as_recorded: samples,
                layers_as_recorded: as_recorded as u16,
            }
        };
        Ok(self.members.iter().map(member).collect())
    }
}
