//! `infobatch`: samples that are learned well are thinned at random, and the rest of them counts for more
//! (InfoBatch, [arXiv 2303.04947](https://arxiv.org/abs/2303.04947), section 3).
//!
//! A sample's value is its latest training loss, 3 before the first; one that is out keeps its own, also in
//! the replay of a run that went on to train it. At the end of every interval the mean goes over all
//! samples. Of those strictly below it a draw keyed by (seed, epoch, sample) keeps the share 1 − r, with
//! weight 1 / (1 − r) in the loss, so that the expected gradient stays that of all samples; r is
//! `sieve.fraction`. All others have weight 1. After `sieve.until` of the epochs the whole set is active with
//! weight 1.
//!
//! ```
//! use spfde_policy::sieve::{self, Cut, InfoBatch, SieveContext};
//! let policy = sieve::policy(InfoBatch::default(), &SieveContext { seed: 1, epochs: 16, samples: 200 })?;
//! assert_eq!(policy.decision(14).cut, Cut::BelowMean { kept: 0.5 });
//! assert_eq!(policy.decision(14).weight, 2.0);
//! assert_eq!(policy.decision(15).cut, Cut::Outside { out: 0 }); // more than 7/8 of the epochs are over
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::parameter::ParameterError;
use spfde_data::rows::ScoreRow;

use super::shared::{shared, sieve_parameters};
use super::{Cut, Decision, SieveContext, SieveRule};

sieve_parameters! {
    /// Samples whose loss is below the mean are thinned at random.
    pub struct InfoBatch: interval(1, 1..), warmup(0), until(0.875) {
        /// share that is left out of the samples below the mean
        pub fraction: f64 = 0.5, 0.0..1.0;
    }
}

spfde_data::state! {
    /// A sample's latest training loss, in nats.
    #[derive(Copy)]
    pub struct LatestLoss { loss: f32 = 3.0, }
}

impl SieveRule for InfoBatch {
    const NAME: &'static str = "infobatch";
    const SUMMARY: &'static str = "samples whose loss is below the mean are thinned at random and weigh more";
    type State = LatestLoss;

    shared!();

    /// Some are at the mean or above it.
    fn check_run(&self, _: &SieveContext) -> Result<(), ParameterError> {
        Ok(())
    }

    fn active_samples(&self, run: &SieveContext, _: u32) -> u32 {
        run.samples
    }

    fn decision(&self, _: &SieveContext, _: u32) -> Decision {
        let kept = 1.0 - self.fraction;
        Decision { cut: Cut::BelowMean { kept }, weight: (1.0 / kept) as f32 }
    }

    #[inline]
    fn observe(&self, state: &mut LatestLoss, score: &ScoreRow) {
        if score.trained {
            state.loss = score.loss;
        }
    }

    #[inline]
    fn key(&self, state: &LatestLoss) -> u32 {
        // Losses are not negative, so their bits are in the order of the losses.
        state.loss.abs().to_bits()
    }
}
