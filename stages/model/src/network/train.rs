//! What a shard contributes: forward, loss, backward.

use std::ops::Range;

use crate::description::{Kind, Operation, Reach};
use crate::kernel::Taps;
use crate::lane::{Activations, Lane, groups};
use crate::layer::AffineState;
use crate::network::Network;
use crate::operation::{
    Pass, WeightGradients, addition, affine, average_pool, convolution, linear, loss, max_pool, settle,
};
use crate::schedule::Schedule;
use crate::shard::{Score, Shard, Wanted};
use crate::workspace::Workspace;

impl Network {
    /// Computes what a shard, one micro-batch, contributes to a step of mini-batch gradient descent: as
    /// [`Network::train_shard_for`] with nothing but the part.
    ///
    /// # Panics
    /// As [`Network::train_shard_for`].
    pub fn train_shard(
        &self,
        workspace: &mut Workspace,
        shard: &Shard<'_>,
        part: &mut [f32],
        scores: &mut Vec<Score>,
    ) {
        self.train_shard_for(workspace, shard, Wanted { part, ..Wanted::default() }, scores);
    }

    /// Computes what is wanted of a shard, one micro-batch.
    ///
    /// Forward, loss Σ weight · cross-entropy / `batch_samples`, backward down to the frozen blocks, or
    /// through them where their gradients are wanted. Batch norms use the shard's own statistics (ghost batch
    /// norm), those of frozen blocks their running ones. The slices of [`Wanted`] are overwritten; those of
    /// the shards of a batch are to be added. The part has the same bits whatever else is wanted. A shard
    /// without samples contributes zeros. `scores` is cleared and gets one score per sample, in their order.
    ///
    /// # Panics
    /// If a slice has not the length that [`Wanted`] names, a dense gradient of a frozen layer is wanted, the
    /// shard's lists differ in length, its inputs have another shape than the network's or too few lanes, or
    /// a label is no class.
    pub fn train_shard_for(
        &self,
        workspace: &mut Workspace,
        shard: &Shard<'_>,
        mut wanted: Wanted<'_>,
        scores: &mut Vec<Score>,
    ) {
        assert_eq!(wanted.part.len(), self.part.len, "a part of this network");
        assert_eq!(wanted.dense.len(), self.dense_len(wanted.dense_layers), "a number for each weight");
        let (observes, observed) = (!wanted.observed.is_empty(), wanted.observed.len());
        assert!(!observes || observed == self.observed_len(), "a number for each weight of frozen layers");
        scores.clear();
        // Of a shard with samples every number is written below, once: what is not shows.
        let unwritten = if cfg!(debug_assertions) && !shard.labels.is_empty() { f32::NAN } else { 0.0 };
        for slice in [&mut *wanted.part, wanted.observed, wanted.dense] {
            slice.fill(unwritten);
        }
        let schedule = if observes { &self.observing } else { &self.training };
        let Some(mut pass) = self.pass(workspace, shard, schedule, self.frozen) else { return };
        self.run(&mut pass, shard, &mut wanted, |score| scores.push(score));
        self.add_statistics(&pass, shard, wanted.part);
    }

    /// The gradient of Σ weight · loss / `batch_samples` with respect to a shard's inputs, through all
    /// blocks, frozen or not: what a [`Perturbation`](crate::Perturbation) may ask for. `into` gets the shape
    /// of the inputs. The shard's batch norms measure as in training; gradients of weights are not computed,
    /// and nothing leaves a trace.
    ///
    /// # Panics
    /// As [`Network::train_shard_for`].
    pub fn input_gradient(&self, workspace: &mut Workspace, shard: &Shard<'_>, into: &mut Activations) {
        if into.dim() != shard.inputs.dim() {
            *into = Activations::from_elem(shard.inputs.dim(), Lane::ZERO);
        }
        into.fill(Lane::ZERO);
        let schedule = self.perturbing.get_or_init(|| Schedule::training(&self.description, Reach::Input));
        let Some(mut pass) = self.pass(workspace, shard, schedule, self.frozen) else { return };
        self.run(&mut pass, shard, &mut Wanted::default(), |_| ());
        let gradient = pass.gradient(0);
        into.as_slice_mut().expect("activations are in standard layout")[..gradient.len()]
            .copy_from_slice(gradient);
    }

    /// Forward, loss and backward.
    fn run(&self, pass: &mut Pass<'_>, shard: &Shard<'_>, wanted: &mut Wanted<'_>, each: impl FnMut(Score)) {
        assert_eq!(shard.weights.len(), shard.labels.len(), "one weight per sample");
        assert!(shard.labels.len() <= shard.batch_samples, "a shard is a part of its batch");
        self.run_forward(pass);
        pass.workspace.begun.clear();
        pass.workspace.begun.resize(self.description.values.len(), false);
        loss::backward(pass, shard, each);
        settle::logits(pass);
        self.run_backward(pass, wanted);
    }

