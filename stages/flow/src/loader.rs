//! The loader: the active set, dealt into batches and shards.

use spfde_data::SieveRow;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Concat, InputCapability};

use crate::{ActiveRow, Fault, Flow, Kept, Observe, Output, Run, Stash, Tick, tree};

/// A sample of a batch, and its weight in the loss.
pub type Drawn = (u32, f32);

/// This worker's part of one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// For each shard this worker owns, in order: its samples and their weights in the loss.
    pub shards: Vec<Vec<Drawn>>,
    /// Samples of the whole batch.
    pub samples: usize,
    /// Steps of the epoch in which samples train.
    pub steps: u32,
    /// Steps that follow them, in which the samples outside the active set are only observed.
    pub observed_steps: u32,
    /// Samples of the epoch.
    pub active: u32,
}

impl Batch {
    /// Whether the samples of the batch at step `step` train; otherwise they are only observed.
    pub fn trains(&self, step: u32) -> bool {
        step < self.steps
    }

    /// Whether step `step` is the last of its epoch.
    pub fn is_last(&self, step: u32) -> bool {
        step + 1 == self.steps + self.observed_steps
    }
}

/// The part of `total` items that falls to share `index` of `shares`, such as the samples of a batch to a
/// shard: sizes differ by at most one.
pub fn share(total: usize, index: usize, shares: usize) -> std::ops::Range<usize> {
    total * index / shares..total * (index + 1) / shares
}

/// How many samples each batch of an epoch has that trains `active` of them.
pub fn batches(active: u32, batch_size: usize) -> Vec<u32> {
    let steps = (active as usize).div_ceil(batch_size);
    (0..steps).map(|step| share(active as usize, step, steps).len() as u32).collect()
}

