//! The second half of a step: the reduce, the test, the update, and the reports.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use spfde_data::{EpochRow, GradientRow};
use spfde_policy::{Pace, Spans};
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, Concat, InputCapability};

use crate::account::epoch_row;
use crate::part::{Header, Part, ToAll};
use crate::{Cause, Fault, Kept, Output, Run, StepReport, Tick, Trained, tree};

use super::evaluate::{epochs, evaluate};
use super::gradients::Gradients;
use super::replica::{self, Contribution, Replica};
use super::weights::snapshots;

/// The parts of a step as they arrive, and a capability for each output.
struct Gathered {
    capabilities: Vec<Capability<Tick>>,
    parts: Vec<Part>,
}

/// Adds the parts of each step in the fixed order, tests the sum, updates the replica and reports.
pub(super) fn apply<'s>(run: &Run<'s>, replica: Rc<RefCell<Replica>>, from: Gradients<'s>) -> Trained<'s> {
    let Gradients { parts, scores, predictions: of_batches, activator: next } = from;
    let (worker, workers, timings) = (run.worker(), run.workers(), run.timings().clone());
    let stop = run.services().stop.clone();
    let mut builder = OperatorBuilder::new("Apply".to_owned(), run.scope());
    replica.borrow_mut().apply = Some(run.scope().activator_for(builder.operator_info().address));
    let mut parts = builder.new_input(parts, DistributorPact(|_| ToAll));
    let (mut gradients_out, gradients) = Output::new(&mut builder);
    let (mut layers_out, layers) = Output::new(&mut builder);
    let (mut similarity_out, similarity) = Output::new(&mut builder);
    let (mut weights_out, weights) = Output::new(&mut builder);
    let (mut epochs_out, epochs) = Output::new(&mut builder);
    let (mut evaluations_out, evaluations) = Output::new(&mut builder);
    let (mut predictions_out, predictions) = Output::new(&mut builder);
    let (mut timings_out, times) = Output::new(&mut builder);
    let (mut steps_out, steps) = Output::new(&mut builder);
    let (mut faults_out, faults) = Output::new(&mut builder);
    let (mut kept_out, kept) = Output::new(&mut builder);
    let outputs = builder.shape().outputs();
    let due = run.keeper().due();
    builder.build(move |_| {
        let mut gathered: BTreeMap<Tick, Gathered> = BTreeMap::new();
        let mut running = Header::default();
        // The gradient of the last step that trained, for policies that look at it when the epoch is over.
        let mut last_gradient: Vec<f32> = Vec::new();
        move |_| {
            parts.for_each(|by, part| gather(&mut gathered, outputs, &by, std::mem::take(part)));
            while let Some(first) = gathered.first_entry() {
                let replica = &mut *replica.borrow_mut();
                if replica.refused {
                    first.remove();
                    continue;
                }
                // A worker without shards can have all workers' parts before it has begun the step itself.
                if replica.batch.as_ref().is_none_or(|(tick, _)| tick != first.key()) {
                    break;
                }
                let reduced = timings.measure("reduce", || reduce(replica, &first.get().parts));
                let Some((header, values)) = reduced else { break };
                let (tick, Gathered { capabilities, .. }) = first.remove_entry();
                if let Some(fault) = refusal(replica, tick, worker, &header, &values) {
                    replica.refused = true;
                    // All workers refuse; worker 0 says so.
                    if worker == 0 {
                        faults_out.send(&capabilities, [fault]);
                    }
                    next.activate();
                    continue;
                }
                let (_, batch) = replica.batch.take().expect("a step is under way");
                let trained = batch.trains(tick.step);
                if trained {
                    let rows = timings.measure("update", || update(replica, tick, batch.steps, &values));
                    gradients_out.send(&capabilities, rows);
                    if tick.step == 0 {
                        running = Header::default();
                    }
                    running.add(&header);
                    replica.gather(&values);
                    if replica.updates_after(tick.step, batch.steps) {
                        weights_out.send(&capabilities, snapshots(replica, tick, false, &values));
                        replica.seen(tick, false);
                    }
                    if tick.step + 1 == batch.steps {
                        last_gradient = values;
                    }
                }
                let (loss, accuracy) = running.means();
                if worker == 0 && trained {
                    let frozen_blocks = replica.network.frozen_blocks().count();
                    let (steps, active, dense_gradients) =
                        (batch.steps, batch.active, header.dense_gradients);
                    let report =
                        StepReport { tick, steps, loss, accuracy, active, frozen_blocks, dense_gradients };
                    steps_out.send(&capabilities, [report]);
                }
                if batch.is_last(tick.step) {
                    let evaluated = || {
                        let looked = replica.look(tick.epoch).map_err(|error| Cause::Data(error.to_string()));
                        Ok((looked?, evaluate(replica, tick.epoch, worker, workers, &stop)?))
                    };
                    match timings.measure("evaluate", evaluated) {
                        Ok((similar, (chunks, predictions))) => {
                            similarity_out.send(&capabilities, similar);
                            evaluations_out.send(&capabilities, chunks);
                            predictions_out.send(&capabilities, predictions);
                        }
                        // After the last epoch no step is left that would say so.
                        Err(cause) => {
                            let stage = "evaluate".to_owned();
                            let fault = Fault { tick, worker: worker as u32, stage, cause };
                            faults_out.send(&capabilities, [fault]);
                        }
                    }
                    layers_out.send(&capabilities, replica.ledger.close(tick.epoch, &replica.network));
                    let gradient = std::mem::take(&mut last_gradient);
                    weights_out.send(&capabilities, snapshots(replica, tick, true, &gradient));
                    replica.seen(tick, true);
                    if let Some(probe) = replica.probe.as_ref().filter(|_| due.at(tick.epoch + 1)) {
                        kept_out.send(&capabilities, [Kept::rows(probe.save(tick.epoch + 1))]);
                    }
                    if worker == 0 {
                        let row = summary(replica, tick.epoch, batch.active, &running);
                        epochs_out.send(&capabilities, [row]);
                        if due.weights_may_be_at(tick.epoch + 1) {
                            let network = &replica.network;
                            let tensors = [
                                network.tensors(),
                                replica.extra.tensors(network),
                                replica.explored.tensors(network),
                                replica.rewind.tensors(network),
                            ];
                            let tensors = tensors.concat();
                            let frozen = network.frozen_blocks().clone();
                            kept_out.send(&capabilities, [Kept::Weights { tensors, frozen }]);
                        }
                    }
                    timings_out.send(&capabilities, timings.take(tick.epoch, worker));
                }
                replica.busy = false;
                next.activate();
            }
        }
    });
    run.halt_on(faults);
    run.keeper().keep(kept);
    let (epochs, predictions) = (self::epochs(run, epochs, evaluations), predictions.concat(of_batches));
    Trained { scores, predictions, gradients, layers, similarity, weights, epochs, timings: times, steps }
}

