//! `magnitude`: trains dense and prunes once, by magnitude (Han et al.,
//! [arXiv 1506.02626](https://arxiv.org/abs/1506.02626), with one round).
//!
//! A layer that freezes, or a run that ends, by the epoch of the pruning begins at the target.
//!
//! ```
//! use spfde_policy::mask::{self, Magnitude, MaskContext};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 7, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Magnitude::default(), &context)?;
//! let nonzero: Vec<u32> = (0..7).map(|epoch| policy.nonzero(0, epoch, &Spans::never())).collect();
//! assert_eq!(nonzero, [10_000, 10_000, 10_000, 10_000, 1_000, 1_000, 1_000]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::selection::{magnitudes, prune};
use super::{MaskDelta, MaskRule, MaskUpdate, Moment, Schedule, Window};
use crate::share_of;

mask_parameters! {
    /// Trains dense and prunes once.
    pub struct Magnitude: layers {
        /// share of the epochs after which the masked layers are pruned
        pub at: f64 = 0.5, 0.0..=1.0;
    }
}

impl MaskRule for Magnitude {
    const NAME: &'static str = "magnitude";
    const SUMMARY: &'static str = "trains dense, then drops the smallest weights at once";
    type State = ();

    axes!(layers);

    fn schedule(&self, epochs: u32) -> Schedule {
        let at = share_of(self.at, epochs).max(1);
        // Half an epoch later the updates are over, before the next multiple.
        let until = (f64::from(at) + 0.5) / f64::from(epochs);
        Schedule { every: Window::Epochs(at), until, ..Schedule::never(epochs) }
    }

    fn count(&self, moment: &Moment) -> u32 {
        if moment.last { moment.target() } else { moment.units.weights() }
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        prune(update, magnitudes(update), self.count(&update.moment))
    }
}