/// Deals the active set, which the deltas of `active` describe, into the batches of every epoch.
///
/// Replicated: each worker holds the active set, draws the same order keyed by `(seed, epoch)` and keeps its
/// shards' part, so only deltas travel. The epoch's n samples are dealt into ⌈n / batch size⌉ batches, each
/// batch into shards; sizes differ by at most one. If everything is observed ([`Observe::Full`]), the samples
/// outside follow, dealt into batches like an epoch of their own, with step numbers that go on. The loader
/// goes on to a step when no delta or stop can arrive for it any more, which keeps it at most two steps ahead
/// of training. It ends the run by falling silent: after the last epoch, or at the tick of a stop.
///
/// # Panics
/// While running, if the sieve leaves no sample active, or one leaves that is not active or enters twice.
pub fn load<'s>(run: &Run<'s>, active: Flow<'s, SieveRow>) -> Flow<'s, Batch> {
    let settings = std::sync::Arc::clone(run.settings());
    let owned = tree::owned(settings.shards, run.worker(), run.workers());
    let timings = run.timings().clone();
    let mut builder = OperatorBuilder::new("Load".to_owned(), run.scope());
    // The inputs reach the output only through what the loader holds itself.
    let mut active = builder.new_input_connection(active.broadcast(), Pipeline, []);
    let mut halts = builder.new_input_connection(run.halts(), Pipeline, []);
    let ends = run.storage_faults().concat(run.endings());
    let mut storage = builder.new_input_connection(ends, Pipeline, []);
    let (mut batches_out, batches) = Output::connected(&mut builder, []);
    let (mut kept_out, kept) = Output::connected(&mut builder, []);
    let (start, due) = (run.start(), run.keeper().due());
    let (worker, workers) = (run.worker(), run.workers());
    let mut weights: Vec<Option<f32>> = vec![None; settings.data.train.len()];
    for ActiveRow { sample, weight, .. } in run.resumed().map(|snapshot| snapshot.rows()).unwrap_or_default()
    {
        weights[sample as usize] = Some(weight);
    }
    builder.build(move |mut capabilities| {
        capabilities.iter_mut().for_each(|capability| capability.downgrade(&start));
        let mut held = Some(capabilities);
        let mut deltas = Stash::<SieveRow>::default();
        let mut halted: Option<Tick> = None;
        let (mut order, mut outside): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        move |frontiers| {
            active.for_each(|capability, rows| deltas.add(&capability, rows));
            let mut stop = |capability: InputCapability<Tick>, _: &mut Vec<Fault>| {
                halted = halted.into_iter().chain(capability.least().copied()).min();
            };
            halts.for_each(&mut stop);
            storage.for_each(&mut stop);
            while let Some(capabilities) = &mut held {
                let now = *capabilities[0].time();
                if frontiers.iter().any(|frontier| frontier.less_equal(&now)) {
                    break;
                }
                if now.epoch == settings.epochs || halted.is_some_and(|tick| tick <= now) {
                    held = None;
                    break;
                }
                timings.measure("load", || {
                    if now.step == 0 {
                        while let Some((_, mut rows)) = deltas.next(|tick| *tick <= now) {
                            rows.sort_by_key(|row| row.diff);
                            rows.iter().for_each(|row| apply(&mut weights[row.sample as usize], row));
                        }
                        let (active, others): (Vec<u32>, Vec<u32>) =
                            (0..weights.len() as u32).partition(|sample| weights[*sample as usize].is_some());
                        let ordered = |samples| {
                            settings.data.ordered(settings.order, settings.seed, now.epoch, samples)
                        };
                        order = ordered(active);
                        if settings.observe == Observe::Full {
                            outside = ordered(others);
                        }
                        let epoch = now.epoch + 1;
                        assert!(!order.is_empty(), "the sieve leaves no sample active in epoch {epoch}");
                    }
                    let steps = order.len().div_ceil(settings.batch_size);
                    let observed_steps = outside.len().div_ceil(settings.batch_size);
                    let samples = match (now.step as usize).checked_sub(steps) {
                        None => &order[share(order.len(), now.step as usize, steps)],
                        Some(step) => &outside[share(outside.len(), step, observed_steps)],
                    };
                    let shard = |shard: usize| {
                        let samples = &samples[share(samples.len(), shard, settings.shards)];
                        samples.iter().map(|id| (*id, weights[*id as usize].unwrap_or(1.0))).collect()
                    };
                    let batch = Batch {
                        shards: owned.clone().map(shard).collect(),
                        samples: samples.len(),
                        steps: steps as u32,
                        observed_steps: observed_steps as u32,
                        active: order.len() as u32,
                    };
                    let last = batch.is_last(now.step);
                    batches_out.send(capabilities, [batch]);
                    let next =
                        if last { Tick::new(now.epoch + 1, 0) } else { Tick::new(now.epoch, now.step + 1) };
                    if last && due.at(now.epoch + 1) {
                        let mine = (worker..weights.len()).step_by(workers);
                        let row = |sample: usize| {
                            let (epoch, sample, weight) = (now.epoch + 1, sample as u32, weights[sample]?);
                            Some(ActiveRow { epoch, sample, weight })
                        };
                        capabilities[1].downgrade(&Tick::close_of(now.epoch));
                        kept_out.send(capabilities, [Kept::rows(mine.filter_map(row))]);
                    }
                    capabilities.iter_mut().for_each(|capability| capability.downgrade(&next));
                });
            }
        }
    });
    run.keeper().keep(kept);
    batches
}

/// Applies a delta of the active set to the weight of its sample, which is `None` outside. A departure comes
/// before an entry.
///
/// # Panics
/// If a sample leaves that is not there, or enters twice: then a stage upstream is wrong.
pub(crate) fn apply(weight: &mut Option<f32>, row: &SieveRow) {
    let sample = row.sample;
    if row.diff > 0 {
        assert_eq!(weight.replace(row.weight), None, "sample {sample} enters the active set once");
    } else {
        assert_eq!(weight.take(), Some(row.weight), "sample {sample} leaves the active set as it entered");
    }
}
