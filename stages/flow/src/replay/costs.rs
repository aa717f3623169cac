//! What the decisions of a replay cost, counted as training counts, and what the record lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spfde_data::rows::{CensoredRow, CostRow, EpochRow, FreezeRow, GradientRow, MaskRow};
use spfde_data::segment::Densities;
use spfde_policy::Plan;
use spfde_policy::cost::count_layers;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::members::Count;
use crate::account::epoch_row;
use crate::fault::{Cause, Fault};
use crate::loops::Loops;
use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

/// What this stage sends on, all of it on worker 0.
pub(super) struct Costs<'s> {
    /// One row for every epoch that was read whole.
    pub(super) epochs: StreamVec<'s, Tick, EpochRow>,
    /// What each layer costs in it.
    pub(super) costs: StreamVec<'s, Tick, CostRow>,
    /// What the record lacks of it.
    pub(super) censored: StreamVec<'s, Tick, CensoredRow>,
}

/// Where the layers stand.
struct Layers {
    plan: Arc<Plan>,
    densities: Densities,
    /// The sum of the mask deltas of each layer that has any.
    masks: BTreeMap<usize, i64>,
    /// When each block froze.
    frozen_at: Vec<Option<u32>>,
    frozen: Vec<bool>,
}

impl Layers {
    fn new(plan: &Arc<Plan>, densities: Densities) -> Self {
        let architecture = &plan.architecture;
        Self {
            densities,
            masks: BTreeMap::new(),
            frozen_at: vec![None; architecture.blocks.len()],
            frozen: vec![false; architecture.layers.len()],
            plan: Arc::clone(plan),
        }
    }

    fn freeze(&mut self, row: &FreezeRow) {
        let layer = usize::from(row.layer);
        self.frozen[layer] = row.diff > 0;
        if let Some(at) = self.frozen_at.get_mut(self.plan.architecture.layers[layer].block) {
            *at = (row.diff > 0).then_some(row.epoch);
        }
    }

    /// How many blocks of the front are frozen.
    fn frozen_blocks(&self) -> usize {
        self.frozen_at.iter().take_while(|at| at.is_some()).count()
    }

    /// The existing weights of every layer in `epoch`, or why there is no such number.
    fn nonzero(&self, epoch: u32) -> Result<Vec<u32>, String> {
        if self.densities == Densities::Scheduled {
            return Ok(self.plan.nonzero_given(epoch, &self.frozen_at));
        }
        let layers = self.plan.architecture.layers.iter().enumerate();
        let nonzero = layers.map(|(index, layer)| match self.masks.get(&index) {
            None => Ok(layer.weights() as u32),
            Some(sum) => {
                u32::try_from(*sum).ok().filter(|sum| *sum as usize <= layer.weights()).ok_or_else(|| {
                    let weights = layer.weights();
                    format!("stream masks: the deltas of layer {index} add up to {sum} of {weights} weights")
                })
            }
        });
        nonzero.collect()
    }
}

/// The norms that the record has of one epoch.
#[derive(Default)]
struct Norms(BTreeSet<(u16, u32)>);

impl Norms {
    /// What is lacking, if the layers that are not `frozen` train.
    fn censored(&self, epoch: u32, samples: u32, frozen: &[bool]) -> CensoredRow {
        let steps: BTreeSet<u32> = self.0.iter().map(|(_, step)| *step).collect();
        let training = frozen.iter().enumerate().filter(|(_, frozen)| !**frozen);
        let lacking = training.map(|(layer, _)| {
            let layer = layer as u16;
            (steps.len() - self.0.range((layer, 0)..=(layer, u32::MAX)).count()) as u64
        });
        let lacking: Vec<u64> = lacking.filter(|norms| *norms > 0).collect();
        CensoredRow { epoch, samples, layers: lacking.len() as u16, norms: lacking.iter().sum() }
    }
}

