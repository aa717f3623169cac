//! `rigl`: drops by magnitude, grows by the dense gradient (RigL,
//! [arXiv 1911.11134](https://arxiv.org/abs/1911.11134), section 3).
//!
//! At the end of every interval each layer drops the share f of its weights that have the least magnitude
//! after the last step, and grows as many where that step's dense gradient is greatest: among the absent
//! weights and those just dropped, which then start again at 0. The share falls along a cosine, `f = drop / 2
//! · (1 + cos(π · epoch / end))`, where `end` is `mask.until` of the run. The step keeps its optimiser
//! update. Ties go by index.
//!
//! The dense gradient is computed at these steps alone; its FLOPs stand in `epochs.extra_flops`.
//!
//! ```
//! use spfde_policy::mask::{self, MaskContext, Needs, Rigl};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 16, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Rigl { interval: 3, ..Rigl::default() }, &context)?;
//! let dense = (0..16).filter(|epoch| policy.needs(0, *epoch, &Spans::never()) == Needs::DenseGradient);
//! assert_eq!(dense.collect::<Vec<_>>(), [3, 6, 9]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{Architecture, ParameterError};

use super::selection::{magnitudes, order_of};
use super::{Distribution, MaskDelta, MaskRule, MaskUpdate, Needs, Schedule, Targets};

spfde_data::parameters! {
    /// Drops by magnitude, grows by the dense gradient.
    pub struct Rigl in "mask" {
        /// share of weights that do not exist, over all masked layers
        pub sparsity: f64 = 0.9, 0.0..1.0;
        /// how the sparsity is distributed over the masked layers
        pub distribution: Distribution = Distribution::Uniform, ..;
        /// epochs between two updates of a mask
        pub interval: u32 = 2, 1..;
        /// share of a layer's weights that the first update would drop at the start of the run
        pub drop: f64 = 0.3, 0.0..=1.0;
        /// share of the run after which masks stay as they are
        pub until: f64 = 0.75, 0.0..=1.0;
    }
}

impl MaskRule for Rigl {
    const NAME: &'static str = "rigl";
    const SUMMARY: &'static str = "drops the smallest weights and grows where the dense gradient is greatest";
    type State = ();

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        Targets::new(architecture, self.distribution, self.sparsity)
    }

    fn schedule(&self, epochs: u32) -> Schedule {
        Schedule { until: self.until, ..Schedule::every(self.interval, epochs) }
    }

    fn needs(&self) -> Needs {
        Needs::DenseGradient
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        let moment = &update.moment;
        let phase = f64::from(moment.epoch) / self.schedule(moment.epochs).end();
        let share = self.drop / 2.0 * (1.0 + (std::f64::consts::PI * phase).cos());
        let count = (share * update.indices.len() as f64) as usize;
        let dropped = self.granularity().lowest(&mut magnitudes(update).into_iter(), count);
        // The greatest gradient is the lowest key. Whatever was kept is no candidate.
        let kept = |index: &u32| {
            update.indices.binary_search(index).is_ok() && dropped.binary_search(index).is_err()
        };
        let key = |index: u32| (!order_of(f64::from(update.dense_gradients[index as usize])), index);
        let mut candidates = (0..moment.weights).filter(|index| !kept(index)).map(key);
        MaskDelta { grown: self.granularity().lowest(&mut candidates, count), dropped }
    }
}
