//! The untrained network, for mask policies that choose the initial mask by it.

use std::sync::Arc;

use spfde_model::{Activations, CrossEntropy, LayerStart, Loss, Network, Score, Shard, Workspace};
use spfde_policy::mask::Untrained;

use crate::loader::share;
use crate::train::Presented;
use crate::{Drawn, Settings, Tick, tree};

/// The network of a run before its first step, all weights of it.
pub(crate) struct Fresh<'a> {
    settings: &'a Settings,
    network: Network,
}

impl<'a> Fresh<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        let mut network = settings.fresh_network();
        settings.begin(&mut network);
        Self { network, settings }
    }

    fn layers(&self) -> std::ops::Range<usize> {
        0..self.network.architecture().layers.len()
    }

    /// Lets the network have these weights.
    fn set(&mut self, weights: &[Vec<f32>]) {
        for (layer, values) in weights.iter().enumerate() {
            let start = LayerStart { values: values.clone(), ..LayerStart::default() };
            self.network.begin(layer, &start);
        }
    }

    /// The batches of epoch 0, each dealt into shards, as the loader deals them.
    fn batches(&self, count: u32) -> Vec<Vec<Vec<Drawn>>> {
        let Settings { seed, batch_size, shards, data, order, policies, .. } = self.settings;
        let mut active = vec![true; data.train.len()];
        for sample in policies.sieve.initially_outside() {
            active[sample as usize] = false;
        }
        let samples = (0..active.len() as u32).filter(|sample| active[*sample as usize]);
        let order = data.ordered(*order, *seed, 0, samples.collect());
        let steps = order.len().div_ceil(*batch_size);
        let batch = |step: usize| {
            let samples = &order[share(order.len(), step, steps)];
            let shard = |shard| samples[share(samples.len(), shard, *shards)].iter().map(|id| (*id, 1.0));
            (0..*shards).map(|number| shard(number).collect()).collect()
        };
        (0..steps.min(count as usize)).map(batch).collect()
    }
}

impl Untrained for Fresh<'_> {
    fn weights(&self) -> Vec<Vec<f32>> {
        self.layers().map(|layer| self.network.values(layer).to_vec()).collect()
    }

    fn gradients(&mut self, weights: &[Vec<f32>], batches: u32, temperature: f64) -> Vec<Vec<f32>> {
        self.set(weights);
        self.network.set_loss(Arc::new(Tempered { temperature }));
        let batches = self.batches(batches);
        let mut presented = Presented::new(&self.network);
        let mut sum = vec![0.0; self.network.part_len()];
        for (step, shards) in (0..).zip(&batches) {
            let samples = shards.iter().map(Vec::len).sum();
            let mut part = |node: &tree::Node| {
                (node.len() == 1).then(|| {
                    let mut numbers = vec![0.0; self.network.part_len()];
                    let shard = &shards[node.start];
                    let tick = Tick::new(0, step);
                    let shown = presented.show(
                        &self.network,
                        self.settings,
                        tick,
                        samples,
                        shard,
                        |network, workspace, shard| network.train_shard(workspace, shard, &mut numbers),
                    );
                    // Every image was read a moment ago, when the run looked at its data.
                    shown.unwrap_or_else(|error| panic!("{error}"));
                    numbers
                })
            };
            let add = |mut front: Vec<f32>, back: Vec<f32>| {
                front.iter_mut().zip(&back).for_each(|(sum, value)| *sum += value);
                front
            };
            let whole = tree::total(0..shards.len(), &mut part, &add).expect("every shard is known");
            sum = add(sum, whole);
        }
        sum.iter_mut().for_each(|value| *value /= batches.len().max(1) as f32);
        self.layers().map(|layer| self.network.gradient(&sum, layer).to_vec()).collect()
    }

    fn flow(&mut self, weights: &[Vec<f32>]) -> Vec<Vec<f32>> {
        // Norms that were taken over would be another network's.
        self.network = self.settings.fresh_network();
        self.set(weights);
        let mut network = self.network.clone();
        // Frozen blocks use the running statistics of their norms, which before training change nothing.
        let blocks = network.architecture().blocks.len();
        network.freeze(blocks);
        let images = &self.settings.data.train;
        let lanes = network.kernel().lanes();
        let shape = (1, images.height, images.channels, images.width, lanes);
        // Values and gradients grow on their ways: where they leave the range of f32, both begin smaller.
        for exponent in [0, -60, -110] {
            network.set_loss(Arc::new(SumOfLogits { factor: 2f64.powi(exponent) }));
            let inputs = Activations::from_elem(shape, 2f32.powi(exponent));
            let shard =
                Shard { inputs: &inputs, labels: &[0], weights: &[1.0], noise: &[], batch_samples: 1 };
            let (mut part, mut observed) = (vec![0.0; network.part_len()], vec![0.0; network.observed_len()]);
            let wanted =
                spfde_model::Wanted { part: &mut part, observed: &mut observed, ..Default::default() };
            network.train_shard_for(&mut Workspace::new(&network), &shard, wanted);
            if part.iter().chain(&observed).all(|gradient| gradient.is_finite()) {
                let frozen = |layer: usize| network.architecture().layers[layer].block < blocks;
                let gradient = |layer: usize| match frozen(layer) {
                    true => network.observed_gradient(&observed, layer).to_vec(),
                    false => network.gradient(&part, layer).to_vec(),
                };
                return self.layers().map(gradient).collect();
            }
        }
        panic!("the flow through the network exceeds the range of f32: it has too many layers for synflow");
    }
}

/// The cross-entropy of logits that are divided by a temperature.
#[derive(Debug)]
struct Tempered {
    temperature: f64,
}

impl Loss for Tempered {
    fn judge(&self, logits: &mut [f64], label: usize) -> Score {
        logits.iter_mut().for_each(|logit| *logit /= self.temperature);
        let score = CrossEntropy.judge(logits, label);
        logits.iter_mut().for_each(|error| *error /= self.temperature);
        score
    }
}

/// The sum of the logits, times a factor, as a loss.
#[derive(Debug)]
struct SumOfLogits {
    factor: f64,
}

impl Loss for SumOfLogits {
    fn judge(&self, logits: &mut [f64], _: usize) -> Score {
        let sum: f64 = logits.iter().sum();
        logits.fill(self.factor);
        Score { loss: sum as f32, correct: false, class: None, error_norm: 0.0 }
    }
}
