//! `grasp`: gradient signal preservation before training (GraSP,
//! [arXiv 2002.07376](https://arxiv.org/abs/2002.07376), algorithm 1).
//!
//! The mask drops the weights with the greatest −w · Hg, whose removal reduces the norm of the gradient g
//! least or even raises it; H is the Hessian of the loss over the first batches of epoch 0. It never
//! changes. The best weight of each layer stays, so that none is empty.
//!
//! Hg is the central difference of two gradients at w ± ε g, where the paper differentiates twice. Behind
//! ReLUs that is a rough estimate, because a gradient jumps where a value crosses 0. In a network of eight
//! convolutions 46 % of the best tenth of the weights were those of an exact Hg; no ε had more than 52 %.
//! As in the authors' code the loss divides logits by `mask.temperature`. Three dense gradients are
//! computed before the first step; their FLOPs stand in `epochs.extra_flops` of epoch 0.
//!
//! ```
//! use spfde_policy::mask::{self, Grasp, MaskContext};
//! use spfde_policy::example;
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Grasp::default(), &context)?;
//! assert_eq!(policy.samples_to_choose(&[128, 128]), 3 * 128); // of the first batch, three times
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{Architecture, ParameterError};

use super::axes::mask_parameters;
use super::untrained::{check_scope, greatest, total};
use super::{MaskDelta, MaskRule, MaskUpdate, Scope, Targets, Untrained};

/// The length of ε g, as a share of that of the weights.
const REACH: f64 = 1e-2;

mask_parameters! {
    /// Gradient signal preservation before training.
    pub struct Grasp: layers {
        /// batches of epoch 0 over which the dense gradients are taken
        pub batches: u32 = 1, 1..=1000;
        /// what logits are divided by in the loss
        pub temperature: f64 = 200.0, 1e-3..=1e6;
        /// whether weights are ranked over all layers or in each
        pub scope: Scope = Scope::Global, ..;
    }
}

impl MaskRule for Grasp {
    const NAME: &'static str = "grasp";
    const SUMMARY: &'static str = "keeps the weights that preserve the gradient's norm before training";
    const SCHEDULED: bool = false;
    type State = ();

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        check_scope(self.layers().targets(architecture)?, self.scope)
    }

    fn samples_to_choose(&self, batches: &[u32]) -> u64 {
        3 * batches.iter().take(self.batches as usize).map(|samples| u64::from(*samples)).sum::<u64>()
    }

    fn choose(&self, network: &mut dyn Untrained, targets: &Targets) -> Option<Vec<Vec<u32>>> {
        let weights = network.weights();
        let gradients = network.gradients(&weights, self.batches, self.temperature);
        let norm = |layers: &[Vec<f32>]| {
            layers.iter().flatten().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
        };
        let reach = REACH * norm(&weights) / norm(&gradients).max(f64::MIN_POSITIVE);
        let mut moved = |sign: f64| {
            let value = |(weight, gradient): (&f32, &f32)| {
                (f64::from(*weight) + sign * reach * f64::from(*gradient)) as f32
            };
            let layer = |(weights, gradients): (&Vec<f32>, &Vec<f32>)| {
                weights.iter().zip(gradients).map(value).collect()
            };
            let weights: Vec<Vec<f32>> = weights.iter().zip(&gradients).map(layer).collect();
            network.gradients(&weights, self.batches, self.temperature)
        };
        let (ahead, behind) = (moved(1.0), moved(-1.0));
        // w · Hg but for a positive factor.
        let score = |((weight, ahead), behind): ((&f32, &f32), &f32)| {
            f64::from(*weight) * (f64::from(*ahead) - f64::from(*behind))
        };
        let layers = weights.iter().zip(&ahead).zip(&behind);
        let mut scores: Vec<Vec<f64>> = layers
            .map(|((weights, ahead), behind)| weights.iter().zip(ahead).zip(behind).map(score).collect())
            .collect();
        // The ranking takes scores that are not negative.
        let least = scores.iter().flatten().copied().fold(0.0, f64::min);
        scores.iter_mut().flatten().for_each(|score| *score -= least);
        Some(greatest(&scores, targets, self.scope, total(targets)))
    }

    fn update(&self, _: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        MaskDelta::default()
    }
}
