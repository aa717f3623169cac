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

use super::axes::{axes, mask_parameters};
use super::schedule::cosine;
use super::selection::exchange;
use super::{MaskDelta, MaskRule, MaskUpdate, Needs};

mask_parameters! {
    /// Drops by magnitude, grows by the dense gradient.
    pub struct Rigl: layers, interval(2), until {
        /// share of a layer's weights that the first update would drop at the start of the run
        pub drop: f64 = 0.3, 0.0..=1.0;
    }
}

impl MaskRule for Rigl {
    const NAME: &'static str = "rigl";
    const SUMMARY: &'static str = "drops the smallest weights and grows where the dense gradient is greatest";
    type State = ();

    axes!(layers, updates);

    fn needs(&self) -> Needs {
        Needs::DenseGradient
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        let moment = &update.moment;
        let phase = self.schedule(moment.epochs).progress(moment.epoch);
        let count =
            moment.units.exchanged((cosine(self.drop, phase) * update.indices.len() as f64) as u32) as usize;
        exchange(update, count, count)
    }
}
