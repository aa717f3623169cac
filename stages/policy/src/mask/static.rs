//! `static`: a random mask that never changes. The baseline of every dynamic mask (RigL,
//! [arXiv 1911.11134](https://arxiv.org/abs/1911.11134), calls it Static).
//!
//! ```
//! use spfde_policy::mask::{self, MaskContext, Static};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[784, 1000, 10]) };
//! let fixed = mask::policy(Static::default(), &context)?;
//! assert_eq!(fixed.initial(0, &Spans::never()).len(), 78_400); // a tenth of 784 · 1000
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::{MaskDelta, MaskRule, MaskUpdate};

mask_parameters! {
    /// A random mask that never changes.
    pub struct Static: layers {
    }
}

impl MaskRule for Static {
    const NAME: &'static str = "static";
    const SUMMARY: &'static str = "a random mask at the target density that never changes";
    type State = ();

    axes!(layers);

    fn update(&self, _: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        MaskDelta::default()
    }
}
