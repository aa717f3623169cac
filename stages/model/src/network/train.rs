//! What a shard contributes: forward, loss, backward.

use std::ops::Range;

use spfde_data::FrozenBlocks;

use crate::description::{Kind, Operation, Reach};
use crate::entries::Entries;
use crate::kernel::{Stored, Taps};
use crate::lane::Activations;
use crate::layer::Layer;
use crate::network::Network;
use crate::operation::{
    Pass, addition, attention, concatenation, convolution, dropout, gelu, layer_norm, linear, loss, patches,
    pool, settle, sum, sums,
};
use crate::schedule::Schedule;
use crate::shard::{Score, Shard, Wanted};
use crate::workspace::{Kept, Workspace};

impl Network {
    /// Computes what a shard, one micro-batch, contributes to a step of mini-batch gradient descent: as
    /// [`Network::train_shard_for`] with nothing but the part.
    ///
    /// # Panics
    /// As [`Network::train_shard_for`].
    pub fn train_shard(&self, workspace: &mut Workspace, shard: &Shard<'_>, part: &mut [f32]) -> Vec<Score> {
        self.train_shard_for(workspace, shard, Wanted { part, ..Wanted::default() })
    }

    /// Computes what is wanted of a shard, one micro-batch, and gives one score per sample, in their order.
    ///
    /// Forward, loss Σ weight · cross-entropy / `batch_samples`, backward down to the frozen blocks at the
    /// front, or through them where their gradients are wanted. Batch norms use the shard's own statistics
    /// (ghost batch norm), those of frozen blocks their running ones. The slices of [`Wanted`] are
    /// overwritten; those of the shards of a batch are to be added. The part has the same bits whatever else
    /// is wanted. A shard without samples contributes zeros.
    ///
    /// # Panics
    /// If a slice has not the length that [`Wanted`] names, an extra gradient of a frozen layer is wanted,
    /// the shard's lists differ in length, its inputs have another shape than the network's or too few lanes,
    /// or a label is no class.
    pub fn train_shard_for(
        &self,
        workspace: &mut Workspace,
        shard: &Shard<'_>,
        wanted: Wanted<'_>,
    ) -> Vec<Score> {
        self.train(workspace, shard, None, wanted)
    }

