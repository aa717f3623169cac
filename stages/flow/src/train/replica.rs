//! One worker's replica of the network, and its work on the worker's shards.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use spfde_data::{FreezeRow, Images, Placement, PredictionRow, ScoreRow, SimilarityRow};
use spfde_model::{Evaluation, Network, Score, Shard, input};
use spfde_policy::Needs;
use spfde_policy::cost::frozen_blocks_after;
use timely::scheduling::Activator;

use crate::fault::panic_message;
use crate::part::Header;
use crate::tree::Node;
use crate::{Batch, Cause, Fault, Observe, Run, Settings, Tick, tree};

use super::diagnose;
use super::evaluate;
use super::explored::Explored;
use super::extra::ExtraGradients;
use super::ledger::Ledger;
use super::presented::{Presented, Read};
use super::probe::Probe;
use super::rewind::Rewind;

/// A replica: the network and the buffers to work on it.
pub(super) struct Replica {
    pub(super) network: Network,
    pub(super) settings: Arc<Settings>,
    pub(super) ledger: Ledger,
    /// A step is under way: its parts have been sent and the sum has not come back.
    pub(super) busy: bool,
    /// A step was refused: no later one is begun.
    pub(super) refused: bool,
    /// The step under way and its batch.
    pub(super) batch: Option<(Tick, Batch)>,
    /// Wakes the second half of a step. A worker without shards sends no part that would.
    pub(super) apply: Option<Activator>,
    worker: u32,
    nodes: Vec<Node>,
    first_shard: usize,
    /// What mask updates look at beyond the gradients of existing weights.
    pub(super) extra: ExtraGradients,
    /// What trains although it does not exist.
    pub(super) explored: Explored,
    /// What the network goes back to.
    pub(super) rewind: Rewind,
    pub(super) presented: Presented,
    /// Sees how much this worker's layers still change.
    pub(super) probe: Option<Probe>,
}

/// The contribution of a run of shards: what it covers and sums, and its numbers.
pub(super) type Contribution = (Header, Vec<f32>);

/// What is recorded of samples: their scores, and their predicted classes if a run asks for them.
pub(super) type Scored = (Vec<ScoreRow>, Vec<PredictionRow>);

impl Replica {
    pub(super) fn new(run: &Run<'_>) -> Self {
        let settings = Arc::clone(run.settings());
        let mut network = match run.resumed() {
            Some(_) => settings.masked_network(),
            None => settings.empty_network(),
        };
        let (mut extra, mut explored) = (ExtraGradients::default(), Explored::new(&settings));
        let mut rewind = Rewind::default();
        if let Some(snapshot) = run.resumed() {
            network.restore(snapshot.tensors()).expect("a snapshot was checked");
            extra.restore(&network, snapshot.tensors());
            explored.restore(&network, snapshot.tensors());
            rewind.restore(&network, snapshot.tensors());
            network.freeze(snapshot.frozen_blocks());
        }
        // What is perturbed is another image in every step.
        let mut presented = Presented::new(&network);
        let cache = run.services().prefix_cache.clone();
        presented.cache = cache.filter(|_| settings.seams.perturbation.is_none());
        let owned = tree::owned(settings.shards, run.worker(), run.workers());
        let layers = network.architecture().layers.len();
        let ledger = Ledger::new((0..layers).filter(|layer| run.owner(*layer) == run.worker()).collect());
        let probe = Probe::new(&settings, ledger.layers(), run.resumed());
        Self {
            extra,
            explored,
            rewind,
            presented,
            probe,
            network,
            ledger,
            busy: false,
            refused: false,
            batch: None,
            apply: None,
            worker: run.worker() as u32,
            first_shard: owned.start,
            nodes: tree::cover(settings.shards, owned),
            settings,
        }
    }

