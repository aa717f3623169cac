//! `one-shot`: the samples with the fewest forgetting events are removed once (data-efficient training of
//! MEST, [arXiv 2110.14032](https://arxiv.org/abs/2110.14032), section 3.4).
//!
//! All samples are trained up to an epoch, `sieve.at` of the run: 70 of 160 epochs in MEST. Events are
//! counted from the start of the run, as under `forgetting`. The `sieve.fraction` of all samples that rank
//! lowest is then out to the end; what was never right ranks last. Ties break by a draw.
//!
//! ```
//! use spfde_policy::sieve::{self, Cut, OneShot, SieveContext};
//! let one_shot = sieve::policy(OneShot::default(), &SieveContext { seed: 1, epochs: 16, samples: 200 })?;
//! assert_eq!((1..16).filter(|epoch| one_shot.decides(*epoch)).collect::<Vec<u32>>(), [7]);
//! assert_eq!((one_shot.active_samples(6), one_shot.active_samples(7)), (200, 170));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::rows::ScoreRow;

use super::forgetting::Events;
use super::shared::sieve_parameters;
use super::{Shared, SieveContext, SieveRule};
use crate::rounding::share_of;

sieve_parameters! {
    /// The samples with the fewest forgetting events are removed once.
    pub struct OneShot: fraction(0.15), until(1.0) {
        /// share of the epochs before the removal, rounded to an epoch, at least one
        pub at: f64 = 0.4375, 0.0..=1.0;
    }
}

impl SieveRule for OneShot {
    const NAME: &'static str = "one-shot";
    const SUMMARY: &'static str = "the samples with the fewest forgetting events are removed once";
    const READS_LOSSES: bool = false;
    const BY_KEY: bool = true;
    type State = Events;

    /// A warm-up, and an interval that no run lives to see.
    fn shared(&self, run: &SieveContext) -> Option<Shared> {
        let warmup = share_of(self.at, run.epochs).max(1);
        Some(Shared { fraction: self.fraction, interval: u32::MAX, warmup, until: self.until })
    }

    fn alike(&self, run: &SieveContext) -> Option<[u64; 3]> {
        self.shared(run)?.alike(run)
    }

    #[inline]
    fn observe(&self, events: &mut Events, score: &ScoreRow) {
        events.observe(score.correct);
    }

    #[inline]
    fn key(&self, events: &Events) -> u32 {
        events.key()
    }
}
