//! What an epoch costs: FLOPs of convolutions and linear layers on existing weights, 2 per multiply-add.
//!
//! Forward is `f = Σ nonzero · FLOPs per weight · samples`. Backward is `2f` (gradient of the activations and
//! of the weights), `f` for a layer that reads the network's input or the output of the frozen prefix (the
//! gradient of its input is not needed), and 0 for the frozen prefix. Norms, activations, mask updates and
//! evaluation are not counted. The convention of three forward passes per training step is that of RigL
//! ([arXiv 1911.11134](https://arxiv.org/abs/1911.11134)) and MEST ([arXiv
//! 2110.14032](https://arxiv.org/abs/2110.14032)); that freezing saves the backward passes is SpFDE's ([arXiv
//! 2209.11204](https://arxiv.org/abs/2209.11204), section 3).

use std::iter::Sum;
use std::ops::Add;

use spfde_data::{Architecture, FreezeRow};

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

/// The cost of one epoch of `samples` samples with `nonzero[layer]` existing weights and the first
/// `frozen` blocks frozen.
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
pub fn count(network: &Architecture, nonzero: &[u32], frozen: usize, samples: u32) -> Cost {
    count_layers(network, nonzero, frozen, samples).into_iter().sum()
}

/// As [`count`], layer by layer.
///
/// # Panics
/// As [`count`].
pub fn count_layers(network: &Architecture, nonzero: &[u32], frozen: usize, samples: u32) -> Vec<Cost> {
    let blocks = network.blocks.len();
    assert_eq!(nonzero.len(), network.layers.len(), "one count of existing weights per layer");
    assert!(frozen <= blocks, "{frozen} of {blocks} blocks are frozen");
    let classifier = network.layers.iter().position(|layer| layer.block == blocks);
    let layers = network.layers.iter().zip(nonzero).enumerate();
    let cost = layers.map(|(index, (layer, &nonzero))| {
        let per_sample = u64::from(nonzero).saturating_mul(layer.flops_per_weight());
        let forward = per_sample.saturating_mul(u64::from(samples));
        let first_active = layer.block == frozen;
        let reads_prefix = first_active && (layer.reads_block_input || classifier == Some(index));
        let backward = match (layer.block < frozen, reads_prefix) {
            (true, _) => 0,
            (false, true) => forward,
            (false, false) => forward.saturating_mul(2),
        };
        Cost { forward, backward }
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
    frozen: usize,
    samples: u32,
) -> Vec<Cost> {
    let mut costs = count_layers(network, nonzero, frozen, samples);
    let layers = network.layers.iter().zip(nonzero).enumerate();
    for (index, (layer, nonzero)) in layers.filter(|(_, (layer, _))| layer.block >= frozen) {
        let explored = u64::from(mask.explored(index, epoch, *nonzero));
        let flops = explored.saturating_mul(layer.flops_per_weight()).saturating_mul(u64::from(samples));
        costs[index].backward = costs[index].backward.saturating_add(flops);
    }
    costs
}

/// The FLOPs of observing in one epoch what does not train: the backward passes that go on through the frozen
/// blocks for the `active` samples, and the forward passes of the `outside` ones.
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
pub fn observed(network: &Architecture, nonzero: &[u32], frozen: usize, active: u32, outside: u32) -> u64 {
    let backward = |frozen: usize| count(network, nonzero, frozen, active).backward;
    let prefix = backward(0).saturating_sub(backward(frozen));
    prefix.saturating_add(count(network, nonzero, frozen, outside).forward)
}

/// How many blocks of the front are frozen during `epoch`, when block `b` is frozen during `frozen[b]`.
pub fn frozen_blocks(frozen: &[Spans], epoch: u32) -> usize {
    frozen.iter().take_while(|spans| spans.is_frozen(epoch)).count()
}

/// How many blocks of the front are frozen once the layers of these rows have frozen or thawed.
///
/// # Errors
/// If a layer belongs to no block of the network, or frozen blocks would form no prefix; in words.
pub fn frozen_blocks_after(
    network: &Architecture,
    frozen: usize,
    rows: &[FreezeRow],
) -> Result<usize, String> {
    let mut frozen: Vec<bool> = (0..network.blocks.len()).map(|block| block < frozen).collect();
    let (thaws, freezes): (Vec<&FreezeRow>, _) = rows.iter().partition(|row| row.diff < 0);
    for row in thaws.into_iter().chain(freezes) {
        let layer = network.layers.get(usize::from(row.layer));
        let block = layer.and_then(|layer| frozen.get_mut(layer.block));
        *block.ok_or_else(|| format!("layer is {}, which is in no block that freezes", row.layer))? =
            row.diff > 0;
    }
    let prefix = frozen.iter().take_while(|frozen| **frozen).count();
    match frozen[prefix..].contains(&true) {
        true => Err(format!("frozen blocks form a prefix, not {frozen:?}")),
        false => Ok(prefix),
    }
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
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn shortcut_and_first_convolution_behind_the_prefix_need_no_gradient_of_their_input() {
        let network = example::residual(&[2, 4], 1, 4);
        // stem, block1.convolution1, block1.convolution2, block2.convolution1, .convolution2, .shortcut,
        // classifier
        let nonzero = [10, 20, 30, 40, 50, 60, 70];
        // 4 · 4 positions in the first stage, 2 · 2 in the second, 1 for the classifier; three samples.
        let forward: Vec<u64> = nonzero
            .iter()
            .zip([16, 16, 16, 4, 4, 4, 1])
            .map(|(nonzero, positions)| 2 * 3 * u64::from(*nonzero) * positions)
            .collect();
        let passes = [[1, 2, 2, 2, 2, 2, 2], [0, 0, 0, 1, 2, 1, 2], [0, 0, 0, 0, 0, 0, 1]];
        for (frozen, passes) in passes.iter().enumerate() {
            let cost = count(&network, &nonzero, frozen, 3);
            assert_eq!(cost.forward, forward.iter().sum::<u64>());
            let backward: u64 = forward.iter().zip(passes).map(|(forward, passes)| forward * passes).sum();
            assert_eq!(cost.backward, backward, "{frozen} frozen blocks");
        }
    }

    #[test]
    fn a_dense_residual_network_costs_what_its_formulas_say() {
        // ResNet-32 of double width: 5 blocks of 2 convolutions in each of 3 stages, multiply-adds by hand.
        let stem = 32 * 9 * 1024;
        let first = 10 * 32 * 32 * 9 * 1024;
        let second = (64 * 32 * 9 + 9 * 64 * 64 * 9 + 64 * 32) * 256;
        let third = (128 * 64 * 9 + 9 * 128 * 128 * 9 + 128 * 64) * 64;
        let forward = 2 * (stem + first + second + third + 1280) * 50_000;
        let network = example::residual(&[32, 64, 128], 5, 32);
        let dense: Vec<u32> = network.layers.iter().map(|layer| layer.weights() as u32).collect();
        let cost = count(&network, &dense, 0, 50_000);
        assert_eq!(cost.forward, forward);
        assert_eq!(cost.backward, 2 * forward - 2 * stem * 50_000);
    }

    #[test]
    fn behind_frozen_blocks_the_classifier_needs_no_gradient_of_its_input() {
        let mut network = Architecture::clone(&example::residual(&[2], 1, 4));
        let classifier = network.layers.last_mut().unwrap();
        classifier.reads_block_input = false;
        assert_eq!(count(&network, &[0, 0, 0, 5], 0, 1), Cost { forward: 10, backward: 20 });
        assert_eq!(count(&network, &[0, 0, 0, 5], 1, 1), Cost { forward: 10, backward: 10 });
    }

    #[test]
    fn only_an_unbroken_prefix_counts_as_frozen() {
        let frozen = [Some(2), None, Some(1)].map(Spans::from_start);
        assert_eq!((0..4).map(|epoch| frozen_blocks(&frozen, epoch)).collect::<Vec<_>>(), [0, 0, 1, 1]);
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let huge = Cost { forward: u64::MAX, backward: 1 };
        assert_eq!((huge + huge).total(), u64::MAX);
        assert_eq!(huge.reduction_from(&huge), 0.0);
        assert_eq!(Cost::default().reduction_from(&Cost::default()), 0.0);
    }
}
