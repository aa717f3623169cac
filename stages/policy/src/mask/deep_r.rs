//! `deep-r`: rewires where a weight would change its sign (Deep R,
//! [arXiv 1711.05136](https://arxiv.org/abs/1711.05136), algorithm 1).
//!
//! Every possible weight has a fixed sign, by a draw; the initial weights take it. An update drops the
//! weights that have crossed 0 since, and grows as many random absent ones over all updated layers, at 0, so
//! that the total stays the same. Of a layer that crossed 0 altogether one weight stays. What was just
//! dropped does not grow again by the same update. The paper rewires after every step, and adds noise and an
//! L1 decay to the gradient, so that small weights cross 0 more often; here weights move by their gradients
//! and the weight decay alone. `mask.interval_steps` makes updates more frequent. Of weights that a run takes
//! over, such as by `model.weights`, those of the other sign go at the first update.
//!
//! ```
//! use spfde_policy::mask::{self, DeepR, MaskContext};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(DeepR::default(), &context)?;
//! assert!(policy.fixes_signs() && policy.redistributes() && !policy.is_scheduled());
//! assert_eq!(policy.initial(0, &Spans::never()).len(), 1_000); // later as the signs have it
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::selection::{absent_by_draw, order_of, sign};
use super::together::{absent, lowest_of_all};
use super::{MaskDelta, MaskRule, MaskUpdate};

mask_parameters! {
    /// Rewires where a weight would change its sign.
    pub struct DeepR: layers, interval(1), until {}
}

impl MaskRule for DeepR {
    const NAME: &'static str = "deep-r";
    const SUMMARY: &'static str = "replaces weights that cross 0 by random ones, anywhere in the network";
    const REDISTRIBUTES: bool = true;
    const SCHEDULED: bool = false;
    type State = ();

    axes!(layers, updates);

    fn fixes_signs(&self) -> bool {
        true
    }

    fn update(&self, update: &MaskUpdate<'_>, state: &mut ()) -> MaskDelta {
        self.update_all(&[*update], &mut [state]).remove(0)
    }

    fn update_all(&self, updates: &[MaskUpdate<'_>], _: &mut [&mut ()]) -> Vec<MaskDelta> {
        let crossed = (0..).zip(updates).flat_map(|(layer, update)| {
            let sign = |index: &u32| sign(update.seed, update.moment.layer, *index);
            let crossed = |(value, index): &(&f32, &u32)| **value != 0.0 && value.signum() != sign(index);
            let weights: Vec<(&f32, &u32)> =
                update.values.iter().zip(update.indices).filter(crossed).collect();
            // A layer keeps one weight at least: of all that have crossed the first.
            let spared = usize::from(weights.len() == update.indices.len());
            let farthest = |(value, index): (&f32, &u32)| (!order_of(f64::from(*value)), (layer, *index));
            weights.into_iter().skip(spared).map(farthest).collect::<Vec<_>>()
        });
        let room: u32 = absent(updates).iter().sum();
        let dropped = lowest_of_all(crossed, room as usize, updates.len());
        let count = dropped.iter().map(Vec::len).sum();
        let dormant = (0..).zip(updates).flat_map(|(layer, update)| {
            absent_by_draw(update).map(move |(key, index)| (key, (layer, index)))
        });
        let grown = lowest_of_all(dormant, count, updates.len());
        dropped.into_iter().zip(grown).map(|(dropped, grown)| MaskDelta { dropped, grown }).collect()
    }
}
