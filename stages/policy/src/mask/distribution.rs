//! How a sparsity is distributed over the masked layers: `uniform`, or `erk`, the Erdős–Rényi kernel
//! distribution of RigL ([arXiv 1911.11134](https://arxiv.org/abs/1911.11134), section 3, after SET,
//! [arXiv 1707.04780](https://arxiv.org/abs/1707.04780)).
//!
//! ```
//! use spfde_policy::{example, mask::distribution};
//! let architecture = example::perceptron(&[100, 400, 10]);
//! assert_eq!(distribution::uniform(&architecture, 0.9), [1.0 - 0.9, 1.0]); // the last layer stays dense
//! ```

use spfde_data::{Architecture, LayerKind, LayerShape, ParameterError, counted};

use crate::share_of;

/// Which layers are masked: every convolution but the first, every linear layer but the last. The first and
/// the last layer hold few weights and much of the accuracy (MEST keeps both dense).
pub fn masked(architecture: &Architecture) -> Vec<bool> {
    let layers = &architecture.layers;
    let first = layers.iter().position(|layer| layer.kind == LayerKind::Convolution);
    let last = layers.iter().rposition(|layer| layer.kind == LayerKind::Linear);
    (0..layers.len()).map(|layer| Some(layer) != first && Some(layer) != last).collect()
}

/// The density of every layer when all masked layers have the same sparsity; 1 for the others.
pub fn uniform(architecture: &Architecture, sparsity: f64) -> Vec<f64> {
    masked(architecture).into_iter().map(|masked| if masked { 1.0 - sparsity } else { 1.0 }).collect()
}

/// The density of every layer by the Erdős–Rényi kernel rule; 1 for layers that are not masked.
///
/// Densities are proportional to `(out + in + ky + kx) / (out · in · ky · kx)` (a linear layer has no kernel:
/// `(out + in) / (out · in)`), capped at 1, with a factor such that all masked layers together have the
/// sparsity asked for. Small layers keep more of their weights, large ones fewer.
pub fn erk(architecture: &Architecture, sparsity: f64) -> Vec<f64> {
    let mut densities = uniform(architecture, sparsity);
    let weights = |layer: usize| architecture.layers[layer].weights() as f64;
    let mut open: Vec<usize> =
        (0..densities.len()).zip(masked(architecture)).filter(|(_, m)| *m).map(|(l, _)| l).collect();
    let mut budget: f64 = open.iter().map(|layer| (1.0 - sparsity) * weights(*layer)).sum();
    let score = |layer: &usize| erk_score(&architecture.layers[*layer]);
    while !open.is_empty() {
        let scored: f64 = open.iter().map(|layer| score(layer) * weights(*layer)).sum();
        let (factor, highest) = (budget / scored, open.iter().map(score).fold(0.0, f64::max));
        if factor * highest <= 1.0 {
            open.iter().for_each(|layer| densities[*layer] = factor * score(layer));
            break;
        }
        // What the highest layers cannot hold goes to the others: they become dense, the rest is dealt anew.
        let (full, rest): (Vec<usize>, _) = open.into_iter().partition(|layer| score(layer) == highest);
        for layer in full {
            densities[layer] = 1.0;
            budget -= weights(layer);
        }
        open = rest;
    }
    densities
}

/// Sum over product of a layer's dimensions.
fn erk_score(layer: &LayerShape) -> f64 {
    let kernel = match layer.kind {
        LayerKind::Convolution => layer.kernel.0 + layer.kernel.1,
        LayerKind::Linear => 0,
    };
    (layer.outputs + layer.inputs + kernel) as f64 / layer.weights() as f64
}

spfde_data::choice! {
    /// How a sparsity is distributed over the masked layers.
    pub enum Distribution {
        /// All masked layers have the same.
        Uniform = "uniform",
        /// By the Erdős–Rényi kernel rule.
        Erk = "erk",
    }
}

/// What every layer's mask ends with.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Whether a layer is masked.
    pub masked: Vec<bool>,
    /// The density of each layer, 1 if it is not masked.
    pub densities: Vec<f64>,
    /// The weights of each dense layer.
    pub weights: Vec<u32>,
}

impl Targets {
    /// No layer is masked.
    pub fn dense(architecture: &Architecture) -> Self {
        let layers = architecture.layers.len();
        let count = |layer: &LayerShape| {
            u32::try_from(layer.weights()).expect("a layer's weights are numbered by u32")
        };
        let weights = architecture.layers.iter().map(count).collect();
        Self { masked: vec![false; layers], densities: vec![1.0; layers], weights }
    }

