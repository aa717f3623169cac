//! `snip`: connection sensitivity before training (SNIP,
//! [arXiv 1810.02340](https://arxiv.org/abs/1810.02340), section 4).
//!
//! The mask keeps the weights with the greatest |w · ∂L/∂w| in the dense network at its initial weights,
//! over the first batches of epoch 0, and never changes. Weights are ranked over all masked layers, so that
//! densities follow from the data; `mask.scope = layer` gives each layer the density of `mask.distribution`.
//! The best weight of each layer stays, so that none is empty. The dense gradient is computed once, before
//! the first step; its FLOPs stand in `epochs.extra_flops` of epoch 0.
//!
//! ```
//! use spfde_policy::mask::{self, MaskContext, Needs, Snip};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Snip { batches: 2, ..Snip::default() }, &context)?;
//! assert_eq!(policy.samples_to_choose(&[128, 128, 64]), 256); // billed before the first step
//! assert!((0..8).all(|epoch| policy.needs(0, epoch, &Spans::never()) == Needs::Nothing));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{Architecture, ParameterError};

use super::axes::mask_parameters;
use super::untrained::{check_scope, greatest, products, total};
use super::{MaskDelta, MaskRule, MaskUpdate, Scope, Targets, Untrained};

mask_parameters! {
    /// Connection sensitivity before training.
    pub struct Snip: layers {
        /// batches of epoch 0 over which the dense gradient is taken
        pub batches: u32 = 1, 1..=1000;
        /// whether weights are ranked over all layers or in each
        pub scope: Scope = Scope::Global, ..;
    }
}

impl MaskRule for Snip {
    const NAME: &'static str = "snip";
    const SUMMARY: &'static str = "keeps the weights to which the loss is most sensitive before training";
    const SCHEDULED: bool = false;
    type State = ();

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        check_scope(self.layers().targets(architecture)?, self.scope)
    }

    fn samples_to_choose(&self, batches: &[u32]) -> u64 {
        batches.iter().take(self.batches as usize).map(|samples| u64::from(*samples)).sum()
    }

    fn choose(&self, network: &mut dyn Untrained, targets: &Targets) -> Option<Vec<Vec<u32>>> {
        let weights = network.weights();
        let gradients = network.gradients(&weights, self.batches, 1.0);
        let scores = products(&weights, &gradients);
        Some(greatest(&scores, targets, self.scope, total(targets)))
    }

    fn update(&self, _: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        MaskDelta::default()
    }
}