    /// Whether this worker owns any shard.
    pub(super) fn works(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// The parts this worker owes to a step that it does not compute, each with the reason.
    pub(super) fn decline(&self, tick: Tick, cause: Cause) -> Vec<Contribution> {
        let fault = Fault { tick, worker: self.worker, stage: "gradients".to_owned(), cause };
        let refuse = |node: &Node| {
            let header =
                Header { start: node.start, end: node.end, fault: Some(fault.clone()), ..Header::default() };
            (header, Vec::new())
        };
        self.nodes.iter().map(refuse).collect()
    }

    /// Brings the frozen blocks up to date.
    pub(super) fn freeze(&mut self, rows: &[FreezeRow]) {
        let frozen = frozen_blocks_after(self.network.architecture(), self.network.frozen_blocks(), rows);
        let before = self.network.front();
        self.network.freeze(frozen.unwrap_or_else(|misfit| panic!("{misfit}")));
        if let Some(cache) = self.presented.cache.as_ref().filter(|_| self.network.front() < before) {
            cache.thaw(self.network.front());
        }
    }

    /// A step begins, its deltas applied.
    pub(super) fn open(&mut self, tick: Tick) {
        if tick.step == 0 {
            self.rewind.begin(&mut self.network, &self.settings, tick.epoch);
            self.ledger.open(&self.network);
        }
        self.explored.choose(&self.network, &self.settings, tick);
    }

    /// Computes this worker's shards: their parts, added up as far as the tree allows, and what is recorded
    /// of their samples.
    pub(super) fn contribute(&mut self, tick: Tick, batch: &Batch) -> (Vec<Contribution>, Scored) {
        if batch.trains(tick.step) {
            self.extra.ask(&self.network, &self.settings, &self.explored, (tick, batch.steps));
            self.presented.draws = self.network.description().drops() || self.extra.draws_signs();
        }
        let mut rows = Scored::default();
        let nodes = self.nodes.clone();
        let parts = nodes.into_iter().map(|node| {
            let mut leaf =
                |node: &Node| (node.len() == 1).then(|| self.shard(tick, batch, node.start, &mut rows));
            tree::total(node, &mut leaf, &add).expect("every shard of an owned node is owned")
        });
        let parts = parts.collect();
        (parts, rows)
    }

    /// Computes one shard; a panic or a loss that is not finite becomes a fault in place of its part.
    fn shard(&mut self, tick: Tick, batch: &Batch, shard: usize, rows: &mut Scored) -> Contribution {
        let header = Header { start: shard, end: shard + 1, ..Header::default() };
        let samples = &batch.shards[shard - self.first_shard];
        let trains = batch.trains(tick.step);
        let work = catch_unwind(AssertUnwindSafe(|| self.compute(tick, samples, batch)));
        let cause = match work {
            Ok(Ok((part, scores, cached_flops))) => {
                // What does not train ends nothing: a run that is observed goes as far as one that is not.
                let wrong = trains
                    .then(|| diagnose::not_finite(self, tick, batch, samples, &part, &scores))
                    .flatten();
                match wrong {
                    None => {
                        let header = Header {
                            loss: scores.iter().map(|score| f64::from(score.loss)).sum(),
                            correct: scores.iter().filter(|score| score.correct).count() as u32,
                            samples: scores.len() as u32,
                            cached_flops,
                            dense_gradients: self.presented.workspace.take_dense_gradients(),
                            ..header
                        };
                        for ((sample, _), score) in samples.iter().zip(scores) {
                            rows.0.push(row(tick, *sample, &score, trains));
                            if self.settings.predictions && self.settings.observe == Observe::Full {
                                let set = PredictionRow::TRAIN;
                                rows.1.push(evaluate::row(tick.epoch, set, *sample, score.class));
                            }
                        }
                        return (header, part);
                    }
                    Some(what) => Cause::NotFinite(what),
                }
            }
            Ok(Err(unread)) => Cause::Data(unread.to_string()),
            Err(panic) => Cause::Panicked(panic_message(&*panic)),
        };
        let fault = Fault { tick, worker: self.worker, stage: "gradients".to_owned(), cause };
        (Header { fault: Some(fault), ..header }, Vec::new())
    }

    /// How many numbers of observed gradients follow a part.
    pub(super) fn observed_len(&self) -> usize {
        if self.settings.observe == Observe::Full { self.network.observed_len() } else { 0 }
    }

    /// The extra gradients behind a part and the observed gradients.
    fn extra_gradients<'a>(&self, numbers: &'a [f32]) -> &'a [f32] {
        &numbers[self.network.part_len() + self.observed_len()..]
    }

    /// Lets the momenta of dense gradients take up those of a step that has been reduced.
    pub(super) fn gather(&mut self, numbers: &[f32]) {
        let gradients = &numbers[self.network.part_len() + self.observed_len()..];
        self.extra.gather(&self.network, gradients);
    }

    /// An update at the end of the epoch of `tick`, or after that step, has seen the momenta that it needs.
    pub(super) fn seen(&mut self, tick: Tick, ends: bool) {
        let Settings { policies, plan, .. } = &*self.settings;
        let needs = |layer: usize| match ends {
            true => policies.mask.needs(layer, tick.epoch + 1, plan.spans(layer)),
            false => policies.mask.needs_within(layer, tick.epoch, plan.spans(layer)),
        };
        let layers = 0..plan.architecture.layers.len();
        self.extra.seen(layers.filter(|layer| needs(*layer) == Needs::DenseGradient));
    }

    /// The dense gradient of `layer` in the numbers of the last step, or its momentum.
    pub(super) fn dense_gradient(&self, numbers: &[f32], layer: usize) -> Vec<f32> {
        let momentum = self.extra.momenta.get(&layer).cloned();
        let gradients = self.extra_gradients(numbers);
        let last = || self.network.extra_gradient(gradients, &self.extra.asked, layer).to_vec();
        momentum.unwrap_or_else(last)
    }

    /// The candidates of `layer` and their gradients in the numbers of the last step.
    pub(super) fn candidates(&self, numbers: &[f32], layer: usize) -> (Vec<u32>, Vec<f32>) {
        self.extra.candidates(&self.network, self.extra_gradients(numbers), layer)
    }

    /// Whether masks are updated within an epoch after step `step` of `steps`.
    pub(super) fn updates_after(&self, step: u32, steps: u32) -> bool {
        let window = self.settings.policies.mask.steps();
        step + 1 < steps && window.is_some_and(|window| (step + 1).is_multiple_of(window.get()))
    }

    /// Looks at this worker's layers at the end of `epoch`, if that is asked for.
    pub(super) fn look(&mut self, epoch: u32) -> Read<Vec<SimilarityRow>> {
        let Self { network, settings, ledger, presented, probe, .. } = self;
        let look = |probe: &mut Probe| probe.look(epoch, network, presented, settings, ledger.layers());
        probe.as_mut().map_or(Ok(Vec::new()), look)
    }

    /// Evaluates the samples `range` of `images`, without augmentation.
    pub(super) fn evaluate(&mut self, images: &Images, range: Range<usize>) -> Read<Evaluation> {
        let Self { network, presented: Presented { workspace, inputs, .. }, settings, .. } = self;
        let ids: Vec<u32> = range.clone().map(|sample| sample as u32).collect();
        let place = |_: usize| Placement::default();
        let (held, places) = images.at_hand(&ids)?;
        input::gather(network.kernel(), &held, &settings.data.normalization, &places, place, inputs);
        let ones = vec![1.0; ids.len()];
        let (labels, weights, noise) = (&images.labels[range], &ones[..], &[]);
        let shard = Shard { inputs, labels, weights, noise, batch_samples: ids.len() };
        Ok(network.evaluate(workspace, &shard))
    }
}

/// Adds the contributions of two neighbouring runs of shards. A fault in either is a fault of both: the front
/// one's, so that it is the same for any number of workers.
pub(super) fn add(front: Contribution, back: Contribution) -> Contribution {
    let ((front, mut sum), (back, values)) = (front, back);
    let header = Header {
        start: front.start,
        end: back.end,
        loss: front.loss + back.loss,
        correct: front.correct + back.correct,
        samples: front.samples + back.samples,
        cached_flops: front.cached_flops + back.cached_flops,
        dense_gradients: front.dense_gradients.max(back.dense_gradients),
        fault: front.fault.or(back.fault),
    };
    if header.fault.is_some() {
        return (header, Vec::new());
    }
    assert_eq!(sum.len(), values.len(), "all replicas are alike");
    sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
    (header, sum)
}

fn row(tick: Tick, sample: u32, score: &Score, trained: bool) -> ScoreRow {
    let Score { loss, correct, error_norm, .. } = *score;
    ScoreRow { epoch: tick.epoch, step: tick.step, sample, loss, correct, error_norm, trained }
}