    /// Every masked layer at its share of `sparsity`.
    ///
    /// # Errors
    /// If a masked layer is left without any weight.
    pub fn new(
        architecture: &Architecture,
        distribution: Distribution,
        sparsity: f64,
    ) -> Result<Self, ParameterError> {
        let densities = match distribution {
            Distribution::Uniform => uniform(architecture, sparsity),
            Distribution::Erk => erk(architecture, sparsity),
        };
        let targets = Self { masked: masked(architecture), densities, ..Self::dense(architecture) };
        // A layer without weights passes nothing on: the network behind it would learn a constant.
        match (0..targets.weights.len()).find(|layer| targets.count(*layer) == 0) {
            None => Ok(targets),
            Some(layer) => Err(ParameterError::contradiction(
                "mask.sparsity",
                format!(
                    "{sparsity} leaves none of the {} of layer {layer} (`{}`); choose less, or a wider model",
                    counted(targets.weights[layer], "weight"),
                    architecture.layers[layer].name
                ),
            )),
        }
    }

    /// The weights of a layer at its target density.
    pub fn count(&self, layer: usize) -> u32 {
        share_of(self.densities[layer], self.weights[layer])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn first_convolution_and_last_linear_layer_stay_dense() {
        assert_eq!(masked(&example::perceptron(&[8, 8, 8, 8])), [true, true, false]);
        let residual = example::residual(&[4, 8], 1, 8);
        let dense: Vec<&str> = (residual.layers.iter().zip(masked(&residual)))
            .filter(|(_, masked)| !masked)
            .map(|(layer, _)| layer.name.as_str())
            .collect();
        assert_eq!(dense, ["stem", "classifier"]);
    }

    #[test]
    fn erk_keeps_the_total_and_the_proportions_and_caps_at_dense() {
        for architecture in [
            example::residual(&[16, 32, 64], 3, 28),
            example::residual(&[4, 8], 2, 28),
            example::perceptron(&[784, 1024, 1024, 10]),
            example::perceptron(&[2, 3, 500, 500, 10]),
        ] {
            for sparsity in [0.0, 0.1, 0.5, 0.8, 0.9, 0.99] {
                let densities = erk(&architecture, sparsity);
                let masked = masked(&architecture);
                let layers: Vec<usize> = (0..masked.len()).filter(|layer| masked[*layer]).collect();
                let weights = |layer: usize| architecture.layers[layer].weights() as f64;
                let all: f64 = layers.iter().map(|layer| weights(*layer)).sum();
                let kept: f64 = layers.iter().map(|layer| densities[*layer] * weights(*layer)).sum();
                assert!((kept / all - (1.0 - sparsity)).abs() < 1e-12, "{sparsity}: {kept} of {all}");
                // One factor for all layers below the cap; every layer at the cap would exceed it.
                let scores: Vec<f64> = architecture.layers.iter().map(super::erk_score).collect();
                let below: Vec<usize> =
                    layers.iter().copied().filter(|layer| densities[*layer] < 1.0).collect();
                let factor = below.first().map(|layer| densities[*layer] / scores[*layer]);
                for layer in layers {
                    assert!((0.0..=1.0).contains(&densities[layer]));
                    if let Some(factor) = factor {
                        if densities[layer] < 1.0 {
                            assert!((densities[layer] / scores[layer] / factor - 1.0).abs() < 1e-9);
                        } else {
                            assert!(factor * scores[layer] > 1.0 - 1e-9, "{layer} need not be dense");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn erk_of_a_small_network_by_hand() {
        // Masked: 4×2 and 4×4, scores 6/8 and 8/16. At sparsity ½ twelve weights: ε(6 + 8) = 12, ε = 6/7:
        // densities 9/14 and 3/7. At sparsity 0.2: 19.2 weights, ε = 19.2/14 and 0.75 ε > 1: the first is
        // dense, the second gets 11.2 of 16.
        let architecture = example::perceptron(&[2, 4, 4, 3]);
        let near = |left: &[f64], right: [f64; 3]| {
            assert!(
                left.iter().zip(right).all(|(left, right)| (left - right).abs() < 1e-12),
                "{left:?} {right:?}"
            );
        };
        near(&erk(&architecture, 0.5), [9.0 / 14.0, 3.0 / 7.0, 1.0]);
        near(&erk(&architecture, 0.2), [1.0, 0.7, 1.0]);
    }

    #[test]
    fn a_sparsity_that_empties_a_layer_is_refused() {
        let architecture = example::perceptron(&[4, 5, 5, 2]);
        let error = Targets::new(&architecture, Distribution::Uniform, 0.99).unwrap_err().to_string();
        assert!(
            error.starts_with("`mask.sparsity`: 0.99 leaves none of the 20 weights of layer 0"),
            "{error}"
        );
    }
}