    /// The same, behind the front if there are `entries` of the samples.
    pub(super) fn train(
        &self,
        workspace: &mut Workspace,
        shard: &Shard<'_>,
        entries: Option<&Entries<'_>>,
        mut wanted: Wanted<'_>,
    ) -> Vec<Score> {
        assert_eq!(wanted.part.len(), self.part.len, "a part of this network");
        assert_eq!(wanted.extra_gradients.len(), self.extra_len(wanted.extra), "a number for each weight");
        let (observes, observed) = (!wanted.observed.is_empty(), wanted.observed.len());
        assert!(!observes || observed == self.observed_len(), "a number for each weight of frozen layers");
        // Of a shard with samples every number is written below, once: what is not shows.
        let unwritten = if cfg!(debug_assertions) && !shard.labels.is_empty() { f32::NAN } else { 0.0 };
        for slice in [&mut *wanted.part, wanted.observed, wanted.extra_gradients] {
            slice.fill(unwritten);
        }
        let schedule = if observes { &self.observing } else { &self.training };
        let inputs = entries.is_none().then_some(shard.inputs);
        in_storage!(self.storage, S => {
            let pass = self.pass::<S>(workspace, inputs, shard, schedule, &self.frozen);
            pass.map_or(vec![], |mut pass| self.run(&mut pass, shard, entries, &mut wanted))
        })
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
            *into = Activations::zeros(shard.inputs.dim());
        }
        into.fill(0.0);
        let into = into.as_slice_mut().expect("activations are in standard layout");
        in_storage!(self.storage, S => {
            let pass = self.pass::<S>(workspace, Some(shard.inputs), shard, &self.perturbing, &self.frozen);
            let Some(mut pass) = pass else { return };
            self.run(&mut pass, shard, None, &mut Wanted::default());
            into.iter_mut().zip(pass.gradient(0)).for_each(|(into, stored)| *into = stored.get());
        });
    }

    /// Forward, loss and backward.
    fn run<S: Stored>(
        &self,
        pass: &mut Pass<'_, S>,
        shard: &Shard<'_>,
        entries: Option<&Entries<'_>>,
        wanted: &mut Wanted<'_>,
    ) -> Vec<Score> {
        assert_eq!(shard.weights.len(), shard.labels.len(), "one weight per sample");
        assert!(shard.labels.len() <= shard.batch_samples, "a shard is a part of its batch");
        self.run_forward(pass, entries);
        pass.workspace.begun.clear();
        pass.workspace.begun.resize(self.description.shapes.len(), false);
        let scores = loss::backward(pass, shard);
        settle::whole(pass, self.description.logits());
        self.run_backward(pass, wanted);
        scores
    }

    /// Prepares a pass in which the `fixed` blocks have running statistics; none if the shard has no samples.
    /// It reads `inputs` in place of those of the shard; none if it begins behind the front.
    pub(super) fn pass<'a, S: Kept>(
        &'a self,
        workspace: &'a mut Workspace,
        inputs: Option<&'a Activations>,
        shard: &'a Shard<'_>,
        schedule: &'a Schedule,
        fixed: &'a FrozenBlocks,
    ) -> Option<Pass<'a, S>> {
        let samples = shard.labels.len();
        if samples == 0 {
            return None;
        }
        assert!(shard.noise.is_empty() || shard.noise.len() == samples, "a key for each sample, or none");
        let shape = self.description.shapes[0];
        let (groups, lanes) = (self.kernel.groups(samples), self.kernel.lanes());
        let inputs = inputs.map_or(&[][..], |inputs| {
            let (extents, own) = (inputs.shape(), [shape.height, shape.channels, shape.width, lanes]);
            let what = "rows, channels, columns of the network's input, lanes of its kernel";
            assert_eq!(extents[1..], own, "{what}");
            assert!(extents[0] >= groups, "inputs hold every sample");
            inputs.as_slice().expect("activations are in standard layout")
        });
        let (workspace, rooms) = S::rooms(workspace);
        rooms.make_room(&schedule.buffers, groups, lanes);
        Some(Pass {
            description: &self.description,
            layers: &self.layers,
            kernel: self.kernel,
            schedule,
            workspace,
            buffers: &mut rooms.buffers,
            inputs: S::inputs(inputs, &mut rooms.inputs),
            samples,
            noise: shard.noise,
            share: (samples as f64 / shard.batch_samples as f64) as f32,
            groups,
            fixed,
            loss: &*self.loss,
        })
    }

    /// Computes all values up to the logits: from the inputs, or behind the front from its entries.
    pub(super) fn run_forward<S: Stored>(&self, pass: &mut Pass<'_, S>, entries: Option<&Entries<'_>>) {
        self.run_up_to(self.description.logits(), pass, entries);
        pass.workspace.hear(|| "end".into());
    }

    /// Computes the values of the operations in front of number `end`: the prefix group by group, then one
    /// operation after the other.
    pub(super) fn run_up_to<S: Stored>(
        &self,
        end: usize,
        pass: &mut Pass<'_, S>,
        entries: Option<&Entries<'_>>,
    ) {
        pass.fix();
        let start = entries.map_or(0, |entries| entries.front);
        let (prefix, groups) = (pass.schedule.prefix.max(start), pass.groups);
        for group in 0..groups {
            if let Some(entries) = entries {
                entries.load(pass, group);
            }
            self.run_operations(pass, start..prefix, group..group + 1);
        }
        self.run_operations(pass, prefix..end, 0..groups);
    }

    /// Computes the values that these operations write, for these groups.
    fn run_operations<S: Stored>(&self, pass: &mut Pass<'_, S>, numbers: Range<usize>, groups: Range<usize>) {
        for operation in &self.description.operations()[numbers] {
            if pass.schedule.merged[operation.output] {
                continue;
            }
            pass.workspace.hear(|| format!("forward {}", operation.label()));
            let mut output = pass.take_value(operation.output);
            let (groups, into) = (groups.clone(), &mut output[..]);
            match operation.kind {
                Kind::Convolution(_) => convolution::forward(pass, operation, groups, into),
                Kind::Linear { .. } | Kind::Classifier => linear::forward(pass, operation, into),
                Kind::Addition => addition::forward(pass, operation, groups, into),
                Kind::MaxPool | Kind::WideMaxPool => pool::greatest(pass, operation, groups, into),
                Kind::AveragePool => pool::mean(pass, operation, groups, into),
                Kind::Concatenation => concatenation::forward(pass, operation, groups, into),
                Kind::Gelu => gelu::forward(pass, operation, groups, into),
                Kind::Sum => sum::forward(pass, operation, groups, into),
                Kind::LayerNorm => layer_norm::forward(pass, operation, groups, into),
                Kind::Patches { .. } => patches::forward(pass, operation, groups, into),
                Kind::Attention { .. } => attention::forward(pass, operation, groups, into),
                Kind::Dropout { .. } => dropout::forward(pass, operation, groups, into),
            }
            pass.put_value(operation.output, output);
        }
    }

    /// Computes all gradients from those of the logits down.
    fn run_backward<S: Stored>(&self, pass: &mut Pass<'_, S>, wanted: &mut Wanted<'_>) {
        for operation in self.description.operations().iter().rev() {
            if !self.description.is_active(operation.output, pass.schedule.reach) {
                continue;
            }
            pass.workspace.hear(|| format!("backward {}", operation.label()));
            match operation.kind {
                Kind::Convolution(_) | Kind::Linear { .. } | Kind::Classifier => {
                    self.layer_backward(pass, operation, wanted);
                }
                Kind::Addition => addition::backward(pass, operation),
                Kind::MaxPool | Kind::WideMaxPool | Kind::AveragePool => pool::backward(pass, operation),
                Kind::Concatenation => concatenation::backward(pass, operation),
                Kind::Gelu => gelu::backward(pass, operation),
                Kind::Sum => sum::backward(pass, operation),
                Kind::LayerNorm => layer_norm::backward(pass, operation),
                Kind::Patches { .. } => patches::backward(pass, operation),
                Kind::Attention { .. } => attention::backward(pass, operation),
                Kind::Dropout { .. } => dropout::backward(pass, operation),
            }
            // A convolution settles on its way.
            for &value in &operation.reads {
                let completes = pass.schedule.completes[value] == Some(operation.output);
                if completes && !matches!(operation.kind, Kind::Convolution(_)) {
                    settle::whole(pass, value);
                }
            }
        }
        pass.workspace.hear(|| "end".into());
    }

    /// The gradients of a layer's parameters and of its input.
    fn layer_backward<S: Stored>(
        &self,
        pass: &mut Pass<'_, S>,
        operation: &Operation,
        wanted: &mut Wanted<'_>,
    ) {
        let layer = operation.layer();
        let Layer { weights, affine, .. } = &self.layers[layer];
        let geometry = &self.description.layers[layer].geometry;
        let backward = if geometry.is_linear { linear::backward } else { convolution::backward };
        if pass.schedule.reach == Reach::Input {
            pass.differentiate(layer, &mut vec![0.0; geometry.outputs() * affine.names().len()]);
            return backward(pass, operation, &Taps::default(), &mut []);
        }
        pass.differentiate(layer, &mut wanted.part[self.part.affine[layer].clone()]);
        let gradients = match self.frozen.contains(operation.block) {
            // Behind a block that trains it only hands the gradient on.
            true if wanted.observed.is_empty() => {
                return backward(pass, operation, &Taps::default(), &mut []);
            }
            true => &mut wanted.observed[self.part.observed[layer].clone()],
            false => &mut wanted.part[self.part.weights[layer].clone()],
        };
        let Some((extra, range)) = self.extra_range(wanted.extra, layer) else {
            return backward(pass, operation, &weights.forward.taps, gradients);
        };
        let (all, sums) = wanted.extra_gradients[range].split_at_mut(extra.indices().len());
        if let Some(kind) = extra.sums() {
            sums::add_up(pass, operation, kind, sums);
        }
        if all.is_empty() {
            return backward(pass, operation, &weights.forward.taps, gradients);
        }
        let is_dense = weights.masked && all.len() == geometry.weights() && all.len() > gradients.len();
        pass.workspace.dense_gradients += u64::from(is_dense);
        // The gradient of a weight does not depend on which others there are.
        let taps = extra.taps.get_or_init(|| weights.taps_of(extra.indices()));
        backward(pass, operation, taps, all);
        let mut places = extra.indices().iter().zip(&*all);
        for (gradient, index) in gradients.iter_mut().zip(&weights.indices) {
            let own = places.find(|(other, _)| *other == index);
            *gradient = *own.expect("extra gradients are those of all existing weights, too").1;
        }
    }
}
