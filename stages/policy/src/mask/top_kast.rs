//! `top-kast`: always sparse training by the greatest weights of a store (Top-KAST,
//! [arXiv 2106.03517](https://arxiv.org/abs/2106.03517), sections 2.1 to 2.3).
//!
//! A store keeps the values of all weights of the masked layers. The forward set A, which is the mask, has
//! the greatest of each layer at its target density. The backward set has A and the next greatest,
//! `mask.exploration` times as many. Those have gradients and follow the optimiser, too, although no forward
//! pass sees them. An update chooses both sets anew, so that a weight that has grown in the store takes the
//! place of one that has shrunk. A weight that grows takes its value from the store, and no momentum.
//!
//! The paper's exploration loss penalises what is explored by 1 / density: here its weight decay is divided
//! by the density. After the last update of the run the masks stay, so nothing is explored any more.
//!
//! The gradients of explored weights count in `backward_flops`; no dense gradient is ever computed. The store
//! takes memory for every weight: sparse are the passes, not the state.
//!
//! ```
//! use spfde_policy::mask::{self, MaskContext, TopKast};
//! use spfde_policy::example;
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(TopKast { exploration: 0.5, ..TopKast::default() }, &context)?;
//! // A thousand of ten thousand weights are in the mask; updates are at epochs 2 and 4.
//! assert_eq!([0, 3, 4].map(|epoch| policy.explored(0, epoch, 1_000)), [500, 500, 0]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::untrained::{greatest, total};
use super::{MaskDelta, MaskRule, MaskUpdate, Scope, Targets, Untrained, Window};

mask_parameters! {
    /// The greatest weights of a store.
    pub struct TopKast: layers, interval(2), until {
        /// weights that are trained beyond those of the mask, as a share of them
        pub exploration: f64 = 1.0, 0.0..=100.0;
    }
}

impl MaskRule for TopKast {
    const NAME: &'static str = "top-kast";
    const SUMMARY: &'static str = "keeps the greatest weights of a store in which more are trained than used";
    const EXPLORES: bool = true;
    type State = ();

    axes!(layers, updates);

    fn explored(&self, epochs: u32, epoch: u32, existing: u32) -> u32 {
        let schedule = self.schedule(epochs);
        // An epoch that has updates within it explores until its end.
        let last = schedule.last() + u32::from(matches!(schedule.every, Window::Steps(_)));
        if epoch < last { (self.exploration * f64::from(existing)).round() as u32 } else { 0 }
    }

    fn choose(&self, network: &mut dyn Untrained, targets: &Targets) -> Option<Vec<Vec<u32>>> {
        let magnitude = |weight: &f32| f64::from(weight.abs());
        let scores: Vec<Vec<f64>> =
            network.weights().iter().map(|layer| layer.iter().map(magnitude).collect()).collect();
        Some(greatest(&scores, targets, Scope::Layer, total(targets)))
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        let scored = update.stored.iter().map(|value| f64::from(value.abs())).zip(0u32..);
        let count = update.indices.len();
        let mask = update.moment.units.greatest(&[], scored, count);
        let lacks = |of: &[u32], other: &[u32]| -> Vec<u32> {
            of.iter().copied().filter(|index| other.binary_search(index).is_err()).collect()
        };
        MaskDelta { dropped: lacks(update.indices, &mask), grown: lacks(&mask, update.indices) }
    }
}
