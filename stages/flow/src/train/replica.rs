//! One worker's replica of the network, and its work on the worker's shards.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use spfde_data::{FreezeRow, Placement, ScoreRow};
use spfde_model::{Activations, Growth, Network, Score, Shard, Wanted, Workspace, input};
use spfde_policy::cost::frozen_blocks_after;
use timely::scheduling::Activator;

use crate::fault::panic_message;
use crate::part::Header;
use crate::tree::Node;
use crate::{Batch, Cause, Drawn, Fault, Observe, Run, Settings, Tick, tree};

use super::diagnose;
use super::ledger::Ledger;
use super::masks::Changes;

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
    workspace: Workspace,
    inputs: Activations,
    /// The gradient of the inputs, if a perturbation asks for it.
    input_gradients: Activations,
}

/// The contribution of a run of shards: what it covers and sums, and its numbers.
pub(super) type Contribution = (Header, Vec<f32>);

impl Replica {
    pub(super) fn new(run: &Run<'_>) -> Self {
        let settings = Arc::clone(run.settings());
        let mut network = settings.masked_network();
        if let Some(snapshot) = run.resumed() {
            network.restore(snapshot.tensors()).expect("a snapshot was checked");
            network.freeze(snapshot.frozen_blocks());
        }
        let owned = tree::owned(settings.shards, run.worker(), run.workers());
        let layers = network.architecture().layers.len();
        let ledger = Ledger::new((0..layers).filter(|layer| run.owner(*layer) == run.worker()).collect());
        Self {
            workspace: Workspace::new(&network),
            inputs: Activations::default((0, 0, 0, 0, 0)),
            input_gradients: Activations::default((0, 0, 0, 0, 0)),
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

    /// Brings masks up to date: what goes, then what comes, layer by layer.
    pub(super) fn mask(&mut self, tick: Tick, changes: Changes) {
        // The initial mask takes the initial weights; what grows later starts at zero.
        let growth = if tick == Tick::new(0, 0) { Growth::Initial } else { Growth::Zero };
        for (layer, mut lists) in changes {
            lists.iter_mut().for_each(|indices| indices.sort_unstable());
            let (layer, [dropped, grown]) = (usize::from(layer), lists);
            let before = (tick.step > 0).then(|| self.network.indices(layer).to_vec());
            self.network.apply_mask(layer, &dropped, &grown, growth);
            if let Some(before) = before {
                self.ledger.remap(layer, &before, self.network.indices(layer));
            }
        }
    }

    /// Brings the frozen prefix up to date.
    pub(super) fn freeze(&mut self, rows: &[FreezeRow]) {
        let prefix = frozen_blocks_after(self.network.architecture(), self.network.frozen_blocks(), rows);
        self.network.freeze(prefix.unwrap_or_else(|misfit| panic!("{misfit}")));
    }

    /// Computes this worker's shards: their parts, added up as far as the tree allows, and their scores.
    pub(super) fn contribute(&mut self, tick: Tick, batch: &Batch) -> (Vec<Contribution>, Vec<ScoreRow>) {
        let mut rows = Vec::new();
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
    fn shard(&mut self, tick: Tick, batch: &Batch, shard: usize, rows: &mut Vec<ScoreRow>) -> Contribution {
        let header = Header { start: shard, end: shard + 1, ..Header::default() };
        let samples = &batch.shards[shard - self.first_shard];
        let trains = batch.trains(tick.step);
        let work = catch_unwind(AssertUnwindSafe(|| self.compute(tick, samples, batch)));
        let cause = match work {
            Ok((part, scores)) => {
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
                            ..header
                        };
                        let scored = samples.iter().zip(scores);
                        rows.extend(scored.map(|((sample, _), score)| row(tick, *sample, &score, trains)));
                        return (header, part);
                    }
                    Some(what) => Cause::NotFinite(what),
                }
            }
            Err(panic) => Cause::Panicked(panic_message(&*panic)),
        };
        let fault = Fault { tick, worker: self.worker, stage: "gradients".to_owned(), cause };
        (Header { fault: Some(fault), ..header }, Vec::new())
    }

    /// How many numbers of observed gradients follow a part.
    pub(super) fn observed_len(&self) -> usize {
        if self.settings.observe == Observe::Full { self.network.observed_len() } else { 0 }
    }

    /// Whether masks are updated within an epoch after step `step` of `steps`.
    pub(super) fn updates_after(&self, step: u32, steps: u32) -> bool {
        let window = self.settings.policies.mask.steps();
        step + 1 < steps && window.is_some_and(|window| (step + 1).is_multiple_of(window.get()))
    }