/// Counts every epoch on worker 0, once all workers have counted their samples of it and all deltas that take effect in
/// it have come round the loops. An epoch that could not be read whole has no rows.
pub(super) fn costs<'s>(
    run: &Run<'s>,
    counts: StreamVec<'s, Tick, Count>,
    loops: &Loops<'s>,
    gradients: &StreamVec<'s, Tick, GradientRow>,
) -> Costs<'s> {
    let densities = run.recorded().expect("the run has a record").densities;
    let (worker, settings, horizon) = (run.worker(), Arc::clone(run.settings()), run.horizon());
    let mut builder = OperatorBuilder::new("Costs".to_owned(), run.scope());
    let mut counts = builder.new_input(counts, Exchange::new(|_: &Count| 0));
    let mut frozen = builder.new_input(loops.frozen.stream(), Exchange::new(|_: &FreezeRow| 0));
    let mut masked = builder.new_input(loops.masked.stream(), Exchange::new(|_: &MaskRow| 0));
    let mut gradients = builder.new_input(gradients.clone(), Exchange::new(|_: &GradientRow| 0));
    let mut unread = builder.new_input(run.storage_written(), Exchange::new(|_: &Fault| 0));
    let (epochs_out, epochs) = builder.new_output::<Vec<EpochRow>>();
    let (costs_out, costs) = builder.new_output::<Vec<CostRow>>();
    let (censored_out, censored) = builder.new_output::<Vec<CensoredRow>>();
    let (faults_out, faults) = builder.new_output::<Vec<Fault>>();
    let (mut epochs_out, mut costs_out) = (OutputBuilder::from(epochs_out), OutputBuilder::from(costs_out));
    let (mut censored_out, mut faults_out) =
        (OutputBuilder::from(censored_out), OutputBuilder::from(faults_out));
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut layers = Layers::new(&settings.plan, densities);
        let mut members = Stash::<Count>::new();
        let mut freezes = Stash::<FreezeRow>::new();
        let mut masks = Stash::<MaskRow>::new();
        let mut norms: BTreeMap<u32, Norms> = BTreeMap::new();
        let mut unreadable = Stash::<Fault>::new();
        let mut failed = false;
        move |frontiers| {
            counts.for_each(|capability, rows| members.add(&capability, rows));
            frozen.for_each(|capability, rows| freezes.add(&capability, rows));
            masked.for_each(|capability, rows| masks.add(&capability, rows));
            gradients.for_each(|_, rows| {
                for row in rows.drain(..) {
                    norms.entry(row.epoch).or_default().0.insert((row.layer, row.step));
                }
            });
            unread.for_each(|capability, rows| unreadable.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                masks.through(epoch).for_each(|row| {
                    *layers.masks.entry(usize::from(row.layer)).or_default() += i64::from(row.diff);
                });
                freezes.through(epoch).for_each(|row| layers.freeze(&row));
                let count = members.through(epoch).fold(Count::default(), |sum, count| Count {
                    active: sum.active + count.active,
                    unscored: sum.unscored + count.unscored,
                });
                let norms = norms.remove(&epoch).unwrap_or_default();
                failed |= unreadable.through(epoch).next().is_some();
                if worker == 0 && !failed {
                    let frozen_blocks = layers.frozen_blocks();
                    match layers.nonzero(epoch) {
                        Ok(nonzero) => {
                            let row = epoch_row(&settings, epoch, &nonzero, frozen_blocks, count.active);
                            epochs_out.activate().session(windows.capability(0)).give(row);
                            let rows = cost_rows(&layers, epoch, &nonzero, count.active);
                            costs_out
                                .activate()
                                .session(windows.capability(1))
                                .give_iterator(rows.into_iter());
                            let row = norms.censored(epoch, count.unscored, &layers.frozen);
                            censored_out.activate().session(windows.capability(2)).give(row);
                        }
                        Err(reason) => {
                            failed = true;
                            let (tick, stage) = (Tick::close_of(epoch), "costs".to_owned());
                            let fault = Fault { tick, worker: 0, stage, cause: Cause::Recording(reason) };
                            faults_out.activate().session(windows.capability(3)).give(fault);
                        }
                    }
                }
                windows.advance();
            }
        }
    });
    run.halt_on_storage(faults);
    Costs { epochs, costs, censored }
}

fn cost_rows(layers: &Layers, epoch: u32, nonzero: &[u32], active: u32) -> Vec<CostRow> {
    let costs = count_layers(&layers.plan.architecture, nonzero, layers.frozen_blocks(), active);
    let rows = costs.into_iter().zip(nonzero).zip(&layers.frozen).enumerate();
    let row = |(layer, ((cost, nonzero), frozen)): (usize, ((spfde_policy::Cost, &u32), &bool))| CostRow {
        epoch,
        layer: layer as u16,
        nonzero: *nonzero,
        frozen: *frozen,
        forward_flops: cost.forward,
        backward_flops: cost.backward,
    };
    rows.map(row).collect()
}
