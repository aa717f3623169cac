//! `dsr`: dynamic sparse reparameterisation (Mostafa and Wang,
//! [arXiv 1902.05967](https://arxiv.org/abs/1902.05967), algorithm 1).
//!
//! One threshold holds for all layers: an update drops every weight whose magnitude is below it. It grows as
//! many random absent weights, dealt to the layers by how many weights each has left, so that layers whose
//! weights stay large become denser. The threshold doubles where fewer than 0.9 of the wanted share were
//! dropped, and halves where more than 1.1 were. The first one is the magnitude that drops just that share
//! of all weights; the paper sets it by hand. The total over the updated layers stays the same.
//!
//! The greatest weight of each layer stays, whatever the threshold. No more weights go than were absent
//! before, and what was just dropped does not grow again by the same update.
//!
//! ```
//! use spfde_policy::mask::{self, Dsr, MaskContext};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Dsr::default(), &context)?;
//! assert!(policy.redistributes() && !policy.is_scheduled());
//! assert_eq!(policy.start().columns()[2].name, "threshold"); // kept from update to update
//! assert_eq!(policy.nonzero(0, 7, &Spans::never()), policy.target(0)); // for want of the data
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::selection::{absent_by_draw, lowest, order_of};
use super::together::{absent, lowest_of_all, spared};
use super::{MaskDelta, MaskRule, MaskUpdate};
use crate::rounding::apportion;

/// How far the dropped share may lie from the wanted one before the threshold moves (the paper's δ).
const TOLERANCE: f64 = 0.1;

mask_parameters! {
    /// Dynamic sparse reparameterisation.
    pub struct Dsr: layers, interval(2), until {
        /// share of all weights that an update is to drop
        pub drop: f64 = 0.2, 0.0..=1.0;
    }
}

spfde_data::state! {
    /// The threshold of the next update, the same in every layer; 0: there was none yet.
    pub struct Threshold { threshold: f32 = 0.0, }
}

impl MaskRule for Dsr {
    const NAME: &'static str = "dsr";
    const SUMMARY: &'static str =
        "drops below one threshold, and regrows in the layers that keep most weights";
    const REDISTRIBUTES: bool = true;
    const SCHEDULED: bool = false;
    type State = Threshold;

    axes!(layers, updates);

    fn update(&self, update: &MaskUpdate<'_>, state: &mut Threshold) -> MaskDelta {
        self.update_all(&[*update], &mut [state]).remove(0)
    }

    fn update_all(&self, updates: &[MaskUpdate<'_>], states: &mut [&mut Threshold]) -> Vec<MaskDelta> {
        let existing: usize = updates.iter().map(|update| update.indices.len()).sum();
        let mut keys: Vec<u64> = spared(updates).map(|(key, _)| key).collect();
        keys.sort_unstable();
        // No more go than can come.
        let most = keys.len().min(absent(updates).iter().sum::<u32>() as usize);
        let wanted = ((self.drop * existing as f64) as usize).min(most);
        let known = states.iter().map(|state| state.threshold).fold(0.0, f32::max);
        let below = keys.partition_point(|key| *key < order_of(f64::from(known)));
        let count = if known > 0.0 { below.min(most) } else { wanted };
        let dropped = lowest_of_all(spared(updates), count, updates.len());
        let next = match (count as f64, wanted as f64) {
            _ if known == 0.0 => keys.get(count).map_or(f32::MAX, |key| f64::from_bits(*key) as f32),
            (count, wanted) if count < (1.0 - TOLERANCE) * wanted => known * 2.0,
            (count, wanted) if count > (1.0 + TOLERANCE) * wanted => known / 2.0,
            _ => known,
        };
        states.iter_mut().for_each(|state| state.threshold = next);
        let left =
            updates.iter().zip(&dropped).map(|(update, gone)| (update.indices.len() - gone.len()) as u32);
        let grown = apportion(count as u32, &left.collect::<Vec<_>>(), &absent(updates));
        let grow = |(update, count): (&MaskUpdate<'_>, u32)| lowest(absent_by_draw(update), count as usize);
        let grown = updates.iter().zip(grown).map(grow);
        dropped.into_iter().zip(grown).map(|(dropped, grown)| MaskDelta { dropped, grown }).collect()
    }
}
