//! `set`: drops by magnitude, grows at random (SET, [arXiv 1707.04780](https://arxiv.org/abs/1707.04780),
//! algorithm 1).
//!
//! At every multiple of the interval each layer drops the share `mask.drop` of its weights that have the
//! least magnitude, and grows as many random absent ones at 0. The paper takes the smallest positive and the
//! largest negative weights apart; by magnitude is what RigL's reproduction does. The paper's masks begin as
//! `mask.distribution = er`. No gradient is looked at.
//!
//! Exploration in time ([arXiv 2102.02887](https://arxiv.org/abs/2102.02887), ITOP) is this rule, or `rigl`,
//! with longer intervals and smaller batches: `mask.drop=0.5 mask.interval=4 data.batch_size=64`. Its measure
//! is the share of weights that have ever existed.
//!
//! ```
//! use spfde_policy::mask::{self, MaskContext, Needs, Set};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 16, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Set { interval: 3, ..Set::default() }, &context)?;
//! let updates = (0..16).filter(|epoch| policy.needs(0, *epoch, &Spans::never()) == Needs::Weights);
//! assert_eq!(updates.collect::<Vec<_>>(), [3, 6, 9]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::selection::{absent_by_draw, magnitudes, without};
use super::{MaskDelta, MaskRule, MaskUpdate};

mask_parameters! {
    /// Drops by magnitude, grows at random.
    pub struct Set: layers, interval(2), until {
        /// share of a layer's weights that an update exchanges
        pub drop: f64 = 0.3, 0.0..=1.0;
    }
}

impl MaskRule for Set {
    const NAME: &'static str = "set";
    const SUMMARY: &'static str = "exchanges the smallest weights for random ones";
    type State = ();

    axes!(layers, updates);

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        let (units, existing) = (update.moment.units, update.indices.len());
        let wanted = (self.drop * existing as f64) as usize;
        let count = units.exchanged(wanted.min(units.room(existing)) as u32) as usize;
        let dropped = units.least(magnitudes(update).into_iter(), count);
        let grown = units.drawn(&without(update.indices, &dropped), absent_by_draw(update), count);
        MaskDelta { dropped, grown }
    }
}
