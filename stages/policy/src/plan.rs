//! The plan of a run: what its configuration fixes before the first step.

mod planning;

use std::sync::Arc;

use spfde_data::{Architecture, FrozenBlocks};

use crate::cost::{count_epoch, frozen_blocks};
use crate::mask::{Sampling, extra};
use crate::{Cost, MaskPolicy, Needs, Spans, count};

/// Densities, freezing times, sizes of the active set and cost of every epoch, from the configuration alone.
///
/// ```
/// use std::sync::Arc;
/// use spfde_policy::freeze::{FreezeContext, Progressive};
/// use spfde_policy::mask::{Dense, MaskContext};
/// use spfde_policy::sieve::{All, SieveContext};
/// use spfde_policy::{Plan, example, freeze, mask, sieve};
/// let architecture = example::residual(&[16, 32, 64], 3, 28);
/// let (seed, epochs, samples) = (1, 20, 60_000);
/// let context = MaskContext { seed, epochs, architecture: Arc::clone(&architecture) };
/// let masks = mask::policy(Dense {}, &context)?;
/// let sieves = sieve::policy(All {}, &SieveContext { seed, epochs, samples })?;
/// let context = FreezeContext::new(epochs, Arc::clone(&architecture));
/// let freezes = freeze::policy(Progressive { flops_reduction: 0.15, ..Progressive::default() }, &context)?;
/// let plan = Plan::new(architecture, epochs, samples, &masks, &*freezes, &*sieves)?;
/// assert!(plan.reduction() >= 0.15);
/// assert_eq!(plan.spans(21).iter().count(), 0); // the classifier never freezes
/// # Ok::<(), spfde_data::parameter::ParameterError>(())
/// ```
#[derive(Clone)]
pub struct Plan {
    /// The network.
    pub architecture: Arc<Architecture>,
    /// How many epochs the run has.
    pub epochs: u32,
    /// How many samples the data set has.
    pub samples: u32,
    /// When each block is frozen, as far as the plan says: from the first step of an epoch on (0: it never
    /// trains).
    pub frozen: Vec<Spans>,
    /// The samples trained in each epoch.
    pub active_samples: Vec<u32>,
    /// The cost of each epoch.
    pub cost: Vec<Cost>,
    /// The cost of the whole run with the same mask and sieve if nothing freezes.
    pub unfrozen_cost: Cost,
    /// The cost of one epoch on the full data set without mask or freezing.
    pub dense_cost: Cost,
    /// What a user should know of the plan, such as why nothing freezes.
    pub note: Option<String>,
    /// Whether each layer is masked.
    pub masked: Vec<bool>,
    /// Existing weights by epoch and layer.
    nonzero: Vec<Vec<u32>>,
    /// What the masks do if a later decision leaves the plan.
    mask: Arc<dyn MaskPolicy>,
}

impl Plan {
    /// When a layer is frozen; the classifier never is.
    pub fn spans(&self, layer: usize) -> &Spans {
        self.frozen.get(self.architecture.layers[layer].block).unwrap_or(Spans::NONE)
    }

    /// How many blocks are frozen during `epoch`, all of them at the front.
    pub fn frozen_blocks(&self, epoch: u32) -> usize {
        frozen_blocks(&self.frozen, epoch).prefix()
    }

    /// What a step computes for mask updates, beyond the gradients of existing weights: the layers,
    /// ascending, and of which weights; none of those in `frozen` blocks. `when` is as
    /// [`mask::extra`](crate::mask::extra()) has it.
    pub fn extra(&self, when: [u32; 3], frozen: impl Into<FrozenBlocks>) -> Vec<(usize, Needs)> {
        if self.mask.most_needed() < Needs::Candidates {
            return Vec::new();
        }
        let needs = |layer: usize| extra(&*self.mask, layer, self.spans(layer), self.epochs, when);
        let frozen = frozen.into();
        let layers = self.architecture.layers.iter().enumerate();
        let training = layers.filter(|(_, layer)| !frozen.contains(layer.block));
        let asked = training.map(|(layer, _)| (layer, needs(layer)));
        asked.filter(|(_, needs)| *needs >= Needs::Candidates).collect()
    }

    /// The layers, ascending, of which a step computes the [sums](crate::mask::Sampling::sums) by which the
    /// candidates of the next one are drawn; `when` and `frozen` as [`extra`](Self::extra) has them.
    pub fn summed(&self, [epoch, step, steps]: [u32; 3], frozen: impl Into<FrozenBlocks>) -> Vec<usize> {
        if self.mask.sampling() == Sampling::Uniform || step + 1 >= steps {
            return Vec::new();
        }
        let next = self.extra([epoch, step + 1, steps], frozen).into_iter();
        next.filter(|(_, needs)| *needs == Needs::Candidates).map(|(layer, _)| layer).collect()
    }

