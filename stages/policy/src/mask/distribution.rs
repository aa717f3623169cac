//! How a sparsity is distributed over the masked layers.
//!
//! | `mask.distribution` | the density of a layer is proportional to |
//! |---|---|
//! | `uniform` | 1 |
//! | `er` | (out + in) / (out · in), Erdős–Rényi (SET, [arXiv 1707.04780](https://arxiv.org/abs/1707.04780)) |
//! | `erk` | (out + in + ky + kx) / (out · in · ky · kx) (RigL, [arXiv 1911.11134](https://arxiv.org/abs/1911.11134), section 3) |
//! | `er-patches` | (out + in · ky · kx) / (out · in · ky · kx) (GSE's `er`, [arXiv 2401.06898](https://arxiv.org/abs/2401.06898)) |
//!
//! ```
//! use spfde_policy::mask::{Distribution, Targets};
//! let architecture = spfde_policy::example::perceptron(&[100, 400, 10]);
//! let targets = Targets::new(&architecture, Distribution::Uniform, 0.75)?;
//! assert_eq!(targets.densities, [0.25, 1.0]); // the last layer stays dense
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{Architecture, LayerKind, LayerShape, ParameterError, counted};

use super::granularity::Granularity;
use super::{DENSITIES, Layers, Units, listed};

/// Which layers are masked: every convolution but the first, every linear layer but the last, not those whose
/// channels read a single one each. The first, the last and depthwise layers hold few weights and much of the
/// accuracy (MEST keeps the first and the last dense, RigL the depthwise ones of MobileNet).
pub fn masked(architecture: &Architecture) -> Vec<bool> {
    masked_layers(architecture, true, true)
}

fn masked_layers(architecture: &Architecture, dense_first: bool, dense_last: bool) -> Vec<bool> {
    let layers = &architecture.layers;
    let first = layers.iter().position(|layer| layer.kind == LayerKind::Convolution);
    let last = layers.iter().rposition(|layer| layer.kind == LayerKind::Linear);
    let is_depthwise = |layer: &LayerShape| layer.kind == LayerKind::Convolution && layer.inputs == 1;
    let masked = |layer| match Some(layer) {
        // The first convolution reads a single channel of a grey image.
        layer if layer == first => !dense_first,
        layer if layer == last => !dense_last,
        _ => !is_depthwise(&layers[layer]),
    };
    (0..layers.len()).map(masked).collect()
}

spfde_data::choice! {
    /// How a sparsity is distributed over the masked layers.
    pub enum Distribution {
        /// All masked layers have the same.
        Uniform = "uniform",
        /// By the Erdős–Rényi rule over channels.
        Er = "er",
        /// By the Erdős–Rényi kernel rule.
        Erk = "erk",
        /// By the Erdős–Rényi rule over the matrix that a convolution multiplies its patches with.
        ErPatches = "er-patches",
    }
}

impl Distribution {
    /// The densities of these layers, which have the sparsity asked for together.
    ///
    /// But for `uniform` they are proportional to a score, capped at 1: small layers keep more of their
    /// weights, large ones fewer.
    pub fn densities(self, layers: &[&LayerShape], sparsity: f64) -> Vec<f64> {
        let mut densities = vec![1.0 - sparsity; layers.len()];
        if self == Self::Uniform {
            return densities;
        }
        let score = |layer: &usize| self.score(layers[*layer]);
        let weights = |layer: usize| layers[layer].weights() as f64;
        let mut open: Vec<usize> = (0..layers.len()).collect();
        let mut budget: f64 = open.iter().map(|layer| (1.0 - sparsity) * weights(*layer)).sum();
        while !open.is_empty() {
            let scored: f64 = open.iter().map(|layer| score(layer) * weights(*layer)).sum();
            let (factor, highest) = (budget / scored, open.iter().map(score).fold(0.0, f64::max));
            if factor * highest <= 1.0 {
                open.iter().for_each(|layer| densities[*layer] = factor * score(layer));
                break;
            }
            // What the highest layers cannot hold goes to the others: they become dense, the rest is dealt
            // anew.
            let (full, rest): (Vec<usize>, _) = open.into_iter().partition(|layer| score(layer) == highest);
            for layer in full {
                densities[layer] = 1.0;
                budget -= weights(layer);
            }
            open = rest;
        }
        densities
    }

    /// What a layer's density is proportional to: sum over product of its dimensions. `er` leaves the kernel
    /// out, `er-patches` counts it with the inputs.
    fn score(self, layer: &LayerShape) -> f64 {
        let (outputs, inputs, (rows, columns)) = (layer.outputs, layer.inputs, layer.kernel);
        let kernel = if layer.kind == LayerKind::Convolution { rows + columns } else { 0 };
        let (sum, product) = match self {
            Self::Uniform => (1, 1),
            Self::Er => (outputs + inputs, outputs * inputs),
            Self::Erk => (outputs + inputs + kernel, layer.weights()),
            Self::ErPatches => (outputs + inputs * rows * columns, layer.weights()),
        };
        sum as f64 / product as f64
    }
}

/// What every layer's mask ends with.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Whether a layer is masked.
    pub masked: Vec<bool>,
    /// The density of each layer, 1 if it is not masked.
    pub densities: Vec<f64>,
    /// The units of each layer's weights.
    pub units: Vec<Units>,
}

