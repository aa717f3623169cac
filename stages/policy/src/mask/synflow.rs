//! `synflow`: iterative synaptic flow pruning before training, without data (SynFlow,
//! [arXiv 2006.05467](https://arxiv.org/abs/2006.05467), algorithm 1).
//!
//! In the network with the absolute values of its weights, without norms, R is the sum of the outputs for an
//! input of ones. A weight's score is |w| · ∂R/∂|w|. In each of `mask.rounds` rounds the mask keeps the
//! weights with the greatest scores over all masked layers, and the density falls exponentially to the
//! target. The mask never changes afterwards, and no layer is ever empty. Layer norms stay: values and
//! scores behind one may be negative, and their magnitudes count.
//!
//! ```
//! use spfde_policy::mask::{self, MaskContext, SynFlow};
//! use spfde_policy::example;
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(SynFlow { rounds: 50, ..SynFlow::default() }, &context)?;
//! assert_eq!(policy.samples_to_choose(&[128, 128]), 50); // an input of ones in each round, no data
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{Architecture, ParameterError};

use super::axes::mask_parameters;
use super::untrained::{check_scope, greatest, products, total};
use super::{MaskDelta, MaskRule, MaskUpdate, Scope, Targets, Untrained};

mask_parameters! {
    /// Iterative synaptic flow pruning before training.
    pub struct SynFlow: layers {
        /// rounds of pruning
        pub rounds: u32 = 100, 1..=10_000;
    }
}

impl MaskRule for SynFlow {
    const NAME: &'static str = "synflow";
    const SUMMARY: &'static str = "keeps the weights that carry most flow through the untrained network";
    const SCHEDULED: bool = false;
    type State = ();

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        check_scope(self.layers().targets(architecture)?, Scope::Global)
    }

    fn samples_to_choose(&self, _: &[u32]) -> u64 {
        u64::from(self.rounds)
    }

    fn choose(&self, network: &mut dyn Untrained, targets: &Targets) -> Option<Vec<Vec<u32>>> {
        let mut weights = network.weights();
        weights.iter_mut().flatten().for_each(|weight| *weight = weight.abs());
        let masked = (0..targets.masked.len()).filter(|layer| targets.masked[*layer]);
        let all: u64 = masked.map(|layer| u64::from(targets.units[layer].weights())).sum();
        let end = total(targets) as f64 / all.max(1) as f64;
        let mut masks = Vec::new();
        for round in 1..=self.rounds {
            let scores = products(&weights, &network.flow(&weights));
            let share = end.powf(f64::from(round) / f64::from(self.rounds));
            let count =
                if round == self.rounds { total(targets) } else { (share * all as f64).round() as u64 };
            masks = greatest(&scores, targets, Scope::Global, count);
            for (layer, mask) in masks.iter().enumerate().filter(|(layer, _)| targets.masked[*layer]) {
                let mut kept = vec![0.0; weights[layer].len()];
                mask.iter().for_each(|index| kept[*index as usize] = weights[layer][*index as usize]);
                weights[layer] = kept;
            }
        }
        Some(masks)
    }

    fn update(&self, _: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        MaskDelta::default()
    }
}
