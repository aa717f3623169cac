//! What the decisions of a replay cost, counted as training counts, and what the record lacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_data::rows::{CensoredRow, CostRow, EpochRow, FreezeRow, GradientRow, MaskRow};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::layers::Layers;
use super::members::Count;
use super::norms::{Norms, count_censored};
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
                    norms.entry(row.epoch).or_default().add(&row);
                }
            });
            unread.for_each(|capability, rows| unreadable.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                masks.through(epoch).for_each(|row| layers.mask(row.layer, i64::from(row.diff)));
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
                            let rows = layers.costs(epoch, &nonzero, count.active);
                            costs_out
                                .activate()
                                .session(windows.capability(1))
                                .give_iterator(rows.into_iter());
                            let frozen = layers.frozen();
                            let row =
                                count_censored(epoch, count.unscored, &norms.lacking(frozen.len()), frozen);
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