impl Targets {
    /// No layer is masked.
    ///
    /// # Panics
    /// If a layer has more weights than `u32` numbers.
    pub fn dense(architecture: &Architecture) -> Self {
        let layers = &architecture.layers;
        let are_numbered = layers.iter().all(|layer| u32::try_from(layer.weights()).is_ok());
        assert!(are_numbered, "a layer's weights are numbered by u32");
        let units = layers.iter().map(|layer| Granularity::Unstructured.units(layer)).collect();
        Self { masked: vec![false; layers.len()], densities: vec![1.0; layers.len()], units }
    }

    /// Every masked layer at its share of `sparsity`, weight by weight.
    ///
    /// # Errors
    /// If a masked layer is left without any weight.
    pub fn new(
        architecture: &Architecture,
        distribution: Distribution,
        sparsity: f64,
    ) -> Result<Self, ParameterError> {
        Self::of(architecture, &Layers { sparsity, distribution, ..Layers::default() })
    }

    /// Every masked layer at its share of the sparsity; those that `densities` names have theirs, and the
    /// distribution deals the sparsity among the others.
    ///
    /// `densities` holds pairs `name = density`, parted by commas. A name may hold `*`, which stands for any
    /// text; of several that match the last holds. A density of 1 leaves a layer dense.
    ///
    /// # Errors
    /// If a masked layer is left without any weight, or `densities` or `granularity` say nothing that fits.
    pub fn of(architecture: &Architecture, axes: &Layers<'_>) -> Result<Self, ParameterError> {
        let dense = Self::dense(architecture);
        let granularity = Granularity::parse(axes.granularity)?;
        let sparsity = granularity.sparsity(axes.sparsity)?;
        let layers = &architecture.layers;
        let own = listed::densities(axes.densities, layers)?;
        let by_default = masked_layers(architecture, axes.dense_first, axes.dense_last);
        let masked: Vec<bool> =
            by_default.iter().zip(&own).map(|(masked, own)| own.map_or(*masked, |own| own < 1.0)).collect();
        let dealt: Vec<usize> =
            (0..layers.len()).filter(|layer| masked[*layer] && own[*layer].is_none()).collect();
        let shapes: Vec<&LayerShape> = dealt.iter().map(|layer| &layers[*layer]).collect();
        let mut densities: Vec<f64> = own.iter().map(|own| own.unwrap_or(1.0)).collect();
        for (layer, density) in dealt.iter().zip(axes.distribution.densities(&shapes, sparsity)) {
            densities[*layer] = density;
        }
        let units = (0..layers.len()).map(|layer| match masked[layer] {
            true => granularity.units(&layers[layer]),
            false => dense.units[layer],
        });
        let targets = Self { units: units.collect(), masked, densities };
        // A layer without weights passes nothing on: the network behind it would learn a constant.
        match (0..layers.len()).find(|layer| targets.count(*layer) == 0) {
            None => Ok(targets),
            Some(layer) => Err(ParameterError::contradiction(
                if own[layer].is_some() { DENSITIES } else { "mask.sparsity" },
                format!(
                    "{} leaves none of the {} of layer {layer} (`{}`); choose less, or a wider model",
                    own[layer].unwrap_or(axes.sparsity),
                    counted(targets.units[layer].weights(), "weight"),
                    layers[layer].name
                ),
            )),
        }
    }

    /// The weights of a layer at its target density.
    pub fn count(&self, layer: usize) -> u32 {
        self.units[layer].count(self.densities[layer])
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

    /// The densities, whether or not a layer is left without weights.
    fn erk(architecture: &Architecture, axes: &Layers<'_>) -> Vec<f64> {
        let masked = masked(architecture);
        let shapes = architecture.layers.iter().zip(&masked).filter(|(_, masked)| **masked);
        let shapes: Vec<&LayerShape> = shapes.map(|(layer, _)| layer).collect();
        let mut dealt = axes.distribution.densities(&shapes, axes.sparsity).into_iter();
        masked.iter().map(|masked| if *masked { dealt.next().unwrap() } else { 1.0 }).collect()
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
                let axes = Layers { sparsity, distribution: Distribution::Erk, ..Layers::default() };
                // Some sparsities empty a layer; the rule holds of them, too.
                let densities = erk(&architecture, &axes);
                let masked = masked(&architecture);
                let layers: Vec<usize> = (0..masked.len()).filter(|layer| masked[*layer]).collect();
                let weights = |layer: usize| architecture.layers[layer].weights() as f64;
                let all: f64 = layers.iter().map(|layer| weights(*layer)).sum();
                let kept: f64 = layers.iter().map(|layer| densities[*layer] * weights(*layer)).sum();
                assert!((kept / all - (1.0 - sparsity)).abs() < 1e-12, "{sparsity}: {kept} of {all}");
                // One factor for all layers below the cap; every layer at the cap would exceed it.
                let scores: Vec<f64> =
                    architecture.layers.iter().map(|layer| Distribution::Erk.score(layer)).collect();
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
        let erk = |sparsity| {
            erk(&architecture, &Layers { sparsity, distribution: Distribution::Erk, ..Layers::default() })
        };
        near(&erk(0.5), [9.0 / 14.0, 3.0 / 7.0, 1.0]);
        near(&erk(0.2), [1.0, 0.7, 1.0]);
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
