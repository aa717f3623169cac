//! `snfs`: sparse networks from scratch by sparse momentum
//! ([arXiv 1907.04840](https://arxiv.org/abs/1907.04840), section 3).
//!
//! An update drops a share of each layer's weights, the least by magnitude; the share falls along a cosine.
//! It grows as many in all: each layer's part is proportional to the mean magnitude of the momentum over its
//! existing weights, and within a layer the absent weights with the greatest momentum grow. The momentum is
//! that of the dense gradient, m ← 0.9 m + 0.1 g. So every step computes the dense gradient, or with
//! `mask.momentum_steps` the last so many before an update, at most those of its epoch. Its FLOPs stand in
//! `epochs.extra_flops`.
//!
//! The authors' code counts what was just dropped among the absent weights; here it does not grow again by
//! the same update. So a layer drops no more than were absent in it before, and never all it has.
//!
//! ```
//! use spfde_policy::mask::{self, MaskContext, Needs, Snfs};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Snfs { momentum_steps: 50, ..Snfs::default() }, &context)?;
//! assert_eq!(policy.needs(0, 2, &Spans::never()), Needs::DenseGradient);
//! assert_eq!(policy.momentum_steps(), Some(50));
//! assert!(policy.redistributes() && !policy.is_scheduled());
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::schedule::cosine;
use super::selection::{dense_gradients, lowest, magnitudes, order_of};
use super::together::absent;
use super::{MaskDelta, MaskRule, MaskUpdate, Needs};
use crate::rounding::apportion;

mask_parameters! {
    /// Grows by the momentum of the dense gradient.
    pub struct Snfs: layers, interval(2), until {
        /// share of a layer's weights that an update drops at the start of the run
        pub drop: f64 = 0.5, 0.0..=1.0;
        /// steps before an update over which the dense gradient is computed; 0: all steps
        pub momentum_steps: u32 = 0, ..;
    }
}

impl MaskRule for Snfs {
    const NAME: &'static str = "snfs";
    const SUMMARY: &'static str = "grows where the momentum of the dense gradient is greatest, across layers";
    const REDISTRIBUTES: bool = true;
    const SCHEDULED: bool = false;
    type State = ();

    axes!(layers, updates);

    fn needs(&self) -> Needs {
        Needs::DenseGradient
    }

    fn momentum_steps(&self) -> Option<u32> {
        Some(self.momentum_steps)
    }

    fn update(&self, update: &MaskUpdate<'_>, state: &mut ()) -> MaskDelta {
        self.update_all(&[*update], &mut [state]).remove(0)
    }

    fn update_all(&self, updates: &[MaskUpdate<'_>], _: &mut [&mut ()]) -> Vec<MaskDelta> {
        let room = absent(updates);
        let drop = |(update, room): (&MaskUpdate<'_>, &u32)| {
            let share = cosine(self.drop, self.schedule(update.moment.epochs).progress(update.moment.epoch));
            // A layer keeps one weight at least, and there is room for all that grow.
            let most = update.indices.len().saturating_sub(1).min(*room as usize);
            let keyed = magnitudes(update).into_iter().map(|(score, index)| (order_of(score), index));
            lowest(keyed, ((share * update.indices.len() as f64) as usize).min(most))
        };
        let dropped: Vec<Vec<u32>> = updates.iter().zip(&room).map(drop).collect();
        let count = dropped.iter().map(Vec::len).sum::<usize>() as u32;
        let mean = |update: &MaskUpdate<'_>| {
            let momentum = |index: &u32| f64::from(update.dense_gradients[*index as usize].abs());
            update.indices.iter().map(momentum).sum::<f64>() / update.indices.len().max(1) as f64
        };
        let means: Vec<f64> = updates.iter().map(mean).collect();
        let whole: f64 = means.iter().sum();
        // Without any momentum all layers grow alike.
        let part = |mean: &f64| if whole > 0.0 { (mean / whole * f64::from(1u32 << 30)) as u32 } else { 1 };
        let grown = apportion(count, &means.iter().map(part).collect::<Vec<_>>(), &room);
        let grow = |(update, count): (&MaskUpdate<'_>, u32)| {
            let absent = dense_gradients(update, update.indices);
            lowest(absent.map(|(score, index)| (!order_of(score), index)), count as usize)
        };
        let grown = updates.iter().zip(grown).map(grow);
        dropped.into_iter().zip(grown).map(|(dropped, grown)| MaskDelta { dropped, grown }).collect()
    }
}
