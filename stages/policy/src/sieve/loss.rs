//! `loss`: the samples with the highest losses are kept.
//!
//! A sample's value is its latest training loss; one that is out keeps its own, also in the replay of a run
//! that went on to train it. At every decision the `sieve.fraction` of all samples with the lowest values is
//! out. A sample without a loss so far ranks last. Ties break by a draw that is the same in the whole run.
//!
//! ```
//! use spfde_policy::sieve::{self, Cut, Loss, SieveContext};
//! let run = SieveContext { seed: 1, epochs: 8, samples: 200 };
//! let loss = sieve::policy(Loss { warmup: 3, ..Loss::default() }, &run)?;
//! assert_eq!((1..8).filter(|epoch| loss.decides(*epoch)).collect::<Vec<u32>>(), [3, 5, 7]);
//! assert_eq!(loss.decision(3).cut, Cut::Outside { out: 30 });
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::rows::ScoreRow;

use super::SieveRule;
use super::shared::{shared, sieve_parameters};

sieve_parameters! {
    /// The samples with the highest losses are kept.
    pub struct Loss: fraction(0.15), interval(2, 1..), warmup(0), until(1.0) {}
}

spfde_data::state! {
    /// A sample's latest training loss, in nats.
    #[derive(Copy)]
    pub struct Latest { loss: f32 = f32::INFINITY, }
}

impl SieveRule for Loss {
    const NAME: &'static str = "loss";
    const SUMMARY: &'static str = "the samples with the highest losses are kept";
    const BY_KEY: bool = true;
    type State = Latest;

    shared!();

    #[inline]
    fn observe(&self, state: &mut Latest, score: &ScoreRow) {
        if score.trained {
            state.loss = score.loss;
        }
    }

    #[inline]
    fn key(&self, state: &Latest) -> u32 {
        // Losses are not negative, so their bits are in the order of the losses.
        state.loss.abs().to_bits()
    }
}
