//! `mest-em`: elastic mutation (MEST+EM, [arXiv 2110.14032](https://arxiv.org/abs/2110.14032), section 3).
//!
//! A layer always holds its target density `d`. At every multiple of the interval the least important weights
//! are pruned, down to `d − p`, and random absent ones grow back to `d`. The part `p` that is exchanged
//! halves at 9/16 of the run and vanishes at 3/4 and at the last update.
//!
//! ```
//! use spfde_policy::mask::{self, MaskContext, MestEm};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 16, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(MestEm { sparsity: 0.8, ..MestEm::default() }, &context)?;
//! assert_eq!(policy.initial(0, &Spans::never()).len(), 2000); // a fifth of 10 000
//! assert_eq!(policy.nonzero(0, 12, &Spans::never()), 2000);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::mest::{importance, mutate, phase};
use super::{MaskDelta, MaskRule, MaskUpdate, Needs};

mask_parameters! {
    /// Elastic mutation.
    pub struct MestEm: layers, interval(2) {
        /// share of the weights exchanged at an update
        pub exchange: f64 = 0.2, 0.0..=1.0, formerly "mask.soft";
        /// importance of a weight is its magnitude plus this times its gradient's magnitude
        pub gradient_weight: f64 = 0.0, 0.0..=1e6;
    }
}

impl MaskRule for MestEm {
    const NAME: &'static str = "mest-em";
    const SUMMARY: &'static str = "prunes below the target density and grows back to it at random";
    type State = ();

    axes!(layers, updates);

    fn needs(&self) -> Needs {
        if self.gradient_weight > 0.0 { Needs::Gradient } else { Needs::Weights }
    }

    fn importance(&self, update: &MaskUpdate<'_>) -> Vec<(f64, u32)> {
        importance(update, self.gradient_weight)
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        let moment = &update.moment;
        let exchanged = phase(moment) * self.exchange * moment.density;
        let (importance, prune_to) = (self.importance(update), moment.at(moment.density - exchanged));
        mutate(update, importance, prune_to, moment.target())
    }
}
