//! The plan of a run: what its configuration fixes before the first step.

use std::sync::Arc;

use spfde_data::architecture::Architecture;
use spfde_data::parameter::ParameterError;

use crate::cost::{Cost, Costs, count, frozen_blocks};
use crate::freeze::FreezePolicy;
use crate::mask::MaskPolicy;
use crate::sieve::SievePolicy;

/// Densities, freezing times, sizes of the active set and cost of every epoch, from the configuration alone.
///
/// ```
/// use std::sync::Arc;
/// use spfde_data::parameter::Parameters;
/// use spfde_policy::{FreezeContext, MaskContext, Plan, SieveContext, example, freeze, mask, sieve};
/// let architecture = example::residual(&[16, 32, 64], 3, 28);
/// let (seed, epochs, samples) = (1, 20, 60_000);
/// let none = Parameters::default();
/// let context = MaskContext { seed, epochs, architecture: Arc::clone(&architecture) };
/// let masks = mask::build("dense", &none, &context)?;
/// let sieves = sieve::build("none", &none, &SieveContext { seed, epochs, samples })?;
/// let context = FreezeContext {
///     epochs, architecture: Arc::clone(&architecture), mask_interval: 2, reduction_required: true,
/// };
/// let entry = freeze::registry().iter().find(|entry| entry.name == "progressive").expect("it is registered");
/// let freezes = freeze::build("progressive", &Parameters::defaults(&(entry.parameters)()), &context)?;
/// let plan = Plan::new(architecture, epochs, samples, &*masks, &*freezes, &*sieves)?;
/// assert!(plan.reduction() >= 0.15);
/// assert_eq!(plan.layer_frozen_at(21), None); // the classifier
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
    /// When each block freezes: at the first step of that epoch (0: it never trains); `None` if the plan does not
    /// freeze it.
    pub frozen_at: Vec<Option<u32>>,
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
        let frozen_at = freeze.frozen_at;
        check(&frozen_at, blocks, epochs);
        let never = vec![None; blocks];
        let weights = |layer: usize| architecture.layers[layer].weights() as u32;
        let dense: Vec<u32> = (0..layers).map(weights).collect();
        let by_epoch = |of: &dyn Fn(u32) -> Vec<u32>| (0..epochs).map(of).collect();
        let counts = Counts {
            planned: by_epoch(&|epoch| costs.nonzero(epoch, &frozen_at)),
            unfrozen: by_epoch(&|epoch| costs.nonzero(epoch, &never)),
            frozen: by_epoch(&|epoch| costs.nonzero(epoch, &vec![Some(epoch); blocks])),
        };
        Ok(Self {
            cost: (0..epochs).map(|epoch| costs.epoch(epoch, &frozen_at)).collect(),
            unfrozen_cost: costs.total(&never),
            dense_cost: count(&architecture, &dense, 0, samples),
            masked: (0..layers).map(|layer| mask.masked(layer)).collect(),
            note: freeze.note,
            counts: Arc::new(counts),
            architecture,
            epochs,
            samples,
            frozen_at,
            active_samples,
        })
    }

    /// When a layer freezes; the classifier never does.
    pub fn layer_frozen_at(&self, layer: usize) -> Option<u32> {
        self.frozen_at.get(self.architecture.layers[layer].block).copied().flatten()
    }

    /// How many blocks are frozen during `epoch`.
    pub fn frozen_blocks(&self, epoch: u32) -> usize {
        frozen_blocks(&self.frozen_at, epoch)
    }

    /// The existing weights of every layer during `epoch`.
    ///
    /// # Panics
    /// If the run has no such epoch.
    pub fn nonzero(&self, epoch: u32) -> &[u32] {
        &self.counts.planned[epoch as usize]
    }

    /// The existing weights of every layer during `epoch`, if block `b` has frozen at `frozen_at[b]`, planned or not; a
    /// block without a time there has not frozen so far.
    ///
    /// A block that freezes as planned keeps to the plan. One that freezes at another time follows the mask of its own
    /// plan until then, and at that moment is pruned to its target.
    ///
    /// # Panics
    /// If the run has no such epoch, or `frozen_at` does not have one entry per block, or names an epoch that the run
    /// does not have.
    pub fn nonzero_given(&self, epoch: u32, frozen_at: &[Option<u32>]) -> Vec<u32> {
        assert_eq!(frozen_at.len(), self.architecture.blocks.len(), "one freezing time per block");
        let layers = self.architecture.layers.iter().enumerate();
        let nonzero = layers.map(|(index, layer)| match frozen_at.get(layer.block).copied().flatten() {
            Some(at) if at <= epoch && self.layer_frozen_at(index) != Some(at) => {
                self.counts.frozen[at as usize][index]
            }
            _ => self.counts.planned[epoch as usize][index],
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

    /// The cost of the whole run if blocks freeze at the given times without being planned: until then a layer
    /// follows the mask of a layer that never freezes, and at that moment it is pruned to its target.
    ///
    /// # Panics
    /// If `frozen_at` does not have one entry per block, or names an epoch the run does not have.
    pub fn cost_of(&self, frozen_at: &[Option<u32>]) -> Cost {
        assert_eq!(frozen_at.len(), self.architecture.blocks.len(), "one freezing time per block");
        let epoch_cost = |epoch: u32| {
            let layers = self.architecture.layers.iter().enumerate();
            let nonzero = layers.map(|(index, layer)| match frozen_at.get(layer.block).copied().flatten() {
                Some(at) if at <= epoch => self.counts.frozen[at as usize][index],
                _ => self.counts.unfrozen[epoch as usize][index],
            });
            let nonzero: Vec<u32> = nonzero.collect();
            let samples = self.active_samples[epoch as usize];
            count(&self.architecture, &nonzero, frozen_blocks(frozen_at, epoch), samples)
        };
        (0..self.epochs).map(epoch_cost).sum()
    }
}

/// Panics unless blocks freeze front to back and before the end.
fn check(frozen_at: &[Option<u32>], blocks: usize, epochs: u32) {
    assert_eq!(frozen_at.len(), blocks, "one freezing time per block");
    assert!(
        frozen_at.iter().flatten().all(|at| *at < epochs),
        "a block freezes before the end: {frozen_at:?} of {epochs} epochs"
    );
    let in_order = |pair: &[Option<u32>]| match (pair[0], pair[1]) {
        (Some(front), Some(behind)) => front <= behind,
        (None, Some(_)) => false,
        (_, None) => true,
    };
    assert!(frozen_at.windows(2).all(in_order), "blocks freeze front to back: {frozen_at:?}");
}

#[cfg(test)]
mod tests;
