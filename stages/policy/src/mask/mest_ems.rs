//! `mest-ems`: elastic mutation with a soft memory bound, the mask of SpFDE (MEST+EM&S,
//! [arXiv 2110.14032](https://arxiv.org/abs/2110.14032), section 3; used by SpFDE,
//! [arXiv 2209.11204](https://arxiv.org/abs/2209.11204)).
//!
//! A layer of target density `d` holds `d + p` of its weights. At every multiple of the interval the least
//! important are pruned, down to `d`, and random absent ones grow, up to `d + p`: grown weights have a whole
//! interval to prove themselves. The soft part `p` halves at 9/16 of the run and vanishes at 3/4, and always
//! at the last update, so that the final density is exactly `d`. No dense gradient is ever needed.
//!
//! ```
//! use spfde_policy::mask::{self, MaskContext, MestEms};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 16, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(MestEms { sparsity: 0.9, ..MestEms::default() }, &context)?;
//! // Of 10 000 weights: a tenth and half of it again, from epoch 10 a quarter of it again, from 12 a tenth.
//! let nonzero: Vec<u32> = [0, 8, 10, 12].map(|epoch| policy.nonzero(0, epoch, &Spans::never())).into();
//! assert_eq!(nonzero, [1500, 1500, 1250, 1000]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::mest::{importance, mutate, phase};
use super::{MaskDelta, MaskRule, MaskUpdate, Moment, Needs};

mask_parameters! {
    /// Elastic mutation with a soft memory bound.
    pub struct MestEms: layers, interval(2) {
        /// weights beyond the target density while training, as a share of the target
        pub soft: f64 = 0.5, 0.0..=10.0;
        /// importance of a weight is its magnitude plus this times its gradient's magnitude
        pub gradient_weight: f64 = 0.0, 0.0..=1e6;
    }
}

impl MaskRule for MestEms {
    const NAME: &'static str = "mest-ems";
    const SUMMARY: &'static str =
        "prunes to the target density and grows beyond it, so that grown weights train before they compete";
    type State = ();

    axes!(layers, updates);

    fn count(&self, moment: &Moment) -> u32 {
        moment.at((moment.density + phase(moment) * self.soft * moment.density).min(1.0))
    }

    fn needs(&self) -> Needs {
        if self.gradient_weight > 0.0 { Needs::Gradient } else { Needs::Weights }
    }

    fn importance(&self, update: &MaskUpdate<'_>) -> Vec<(f64, u32)> {
        importance(update, self.gradient_weight)
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        let (importance, grow_to) = (self.importance(update), self.count(&update.moment));
        mutate(update, importance, update.moment.target(), grow_to)
    }
}
