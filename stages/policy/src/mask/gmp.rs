//! `gmp`: gradual magnitude pruning (Zhu and Gupta, [arXiv 1710.01878](https://arxiv.org/abs/1710.01878)).
//!
//! Training begins dense. At every multiple of the interval each layer drops its least weights down to the
//! density d + (d₀ − d) · (1 − e / e_last)³, where e_last is the last update at or before `mask.until`; that
//! one leaves exactly the target density d. What is gone stays gone.
//!
//! A layer without an update, or frozen before its first, begins at d.
//!
//! ```
//! use spfde_policy::mask::{self, Gmp, MaskContext};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Gmp::default(), &context)?;
//! let nonzero: Vec<u32> = [0, 3, 5, 6].map(|epoch| policy.nonzero(0, epoch, &Spans::never())).into();
//! assert_eq!(nonzero, [10_000, 2_125, 1_042, 1_000]); // 1000 + 9000 · (1 − e / 6)³
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::selection::{magnitudes, prune};
use super::{MaskDelta, MaskRule, MaskUpdate, Moment, Schedule};

mask_parameters! {
    /// Gradual magnitude pruning.
    pub struct Gmp: layers, interval(1), until {
        /// density of the masked layers at the start
        pub initial_density: f64 = 1.0, 0.0..=1.0;
    }
}

/// The weights after an update on the cubic way from an initial density to the target.
pub(super) fn cubic(moment: &Moment, schedule: &Schedule, initial_density: f64) -> u32 {
    if moment.last {
        return moment.target();
    }
    let left = 1.0 - f64::from(moment.epoch) / f64::from(schedule.last().max(1));
    let start = initial_density.max(moment.density);
    moment.at(moment.density + (start - moment.density) * left.max(0.0).powi(3))
}

impl MaskRule for Gmp {
    const NAME: &'static str = "gmp";
    const SUMMARY: &'static str = "prunes the smallest weights gradually, from dense to the target density";
    type State = ();

    axes!(layers);

    fn schedule(&self, epochs: u32) -> Schedule {
        Schedule { closed: true, ..self.updates().schedule(epochs) }
    }

    fn count(&self, moment: &Moment) -> u32 {
        cubic(moment, &self.schedule(moment.epochs), self.initial_density)
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        prune(update, magnitudes(update), self.count(&update.moment))
    }
}
