//! `granet`: gradual pruning with regeneration (GraNet,
//! [arXiv 2106.10404](https://arxiv.org/abs/2106.10404), section 4).
//!
//! Density falls along the cubic curve of [`gmp`](super::Gmp), from a sparse start. Each update prunes a
//! layer by magnitude to the curve, then drops a further share of its weights and grows as many absent ones,
//! those just pruned among them, where the dense gradient is greatest. That share falls along a cosine to 0
//! at `mask.until`. Every layer follows its own curve; the paper's code ranks magnitudes over all layers.
//!
//! A layer without an update, or frozen before its first, begins at its target.
//!
//! ```
//! use spfde_policy::mask::{self, Granet, MaskContext};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Granet::default(), &context)?;
//! let nonzero: Vec<u32> = [0, 3, 5, 6].map(|epoch| policy.nonzero(0, epoch, &Spans::never())).into();
//! assert_eq!(nonzero, [5_000, 1_500, 1_019, 1_000]); // 1000 + 4000 · (1 − e / 6)³
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::gmp::cubic;
use super::schedule::cosine;
use super::selection::exchange;
use super::{MaskDelta, MaskRule, MaskUpdate, Moment, Needs, Schedule};

mask_parameters! {
    /// Gradual pruning with regeneration.
    pub struct Granet: layers, interval(1), until {
        /// density of the masked layers at the start
        pub initial_density: f64 = 0.5, 0.0..=1.0;
        /// share of a layer's weights that an update regenerates at the start of the run
        pub drop: f64 = 0.5, 0.0..=1.0;
    }
}

impl MaskRule for Granet {
    const NAME: &'static str = "granet";
    const SUMMARY: &'static str =
        "prunes gradually, and regrows a share where the dense gradient is greatest";
    type State = ();

    axes!(layers);

    fn schedule(&self, epochs: u32) -> Schedule {
        Schedule { closed: true, ..self.updates().schedule(epochs) }
    }

    fn count(&self, moment: &Moment) -> u32 {
        cubic(moment, &self.schedule(moment.epochs), self.initial_density)
    }

    fn needs(&self) -> Needs {
        Needs::DenseGradient
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        let moment = &update.moment;
        let count = self.count(moment).min(update.indices.len() as u32);
        let share = cosine(self.drop, self.schedule(moment.epochs).progress(moment.epoch));
        let regrown = moment.units.exchanged((share * f64::from(count)) as u32);
        let surplus = update.indices.len() as u32 - count + regrown;
        exchange(update, surplus as usize, regrown as usize)
    }
}