    /// The FLOPs of [`extra`](Self::extra) and [`summed`](Self::summed) in an epoch whose steps have so
    /// many samples each, with `nonzero` existing weights in each layer; in epoch 0 with what the mask is
    /// chosen by. Dense gradients count existing weights again, which backward passes count, too.
    pub fn extra_flops(
        &self,
        epoch: u32,
        frozen: impl Into<FrozenBlocks>,
        nonzero: &[u32],
        batches: &[u32],
    ) -> u64 {
        let (layers, frozen) = (&self.architecture.layers, &frozen.into());
        let weights = |(layer, needs): (usize, Needs)| match needs {
            Needs::DenseGradient => layers[layer].weights() as u64,
            _ => u64::from(self.mask.candidate_count(layer, nonzero[layer])),
        };
        let of_layer =
            |asked: (usize, Needs)| weights(asked).saturating_mul(layers[asked.0].flops_per_weight());
        let steps = batches.len() as u32;
        let sums =
            |layer: usize| self.mask.sampling().sums(&layers[layer]) * layers[layer].flops_per_weight();
        let of_step = |(step, samples): (u32, &u32)| {
            let when = [epoch, step, steps];
            let asked = self.extra(when, frozen).into_iter().map(of_layer);
            let asked = asked.chain(self.summed(when, frozen).into_iter().map(sums));
            asked.fold(0, u64::saturating_add).saturating_mul(u64::from(*samples))
        };
        let chosen = if epoch == 0 { self.mask.samples_to_choose(batches) } else { 0 };
        let dense: Vec<u32> = layers.iter().map(|layer| layer.weights() as u32).collect();
        let before = count(&self.architecture, &dense, 0, 1).total().saturating_mul(chosen);
        (0..).zip(batches).map(of_step).fold(before, u64::saturating_add)
    }

    /// The existing weights of every layer during `epoch`.
    ///
    /// # Panics
    /// If the run has no such epoch.
    pub fn nonzero(&self, epoch: u32) -> &[u32] {
        &self.nonzero[epoch as usize]
    }

    /// The existing weights of every layer during `epoch`, if block `b` was frozen during `frozen[b]`,
    /// planned or not.
    ///
    /// A block that is frozen as planned keeps to the plan. One that froze at another time follows the mask
    /// of its own plan until then; at that moment it is pruned to its target, which it keeps until its first
    /// update after a thaw.
    ///
    /// # Panics
    /// If the run has no such epoch, or `frozen` does not have one entry per block, or names an epoch that
    /// the run does not have.
    pub fn nonzero_given(&self, epoch: u32, frozen: &[Spans]) -> Vec<u32> {
        self.nonzero_after(&self.frozen, epoch, frozen)
    }

    /// The existing weights of every layer during `epoch`, if blocks left what was `planned` for them.
    fn nonzero_after(&self, planned: &[Spans], epoch: u32, frozen: &[Spans]) -> Vec<u32> {
        assert_eq!(frozen.len(), self.architecture.blocks.len(), "freezing times for each block");
        let layers = self.architecture.layers.iter().enumerate();
        let nonzero = layers.map(|(index, layer)| {
            let planned = planned.get(layer.block).unwrap_or(Spans::NONE);
            let latest = frozen.get(layer.block).and_then(|spans| spans.latest(epoch));
            let updates =
                |thaw: u32| (thaw + 1..=epoch).any(|at| self.mask.needs(index, at, planned) > Needs::Nothing);
            match latest {
                Some((from, until)) if planned.latest(epoch) != latest && !until.is_some_and(updates) => {
                    self.mask.nonzero(index, from, &Spans::from(from))
                }
                _ => self.mask.nonzero(index, epoch, planned),
            }
        });
        nonzero.collect()
    }

    /// What each layer costs in `epoch` with so many existing weights in each, frozen blocks and samples.
    pub fn spent(&self, epoch: u32, nonzero: &[u32], frozen: &FrozenBlocks, samples: u32) -> Vec<Cost> {
        count_epoch(&self.architecture, &*self.mask, epoch, nonzero, frozen, samples)
    }

    /// The cost of the whole run.
    pub fn total(&self) -> Cost {
        self.cost.iter().copied().sum()
    }

    /// The share of the run's FLOPs that freezing saves, compared with the same mask and sieve.
    pub fn reduction(&self) -> f64 {
        self.total().reduction_from(&self.unfrozen_cost)
    }

    /// The cost of the whole run if block `b` is frozen during `frozen[b]` without being planned: until it
    /// freezes a layer follows the mask of one that never does, and then it goes as in
    /// [`nonzero_given`](Self::nonzero_given).
    ///
    /// # Panics
    /// If `frozen` does not have one entry per block, or names an epoch that the run does not have.
    pub fn cost_of(&self, frozen: &[Spans]) -> Cost {
        let never = vec![Spans::never(); frozen.len()];
        let epoch_cost = |epoch: u32| {
            let nonzero = self.nonzero_after(&never, epoch, frozen);
            let samples = self.active_samples[epoch as usize];
            self.spent(epoch, &nonzero, &frozen_blocks(frozen, epoch), samples).into_iter().sum::<Cost>()
        };
        (0..self.epochs).map(epoch_cost).sum()
    }
}

#[cfg(test)]
mod tests;
