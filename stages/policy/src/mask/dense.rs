//! `dense`: every weight exists. The reference against which sparse training is measured.
//!
//! ```
//! use spfde_policy::mask::{self, Dense, MaskContext};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[784, 1024, 10]) };
//! let dense = mask::policy(Dense {}, &context)?;
//! assert_eq!(dense.nonzero(0, 0, &Spans::never()), 784 * 1024);
//! assert!(!dense.masked(0));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{Architecture, ParameterError};

use super::{MaskDelta, MaskRule, MaskUpdate, Targets};

spfde_data::parameters! {
    /// Every weight of every layer exists, always.
    pub struct Dense in "mask" {}
}

impl MaskRule for Dense {
    const NAME: &'static str = "dense";
    const SUMMARY: &'static str = "every weight exists";
    type State = ();

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        Ok(Targets::dense(architecture))
    }

    fn update(&self, _: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        MaskDelta::default()
    }
}
