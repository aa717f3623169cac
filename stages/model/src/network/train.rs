//! What a shard contributes: forward, loss, backward.

use std::ops::Range;

use crate::description::{Kind, Operation};
use crate::lane::groups;
use crate::layer::AffineState;
use crate::network::Network;
use crate::operation::{Pass, addition, affine, average_pool, convolution, linear, loss, max_pool, settle};
use crate::schedule::Schedule;
use crate::shard::{Score, Shard};
use crate::workspace::Workspace;

impl Network {
    /// Computes what a shard contributes to a step of mini-batch gradient descent.
    ///
    /// Forward, loss Σ weight · cross-entropy / `batch_samples`, backward down to the frozen blocks. Batch norms use
    /// the shard's own statistics, those of frozen blocks their running ones. `part` is overwritten with the gradients
    /// of existing weights and of the other parameters of layers that are not frozen, and with the statistics
    /// measured, weighted by the shard's share of the batch: parts of the shards of a batch are to be added. A shard
    /// without samples contributes zeros. `scores` is cleared and gets one score per sample, in their order.
    ///
    /// # Panics
    /// If `part` is not [`Network::part_len`] long, the shard's lists differ in length, its inputs have another shape
    /// than the network's or too few lanes, or a label is no class.
    pub fn train_shard(
        &self,
        workspace: &mut Workspace,
        shard: &Shard<'_>,
        part: &mut [f32],
        scores: &mut Vec<Score>,
    ) {
        self.train(workspace, shard, part, None, scores);
    }

    /// As [`Network::train_shard`]; with `observed`, which holds a number for each existing weight of frozen layers,
    /// the backward pass goes on through the frozen blocks.
    pub(super) fn train(
        &self,
        workspace: &mut Workspace,
        shard: &Shard<'_>,
        part: &mut [f32],
        observed: Option<&mut [f32]>,
        scores: &mut Vec<Score>,
    ) {
        assert_eq!(part.len(), self.part.len, "a part of this network");
        assert_eq!(shard.weights.len(), shard.labels.len(), "one weight per sample");
        assert!(shard.labels.len() <= shard.batch_samples, "a shard is a part of its batch");
        scores.clear();
        if cfg!(debug_assertions) {
            // Every number is written below, once: what is not shows.
            part.fill(f32::NAN);
        }
        let (schedule, skipped) = match observed {
            Some(_) => (&self.observing, 0),
            None => (&self.training, self.frozen),
        };
        let Some(mut pass) = self.pass(workspace, shard, schedule, [self.frozen, skipped]) else {
            part.fill(0.0);
            return;
        };
        self.run_forward(&mut pass);
        pass.workspace.begun.clear();
        pass.workspace.begun.resize(self.description.values.len(), false);
        loss::backward(&mut pass, shard, |score| scores.push(score));
        settle::logits(&mut pass);
        self.run_backward(&mut pass, part, observed.unwrap_or_default());
        self.add_statistics(&pass, shard, part);
    }