impl Header {
    /// Adds what another step says of its samples.
    fn add(&mut self, header: &Header) {
        self.loss += header.loss;
        self.correct += header.correct;
        self.samples += header.samples;
        self.cached_flops += header.cached_flops;
    }

    /// The mean loss and the accuracy over the samples so far.
    fn means(&self) -> (f64, f64) {
        let samples = f64::from(self.samples.max(1));
        (self.loss / samples, f64::from(self.correct) / samples)
    }
}

fn gather(all: &mut BTreeMap<Tick, Gathered>, outputs: usize, by: &InputCapability<Tick>, part: Part) {
    let tick = *by.least().expect("a part has a tick");
    let capabilities = || (0..outputs).map(|output| by.delayed(&tick, output)).collect();
    let new = || Gathered { capabilities: capabilities(), parts: Vec::new() };
    all.entry(tick).or_insert_with(new).parts.push(part);
}

/// The sum of all shards, or `None` while parts are missing.
fn reduce(replica: &Replica, parts: &[Part]) -> Option<Contribution> {
    let shards = replica.settings.shards;
    if parts.iter().map(|part| part.node().len()).sum::<usize>() < shards {
        return None;
    }
    let mut known = |node: &tree::Node| {
        let part = parts.iter().find(|part| part.node() == *node)?;
        Some((part.header.clone(), part.values().to_vec()))
    };
    tree::total(0..shards, &mut known, &replica::add)
}

/// Why all workers refuse this step, if they do. The sum is the same on every worker, and so is the answer.
fn refusal(replica: &Replica, tick: Tick, worker: usize, header: &Header, values: &[f32]) -> Option<Fault> {
    if header.fault.is_some() {
        return header.fault.clone();
    }
    // Samples that are only observed bring no numbers; observed gradients update nothing.
    let part = values.get(..replica.network.part_len())?;
    let error = replica.network.check(part).err()?;
    let cause = Cause::NotFinite(format!("every shard's share is finite, their sum is not: {error}"));
    Some(Fault { tick, worker: worker as u32, stage: "apply".to_owned(), cause })
}

/// Updates the replica with the reduced gradient; the norms of the layers this worker owns.
fn update(replica: &mut Replica, tick: Tick, steps: u32, values: &[f32]) -> Vec<GradientRow> {
    let (part, rest) = values.split_at(replica.network.part_len());
    let (observed, extra) = rest.split_at(replica.observed_len());
    let rows = replica.ledger.add(tick, &replica.network, part, observed);
    let settings = &replica.settings;
    let rate = |spans: &Spans| {
        let Pace { ends_at, factor } = settings.policies.freeze.pace(spans, tick.epoch);
        let (rule, end) = (&settings.seams.learning_rate, ends_at.unwrap_or(settings.epochs));
        // Frozen from the start: its training has no beginning.
        if end == 0 {
            return 0.0;
        }
        let (epoch, end) = settings.policies.mask.phase(tick.epoch, end);
        (factor * rule.rate(settings.learning_rate, epoch, tick.step, steps, end)) as f32
    };
    // The classifier, last, never freezes.
    let rates: Vec<f32> = settings.plan.frozen.iter().chain([&Spans::never()]).map(rate).collect();
    let seams = &settings.seams;
    replica.explored.step(&replica.network, settings, &replica.extra.asked, extra, &rates);
    match &seams.gradient {
        None => replica.network.update(part, &rates, &*seams.optimiser),
        Some(transform) => {
            let mut part = part.to_vec();
            transform.reduced(tick, &replica.network, &mut part);
            replica.network.update(&part, &rates, &*seams.optimiser);
        }
    }
    rows
}

/// The epoch's row, but for the test set.
fn summary(replica: &Replica, epoch: u32, active: u32, running: &Header) -> EpochRow {
    let (loss, accuracy) = running.means();
    let network = &replica.network;
    let layers = 0..network.architecture().layers.len();
    let nonzero: Vec<u32> = layers.map(|layer| network.nonzero(layer) as u32).collect();
    let row = epoch_row(&replica.settings, epoch, &nonzero, network.frozen_blocks(), active);
    let cached_flops = Some(running.cached_flops);
    EpochRow { train_loss: Some(loss), train_accuracy: Some(accuracy), cached_flops, ..row }
}