    /// The layers whose dense gradients the last step of `epoch` computes; if it does not end with it, a step
    /// before an update.
    pub(super) fn dense_layers(&self, epoch: u32, ends: bool) -> Vec<usize> {
        let (plan, frozen_blocks) = (&self.settings.plan, self.network.frozen_blocks());
        match ends {
            true => plan.dense_gradients(epoch, frozen_blocks).collect(),
            false => plan.dense_gradients_within(epoch, frozen_blocks).collect(),
        }
    }

    /// The dense gradient of `layer` in the numbers of a step that computes those of `layers`.
    pub(super) fn dense_gradient(&self, layers: &[usize], numbers: &[f32], layer: usize) -> Vec<f32> {
        let dense = &numbers[self.network.part_len() + self.observed_len()..];
        self.network.dense_gradient(dense, layers, layer).to_vec()
    }

    /// The numbers and the scores of some samples: a part, the observed gradients of frozen layers, the dense
    /// gradients that masks grow by; no numbers of samples that do not train.
    fn compute(&mut self, tick: Tick, samples: &[Drawn], batch: &Batch) -> (Vec<f32>, Vec<Score>) {
        let (observed, trains) = (self.observed_len(), batch.trains(tick.step));
        let ends = tick.step + 1 == batch.steps;
        let layers = match ends || self.updates_after(tick.step, batch.steps) {
            true => self.dense_layers(tick.epoch, ends),
            false => Vec::new(),
        };
        let transform = self.settings.seams.gradient.clone();
        self.with_shard(tick, batch.samples, samples, |network, workspace, shard| {
            if !trains {
                return (Vec::new(), network.observe_shard(workspace, shard));
            }
            let mut numbers = vec![0.0; network.part_len() + observed + network.dense_len(&layers)];
            let (part, rest) = numbers.split_at_mut(network.part_len());
            let (observed, dense) = rest.split_at_mut(observed);
            let wanted = Wanted { part, observed, dense_layers: &layers, dense };
            let scores = network.train_shard_for(workspace, shard, wanted);
            if let Some(transform) = &transform {
                transform.shard(tick, network, &mut numbers[..network.part_len()]);
            }
            (numbers, scores)
        })
    }

    /// Gathers the images of some samples as step `tick` sees them, perturbed if something is plugged in that
    /// does it, and does `work` on that shard.
    pub(super) fn with_shard<T>(
        &mut self,
        tick: Tick,
        batch_samples: usize,
        samples: &[Drawn],
        work: impl FnOnce(&Network, &mut Workspace, &Shard<'_>) -> T,
    ) -> T {
        let Self { network, workspace, inputs, input_gradients, settings, .. } = self;
        let images = &settings.data.train;
        let ids: Vec<u32> = samples.iter().map(|(sample, _)| *sample).collect();
        let labels: Vec<u16> = ids.iter().map(|sample| images.labels[*sample as usize]).collect();
        let weights: Vec<f32> = samples.iter().map(|(_, weight)| *weight).collect();
        let place = |sample: u32| -> Placement { settings.augment.place(settings.seed, tick.epoch, sample) };
        input::gather(network.kernel(), images, &settings.data.normalization, &ids, place, inputs);
        if let Some(perturbation) = &settings.seams.perturbation {
            let gradient = perturbation.needs_gradient().then(|| {
                let shard = Shard { inputs, labels: &labels, weights: &weights, batch_samples };
                network.input_gradient(workspace, &shard, input_gradients);
                &*input_gradients
            });
            perturbation.perturb(inputs, gradient);
        }
        work(network, workspace, &Shard { inputs, labels: &labels, weights: &weights, batch_samples })
    }

    /// Evaluates the test samples `range`, without augmentation: their summed loss and how many are right.
    pub(super) fn evaluate(&mut self, range: std::ops::Range<usize>) -> (f64, u32) {
        let Self { network, workspace, inputs, settings, .. } = self;
        let images = &settings.data.test;
        let ids: Vec<u32> = range.clone().map(|sample| sample as u32).collect();
        let place = |_: u32| Placement::default();
        input::gather(network.kernel(), images, &settings.data.normalization, &ids, place, inputs);
        let ones = vec![1.0; ids.len()];
        let shard = Shard { inputs, labels: &images.labels[range], weights: &ones, batch_samples: ids.len() };
        let evaluation = network.evaluate(workspace, &shard);
        (evaluation.loss, evaluation.correct)
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
    let Score { loss, correct, error_norm } = *score;
    ScoreRow { epoch: tick.epoch, step: tick.step, sample, loss, correct, error_norm, trained }
}