    /// Prepares a pass that has so many leading blocks with running statistics; none if the shard has no
    /// samples.
    pub(super) fn pass<'a>(
        &'a self,
        workspace: &'a mut Workspace,
        shard: &'a Shard<'_>,
        schedule: &'a Schedule,
        frozen: usize,
    ) -> Option<Pass<'a>> {
        let samples = shard.labels.len();
        if samples == 0 {
            return None;
        }
        let shape = self.description.values[0].shape;
        let groups = groups(samples);
        let extents = shard.inputs.shape();
        let own = [shape.height, shape.channels, shape.width];
        assert_eq!(extents[1..], own, "rows, channels, columns of the network's input");
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
            loss: &*self.loss,
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
        pass.workspace.hear(|| "end".into());
    }

    /// Computes the values that these operations write, for these groups.
    fn run_operations(&self, pass: &mut Pass<'_>, operations: Range<usize>, groups: Range<usize>) {
        for number in operations {
            let operation = &self.description.operations[number];
            if pass.schedule.merged_addition(&self.description, number + 1).is_some() {
                continue;
            }
            pass.workspace.hear(|| self.name("forward", operation));
            match operation.kind {
                Kind::Convolution(layer) => convolution::forward(pass, operation, layer, groups.clone()),
                Kind::Linear(layer) => linear::forward(pass, operation, layer),
                Kind::Addition(_) => addition::forward(pass, operation, groups.clone()),
                Kind::MaxPool => max_pool::forward(pass, operation, groups.clone()),
                Kind::AveragePool => average_pool::forward(pass, operation, groups.clone()),
            }
        }
    }

    /// Computes all gradients from those of the logits down.
    fn run_backward(&self, pass: &mut Pass<'_>, wanted: &mut Wanted<'_>) {
        for (number, operation) in self.description.operations.iter().enumerate().rev() {
            if !self.description.is_active(number, pass.schedule.reach) {
                continue;
            }
            pass.workspace.hear(|| self.name("backward", operation));
            match operation.kind {
                Kind::Convolution(layer) | Kind::Linear(layer) => {
                    self.layer_backward(pass, operation, layer, wanted);
                }
                Kind::Addition(shortcut) => addition::backward(pass, operation, shortcut),
                Kind::MaxPool => max_pool::backward(pass, operation),
                Kind::AveragePool => average_pool::backward(pass, operation),
            }
            // A convolution settles on its way.
            if !matches!(operation.kind, Kind::Convolution(_)) {
                operation.inputs().for_each(|input| settle::input(pass, operation, input));
            }
        }
        pass.workspace.hear(|| "end".into());
    }

    /// The gradients of a layer's parameters and of its input.
    fn layer_backward(
        &self,
        pass: &mut Pass<'_>,
        operation: &Operation,
        layer: usize,
        wanted: &mut Wanted<'_>,
    ) {
        let backward = match operation.kind {
            Kind::Convolution(_) => convolution::backward,
            _ => linear::backward,
        };
        if pass.schedule.reach == Reach::Input {
            let mut unused = vec![0.0; 2 * self.description.layers[layer].geometry.outputs()];
            affine::backward(pass, layer, &mut unused);
            let none = WeightGradients { taps: &Taps::default(), gradients: &mut [] };
            return backward(pass, operation, layer, none);
        }
        affine::backward(pass, layer, &mut wanted.part[self.part.affine[layer].clone()]);
        let gradients = match operation.block < self.frozen {
            true => &mut wanted.observed[self.part.observed[layer].clone()],
            false => &mut wanted.part[self.part.weights[layer].clone()],
        };
        let weights = &self.layers[layer].weights;
        if !wanted.dense_layers.contains(&layer) {
            let taps = weights.forward.taps();
            return backward(pass, operation, layer, WeightGradients { taps, gradients });
        }
        // The gradient of a weight does not depend on which others there are.
        let dense = &mut wanted.dense[self.dense_range(wanted.dense_layers, layer)];
        let all = WeightGradients { taps: &weights.dense_taps(), gradients: &mut *dense };
        backward(pass, operation, layer, all);
        for (gradient, index) in gradients.iter_mut().zip(&weights.indices) {
            *gradient = dense[*index as usize];
        }
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
        let what = match operation.kind {
            Kind::Convolution(layer) | Kind::Linear(layer) => &self.architecture().layers[layer].name,
            Kind::Addition(_) => "addition",
            Kind::MaxPool => "max pooling",
            Kind::AveragePool => "average pooling",
        };
        format!("{direction} {what}")
    }
}