    /// Prepares a pass that has so many leading blocks with running statistics and so many without backward pass; none
    /// if the shard has no samples.
    pub(super) fn pass<'a>(
        &'a self,
        workspace: &'a mut Workspace,
        shard: &'a Shard<'_>,
        schedule: &'a Schedule,
        [frozen, skipped]: [usize; 2],
    ) -> Option<Pass<'a>> {
        let samples = shard.labels.len();
        if samples == 0 {
            return None;
        }
        let shape = self.description.values[0].shape;
        let groups = groups(samples);
        let extents = shard.inputs.shape();
        assert_eq!(
            extents[1..],
            [shape.height, shape.channels, shape.width],
            "inputs are rows, channels, columns of the network's input"
        );
        assert!(extents[0] >= groups, "inputs hold every sample");
        workspace.make_room(&schedule.buffers, groups);
        Some(Pass {
            description: &self.description,
            layers: &self.layers,
            kernel: self.kernel,
            schedule,
            workspace,
            inputs: shard.inputs.as_slice().expect("activations are in standard layout"),
            samples,
            groups,
            frozen,
            skipped,
        })
    }

    /// Computes all values up to the logits: the prefix group by group, then one operation after the other.
    pub(super) fn run_forward(&self, pass: &mut Pass<'_>) {
        affine::fix(pass);
        let (prefix, groups) = (pass.schedule.prefix, pass.groups);
        if prefix > 0 {
            (0..groups).for_each(|group| self.run_operations(pass, 0..prefix, group..group + 1));
        }
        self.run_operations(pass, prefix..self.description.operations.len(), 0..groups);
        pass.workspace.listener.hear(|| "end".into());
    }

    /// Computes the values that these operations write, for these groups.
    fn run_operations(&self, pass: &mut Pass<'_>, operations: Range<usize>, groups: Range<usize>) {
        for number in operations {
            let (operation, next) = (&self.description.operations[number], number + 1);
            if next < self.description.operations.len()
                && pass.schedule.merged_addition(&self.description, next).is_some()
            {
                continue;
            }
            pass.workspace.listener.hear(|| self.name("forward", operation));
            match operation.kind {
                Kind::Convolution(layer) => convolution::forward(pass, operation, layer, groups.clone()),
                Kind::Linear(layer) => linear::forward(pass, operation, layer),
                Kind::Addition(_) => addition::forward(pass, operation, groups.clone()),
                Kind::MaxPool => max_pool::forward(pass, operation, groups.clone()),
                Kind::AveragePool => average_pool::forward(pass, operation, groups.clone()),
            }
        }
    }

    /// Computes all gradients from those of the logits down to the skipped blocks.
    fn run_backward(&self, pass: &mut Pass<'_>, part: &mut [f32], observed: &mut [f32]) {
        for (number, operation) in self.description.operations.iter().enumerate().rev() {
            if !self.description.is_active(number, pass.skipped) {
                continue;
            }
            pass.workspace.listener.hear(|| self.name("backward", operation));
            match operation.kind {
                Kind::Convolution(layer) | Kind::Linear(layer) => {
                    let gradients = if operation.block < self.frozen {
                        affine::backward_frozen(pass, layer);
                        &mut observed[self.observed_range(layer)]
                    } else {
                        affine::backward(pass, layer, &mut part[self.part.affine[layer].clone()]);
                        &mut part[self.part.weights[layer].clone()]
                    };
                    if let Kind::Convolution(_) = operation.kind {
                        // It settles on its way.
                        convolution::backward(pass, operation, layer, gradients);
                        continue;
                    }
                    linear::backward(pass, operation, layer, gradients);
                }
                Kind::Addition(shortcut) => addition::backward(pass, operation, shortcut),
                Kind::MaxPool => max_pool::backward(pass, operation),
                Kind::AveragePool => average_pool::backward(pass, operation),
            }
            operation.inputs().for_each(|input| settle::input(pass, operation, input));
        }
        pass.workspace.listener.hear(|| "end".into());
    }

    /// Writes the shard's means and variances to its part, weighted by its share of the batch.
    fn add_statistics(&self, pass: &Pass<'_>, shard: &Shard<'_>, part: &mut [f32]) {
        let share = (shard.labels.len() as f64 / shard.batch_samples as f64) as f32;
        for (number, layer) in self.layers.iter().enumerate() {
            let range = self.part.affine[number].clone();
            if !matches!(layer.affine, AffineState::BatchNorm(_)) || range.is_empty() {
                continue;
            }
            let statistics = &pass.workspace.statistics[number];
            let measured = statistics.mean.iter().chain(&statistics.variance);
            let (_, into) = part[range].split_at_mut(2 * statistics.mean.len());
            into.iter_mut().zip(measured).for_each(|(into, value)| *into = share * value);
        }
    }

    /// A name for profiles.
    fn name(&self, direction: &str, operation: &Operation) -> String {
        match operation.kind {
            Kind::Convolution(layer) | Kind::Linear(layer) => {
                format!("{direction} {}", self.architecture().layers[layer].name)
            }
            Kind::Addition(_) => format!("{direction} addition"),
            Kind::MaxPool => format!("{direction} max pooling"),
            Kind::AveragePool => format!("{direction} average pooling"),
        }
    }
}
