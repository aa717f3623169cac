//! Masks that are chosen before training, by what an untrained network says of its weights.

use super::Targets;
use super::selection::lowest;
use super::units::sorted;
use spfde_data::ParameterError;

/// An untrained network, as a rule sees it that chooses the initial mask. All numbers are by layer and,
/// within it, by row-major index.
pub trait Untrained {
    /// The initial weights of all layers, as if all existed.
    fn weights(&self) -> Vec<Vec<f32>>;

    /// The gradients of the mean loss over the first so many batches of epoch 0, with respect to all weights,
    /// at these. The loss is the cross-entropy of the logits divided by a temperature.
    fn gradients(&mut self, weights: &[Vec<f32>], batches: u32, temperature: f64) -> Vec<Vec<f32>>;

    /// The gradients of the sum of the outputs for an input of ones, with respect to all weights, at these,
    /// in the network without norms and biases. Weights are not negative, and so no value is.
    fn flow(&mut self, weights: &[Vec<f32>]) -> Vec<Vec<f32>>;
}

spfde_data::choice! {
    /// Over which weights scores are ranked.
    pub enum Scope {
        /// Over those of all layers at once.
        Global = "global",
        /// In each layer, which keeps its density.
        Layer = "layer",
    }
}

/// |w · g| of all weights and their gradients.
pub(super) fn products(weights: &[Vec<f32>], gradients: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let product = |(weight, gradient): (&f32, &f32)| (f64::from(*weight) * f64::from(*gradient)).abs();
    let layers = weights.iter().zip(gradients);
    layers.map(|(weights, gradients)| weights.iter().zip(gradients).map(product).collect()).collect()
}

/// The masks that keep the greatest scores, which are not negative; `count` weights in all where they are
/// ranked together. No layer is left empty.
pub(super) fn greatest(scores: &[Vec<f64>], targets: &Targets, scope: Scope, count: u64) -> Vec<Vec<u32>> {
    let layers = 0..targets.masked.len();
    let scored = |layer: usize| scores[layer].iter().copied().zip(0u32..);
    if scope == Scope::Layer {
        let mask =
            |layer: usize| targets.units[layer].greatest(&[], scored(layer), targets.count(layer) as usize);
        return layers.map(|layer| if targets.masked[layer] { mask(layer) } else { Vec::new() }).collect();
    }
    let masked: Vec<usize> = layers.clone().filter(|layer| targets.masked[*layer]).collect();
    let key = |score: f64| !super::selection::order_of(score);
    // The first of each layer stays in any case.
    let first = |layer: usize| scored(layer).map(|(score, index)| (key(score), index)).min();
    let mut masks: Vec<Vec<u32>> = vec![Vec::new(); targets.masked.len()];
    let mut keyed = Vec::new();
    for layer in &masked {
        let spared = first(*layer).map(|(_, index)| index);
        masks[*layer].extend(spared);
        let others = scored(*layer).filter(|(_, index)| Some(*index) != spared);
        keyed.extend(others.map(|(score, index)| (key(score), *layer as u32, index)));
    }
    let keys = keyed.iter().zip(0u32..).map(|((key, ..), at)| (*key, at));
    for at in lowest(keys, (count as usize).saturating_sub(masked.len())) {
        let (_, layer, index) = keyed[at as usize];
        masks[layer as usize].push(index);
    }
    masks.into_iter().map(sorted).collect()
}

/// The weights of all masked layers at their target densities.
pub(super) fn total(targets: &Targets) -> u64 {
    let layers = (0..targets.masked.len()).filter(|layer| targets.masked[*layer]);
    layers.map(|layer| u64::from(targets.count(layer))).sum()
}

/// These targets; refuses units of several weights where single ones are ranked over all layers.
pub(super) fn check_scope(targets: Targets, scope: Scope) -> Result<Targets, ParameterError> {
    use super::Granularity::Unstructured;
    match scope == Scope::Layer || targets.units.iter().all(|units| units.granularity() == Unstructured) {
        true => Ok(targets),
        false => Err(ParameterError::contradiction(
            "mask.granularity",
            "weights that are ranked over all layers are `unstructured`; or set `mask.scope` to `layer`",
        )),
    }
}
