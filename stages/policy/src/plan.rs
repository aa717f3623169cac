//! The plan of a run: what its configuration fixes before the first step.

use std::sync::Arc;

use spfde_data::architecture::Architecture;
use spfde_data::parameter::ParameterError;

use crate::Spans;
use crate::cost::{Cost, Costs, count, dense_gradients, frozen_blocks};
use crate::freeze::FreezePolicy;
use crate::mask::{MaskPolicy, Needs};
use crate::sieve::SievePolicy;

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
/// let masks = mask::policy(Dense {}, &MaskContext { seed, epochs, architecture: Arc::clone(&architecture) })?;
/// let sieves = sieve::policy(All {}, &SieveContext { seed, epochs, samples })?;
/// let context = FreezeContext {
///     epochs, architecture: Arc::clone(&architecture), mask_interval: 2, reduction_required: true,
/// };
/// let freezes = freeze::policy(Progressive { flops_reduction: 0.15, ..Progressive::default() }, &context)?;
/// let plan = Plan::new(architecture, epochs, samples, &*masks, &*freezes, &*sieves)?;
/// assert!(plan.reduction() >= 0.15);
/// assert_eq!(plan.spans(21).iter().count(), 0); // the classifier never freezes
/// # Ok::<(), spfde_data::parameter::ParameterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    /// The network.
    pub architecture: Arc<Architecture>,
    /// How many epochs the run has.
    pub epochs: u32,
    /// How many samples the data set has.
    pub samples: u32,
    /// When each block is frozen, as far as the plan says: from the first step of an epoch on (0: it never trains).
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
    counts: Arc<Counts>,
    /// By epoch, the layers whose dense gradient its last step computes.
    dense_gradients: Arc<Vec<Vec<usize>>>,
}

/// Existing weights by epoch and layer, with which any later decision can be costed without the policy.
#[derive(Debug)]
struct Counts {
    planned: Vec<Vec<u32>>,
    unfrozen: Vec<Vec<u32>>,
    /// What a layer keeps if its block freezes at that epoch.
    frozen: Vec<Vec<u32>>,
}

impl Plan {
    /// Plans a run of `epochs` epochs on a data set of `samples` samples.
    ///
    /// # Errors
    /// If the freezing that was asked for cannot be reached.
    ///
    /// # Panics
    /// If a policy breaks its promises: a plan that freezes blocks out of order or after the end.
    pub fn new(
        architecture: Arc<Architecture>,
        epochs: u32,
        samples: u32,
        mask: &dyn MaskPolicy,
        freeze: &dyn FreezePolicy,
        sieve: &dyn SievePolicy,
    ) -> Result<Self, ParameterError> {
        let active_samples: Vec<u32> = (0..epochs).map(|epoch| sieve.active_samples(epoch)).collect();
        let costs = Costs { architecture: &architecture, mask, active_samples: &active_samples };
        let blocks = architecture.blocks.len();
        let layers = architecture.layers.len();
        let freeze = freeze.plan(&costs)?;
        let frozen = freeze.frozen;
        check(&frozen, blocks, epochs);
        let never = vec![Spans::never(); blocks];
        let weights = |layer: usize| architecture.layers[layer].weights() as u32;
        let dense: Vec<u32> = (0..layers).map(weights).collect();
        let by_epoch = |of: &dyn Fn(u32) -> Vec<u32>| (0..epochs).map(of).collect();
        let counts = Counts {
            planned: by_epoch(&|epoch| costs.nonzero(epoch, &frozen)),
            unfrozen: by_epoch(&|epoch| costs.nonzero(epoch, &never)),
            frozen: by_epoch(&|epoch| costs.nonzero(epoch, &vec![Spans::from(epoch); blocks])),
        };
        let spans = |layer: usize| frozen.get(architecture.layers[layer].block).unwrap_or(Spans::none());
        let wants =
            |epoch: u32, layer: usize| mask.needs(layer, epoch + 1, spans(layer)) == Needs::DenseGradient;
        let dense_gradients =
            (0..epochs).map(|epoch| (0..layers).filter(|layer| wants(epoch, *layer)).collect()).collect();
        Ok(Self {
            cost: (0..epochs).map(|epoch| costs.epoch(epoch, &frozen)).collect(),
            unfrozen_cost: costs.total(&never),
            dense_cost: count(&architecture, &dense, 0, samples),
            masked: (0..layers).map(|layer| mask.masked(layer)).collect(),
            note: freeze.note,
            counts: Arc::new(counts),
            dense_gradients: Arc::new(dense_gradients),
            architecture,
            epochs,
            samples,
            frozen,
            active_samples,
        })
    }

