//! What an epoch costs: FLOPs of convolutions and linear layers on existing weights, 2 per multiply-add.
//!
//! Forward is `f = Σ nonzero · FLOPs per weight · samples`. Backward is `2f` (gradient of the activations and
//! of the weights), `f` for a layer that reads the network's input or the output of the frozen prefix (the
//! gradient of its input is not needed), and 0 for the frozen prefix. A frozen block behind one that trains
//! has no gradient of its weights, but hands that of its input on: `f`. Norms, activations, mask updates and
//! evaluation are not counted. The convention of three forward passes per training step is that of RigL
//! ([arXiv 1911.11134](https://arxiv.org/abs/1911.11134)) and MEST ([arXiv
//! 2110.14032](https://arxiv.org/abs/2110.14032)); that freezing saves the backward passes is SpFDE's ([arXiv
//! 2209.11204](https://arxiv.org/abs/2209.11204), section 3).

use std::iter::Sum;
use std::ops::Add;

use spfde_data::{Architecture, FreezeRow, FrozenBlocks};

use crate::{MaskPolicy, Spans};

/// FLOPs. Sums stop at 2^64 − 1, centuries of a processor's work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of the forward passes.
    pub forward: u64,
    /// Of the backward passes.
    pub backward: u64,
}

impl Cost {
    /// Forward and backward together.
    pub fn total(&self) -> u64 {
        self.forward.saturating_add(self.backward)
    }

    /// The share of `reference` that this cost saves: `1 − total / reference.total`; negative if it costs
    /// more, 0 if the reference costs nothing.
    ///
    /// ```
    /// use spfde_policy::Cost;
    /// let frozen = Cost { forward: 100, backward: 100 };
    /// assert_eq!(frozen.reduction_from(&Cost { forward: 100, backward: 150 }), 0.2);
    /// ```
    pub fn reduction_from(&self, reference: &Cost) -> f64 {
        let (own, reference) = (i128::from(self.total()), i128::from(reference.total()));
        if reference == 0 { 0.0 } else { (reference - own) as f64 / reference as f64 }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            forward: self.forward.saturating_add(other.forward),
            backward: self.backward.saturating_add(other.backward),
        }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}

/// The cost of one epoch of `samples` samples with `nonzero[layer]` existing weights and `frozen` blocks; a
/// number is that of the first ones.
///
/// # Panics
/// If `nonzero` does not have one entry per layer, or more blocks are frozen than exist.
///
/// ```
/// use spfde_policy::{count, example};
/// let architecture = example::perceptron(&[3, 4, 2]);
/// // Forward 2 · 12 + 2 · 8 = 40; backward 24 for the layer that reads the input, 2 · 16 for the classifier.
/// let cost = count(&architecture, &[12, 8], 0, 1);
/// assert_eq!((cost.forward, cost.backward), (40, 56));
/// // Frozen: nothing for the first layer, 16 for the classifier, whose input needs no gradient any more.
/// assert_eq!(count(&architecture, &[12, 8], 1, 1).backward, 16);
/// ```
pub fn count(network: &Architecture, nonzero: &[u32], frozen: impl Into<FrozenBlocks>, samples: u32) -> Cost {
    count_layers(network, nonzero, frozen, samples).into_iter().sum()
}

/// As [`count`], layer by layer.
///
/// # Panics
/// As [`count`].
pub fn count_layers(
    network: &Architecture,
    nonzero: &[u32],
    frozen: impl Into<FrozenBlocks>,
    samples: u32,
) -> Vec<Cost> {
    let (frozen, blocks) = (frozen.into(), network.blocks.len());
    assert_eq!(nonzero.len(), network.layers.len(), "one count of existing weights per layer");
    assert!(frozen.end() <= blocks, "{frozen} of {blocks} blocks are frozen");
    let classifier = network.layers.iter().position(|layer| layer.block == blocks);
    let layers = network.layers.iter().zip(nonzero).enumerate();
    let cost = layers.map(|(index, (layer, &nonzero))| {
        let per_sample = u64::from(nonzero).saturating_mul(layer.flops_per_weight());
        let forward = per_sample.saturating_mul(u64::from(samples));
        let first_active = layer.block == frozen.prefix();
        let reads_prefix = first_active && (layer.reads_block_input || classifier == Some(index));
        let of_weights = !frozen.contains(layer.block);
        let of_input = layer.block >= frozen.prefix() && !reads_prefix;
        Cost { forward, backward: forward.saturating_mul(u64::from(of_weights) + u64::from(of_input)) }
    });
    cost.collect()
}