    /// When a layer is frozen; the classifier never is.
    pub fn spans(&self, layer: usize) -> &Spans {
        self.frozen.get(self.architecture.layers[layer].block).unwrap_or(Spans::none())
    }

    /// How many blocks are frozen during `epoch`.
    pub fn frozen_blocks(&self, epoch: u32) -> usize {
        frozen_blocks(&self.frozen, epoch)
    }

    /// The layers whose dense gradient the last step of `epoch` computes, but for those in the first `frozen_blocks`
    /// blocks.
    pub fn dense_gradients(&self, epoch: u32, frozen_blocks: usize) -> impl Iterator<Item = usize> + '_ {
        let layers = self.dense_gradients.get(epoch as usize).into_iter().flatten().copied();
        layers.filter(move |layer| self.architecture.layers[*layer].block >= frozen_blocks)
    }

    /// The FLOPs of these, if the step has `samples` samples.
    pub fn extra_flops(&self, epoch: u32, frozen_blocks: usize, samples: u32) -> u64 {
        dense_gradients(&self.architecture, self.dense_gradients(epoch, frozen_blocks), samples)
    }

    /// The existing weights of every layer during `epoch`.
    ///
    /// # Panics
    /// If the run has no such epoch.
    pub fn nonzero(&self, epoch: u32) -> &[u32] {
        &self.counts.planned[epoch as usize]
    }

    /// The existing weights of every layer during `epoch`, if block `b` was frozen during `frozen[b]`, planned or not.
    ///
    /// A block that is frozen as planned keeps to the plan. One that froze at another time follows the mask of its own
    /// plan until then, and at that moment is pruned to its target.
    ///
    /// # Panics
    /// If the run has no such epoch, or `frozen` does not have one entry per block, or names an epoch that the run
    /// does not have.
    pub fn nonzero_given(&self, epoch: u32, frozen: &[Spans]) -> Vec<u32> {
        let since = |layer: usize, at: u32| self.spans(layer).since(epoch) == Some(at);
        self.pruned(epoch, frozen, &self.counts.planned[epoch as usize], since)
    }

    /// The weights of every layer: of one that is frozen since an epoch that is not `planned` those that it kept then,
    /// of any other those of `otherwise`.
    fn pruned(
        &self,
        epoch: u32,
        frozen: &[Spans],
        otherwise: &[u32],
        planned: impl Fn(usize, u32) -> bool,
    ) -> Vec<u32> {
        assert_eq!(frozen.len(), self.architecture.blocks.len(), "freezing times for each block");
        let layers = self.architecture.layers.iter().enumerate();
        let nonzero =
            layers.map(|(index, layer)| match frozen.get(layer.block).and_then(|spans| spans.since(epoch)) {
                Some(at) if !planned(index, at) => self.counts.frozen[at as usize][index],
                _ => otherwise[index],
            });
        nonzero.collect()
    }

    /// The cost of the whole run.
    pub fn total(&self) -> Cost {
        self.cost.iter().copied().sum()
    }

    /// The share of the run's FLOPs that freezing saves, compared with the same mask and sieve.
    pub fn reduction(&self) -> f64 {
        self.total().reduction_from(&self.unfrozen_cost)
    }

    /// The cost of the whole run if block `b` is frozen during `frozen[b]` without being planned: until it freezes a layer
    /// follows the mask of one that never does, and at that moment it is pruned to its target.
    ///
    /// # Panics
    /// If `frozen` does not have one entry per block, or names an epoch that the run does not have.
    pub fn cost_of(&self, frozen: &[Spans]) -> Cost {
        let epoch_cost = |epoch: u32| {
            let nonzero = self.pruned(epoch, frozen, &self.counts.unfrozen[epoch as usize], |_, _| false);
            let samples = self.active_samples[epoch as usize];
            count(&self.architecture, &nonzero, frozen_blocks(frozen, epoch), samples)
        };
        (0..self.epochs).map(epoch_cost).sum()
    }
}

/// Panics unless the frozen blocks are a prefix in every epoch, and freeze before the end.
fn check(frozen: &[Spans], blocks: usize, epochs: u32) {
    assert_eq!(frozen.len(), blocks, "freezing times for each block");
    assert!(
        frozen.iter().flat_map(Spans::iter).all(|(from, _)| from < epochs),
        "a block freezes before the end: {frozen:?} of {epochs} epochs"
    );
    for epoch in 0..epochs {
        let prefix = frozen_blocks(frozen, epoch);
        let behind = frozen[prefix..].iter().any(|spans| spans.is_frozen(epoch));
        assert!(!behind, "blocks freeze front to back: {frozen:?}");
    }
}

#[cfg(test)]
mod tests;