/// As [`count_layers`] in `epoch` under a mask policy: backward passes also give the gradients of absent
/// weights that train.
///
/// # Panics
/// As [`count`].
pub fn count_epoch(
    network: &Architecture,
    mask: &dyn MaskPolicy,
    epoch: u32,
    nonzero: &[u32],
    frozen: impl Into<FrozenBlocks>,
    samples: u32,
) -> Vec<Cost> {
    let frozen = frozen.into();
    let mut costs = count_layers(network, nonzero, &frozen, samples);
    let layers = network.layers.iter().zip(nonzero).enumerate();
    for (index, (layer, nonzero)) in layers.filter(|(_, (layer, _))| !frozen.contains(layer.block)) {
        let explored = u64::from(mask.explored(index, epoch, *nonzero));
        let flops = explored.saturating_mul(layer.flops_per_weight()).saturating_mul(u64::from(samples));
        costs[index].backward = costs[index].backward.saturating_add(flops);
    }
    costs
}

/// The FLOPs of observing in one epoch what does not train: what the backward passes of the `active` samples
/// take for the gradients of `frozen` blocks, and the forward passes of the `outside` ones.
///
/// # Panics
/// As [`count`].
///
/// ```
/// use spfde_policy::{cost::observed, count, example};
/// let architecture = example::perceptron(&[3, 4, 2]);
/// // One active sample, the first layer frozen: 24 for its weights, 16 for the input of the classifier.
/// assert_eq!(observed(&architecture, &[12, 8], 1, 1, 0), 24 + 16);
/// // Ten more outside: ten forward passes.
/// assert_eq!(observed(&architecture, &[12, 8], 1, 1, 10), 24 + 16 + 10 * 40);
/// ```
pub fn observed(
    network: &Architecture,
    nonzero: &[u32],
    frozen: impl Into<FrozenBlocks>,
    active: u32,
    outside: u32,
) -> u64 {
    let frozen = [FrozenBlocks::default(), frozen.into()];
    let [all, own] = frozen.map(|frozen| count(network, nonzero, frozen, active));
    let outside = count(network, nonzero, 0, outside).forward;
    all.backward.saturating_sub(own.backward).saturating_add(outside)
}

/// The blocks that are frozen during `epoch`, when block `b` is frozen during `frozen[b]`.
pub fn frozen_blocks(frozen: &[Spans], epoch: u32) -> FrozenBlocks {
    frozen.iter().map(|spans| spans.is_frozen(epoch)).collect()
}

/// The blocks that are frozen once the layers of these rows have frozen or thawed.
///
/// # Errors
/// If a layer belongs to no block of the network; in words.
pub fn frozen_blocks_after(
    network: &Architecture,
    frozen: &FrozenBlocks,
    rows: &[FreezeRow],
) -> Result<FrozenBlocks, String> {
    let mut frozen: Vec<bool> = (0..network.blocks.len()).map(|block| frozen.contains(block)).collect();
    let (thaws, freezes): (Vec<&FreezeRow>, _) = rows.iter().partition(|row| row.diff < 0);
    for row in thaws.into_iter().chain(freezes) {
        let layer = network.layers.get(usize::from(row.layer));
        let block = layer.and_then(|layer| frozen.get_mut(layer.block));
        *block.ok_or_else(|| format!("layer is {}, which is in no block that freezes", row.layer))? =
            row.diff > 0;
    }
    Ok(frozen.into_iter().collect())
}

/// What a configuration will cost, as a function of when its blocks are frozen: what a policy plans with.
#[derive(Clone, Copy)]
pub struct Costs<'a> {
    /// The network.
    pub architecture: &'a Architecture,
    /// Gives the existing weights of every layer in every epoch.
    pub mask: &'a dyn MaskPolicy,
    /// The samples trained in each epoch: as many entries as the run has epochs.
    pub active_samples: &'a [u32],
}

impl Costs<'_> {
    /// The existing weights of every layer during `epoch`, if block `b` is frozen during `frozen[b]`.
    ///
    /// # Panics
    /// If `frozen` does not have one entry per block.
    pub fn nonzero(&self, epoch: u32, frozen: &[Spans]) -> Vec<u32> {
        assert_eq!(frozen.len(), self.architecture.blocks.len(), "freezing times for each block");
        let layers = self.architecture.layers.iter().enumerate();
        let spans = |block: usize| frozen.get(block).unwrap_or(Spans::NONE);
        layers.map(|(index, layer)| self.mask.nonzero(index, epoch, spans(layer.block))).collect()
    }

    /// The cost of one epoch, if block `b` is frozen during `frozen[b]`.
    ///
    /// # Panics
    /// If the run has no such epoch, or `frozen` does not have one entry per block.
    pub fn epoch(&self, epoch: u32, frozen: &[Spans]) -> Cost {
        let samples = self.active_samples[epoch as usize];
        let (nonzero, blocks) = (self.nonzero(epoch, frozen), frozen_blocks(frozen, epoch));
        count_epoch(self.architecture, self.mask, epoch, &nonzero, blocks, samples).into_iter().sum()
    }

    /// The cost of the whole run, if block `b` is frozen during `frozen[b]`.
    ///
    /// # Panics
    /// If `frozen` does not have one entry per block.
    pub fn total(&self, frozen: &[Spans]) -> Cost {
        (0..self.active_samples.len() as u32).map(|epoch| self.epoch(epoch, frozen)).sum()
    }
}

#[cfg(test)]
mod tests;
