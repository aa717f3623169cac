//! `random`: a fresh uniform subset at every interval. The baseline that every sieve has to beat (as
//! DeepCore, [arXiv 2204.08499](https://arxiv.org/abs/2204.08499), finds hard for many).
//!
//! ```
//! use spfde_policy::sieve::{self, Cut, Random, SieveContext};
//! let random = sieve::policy(Random::default(), &SieveContext { seed: 1, epochs: 8, samples: 200 })?;
//! assert_eq!(random.initially_outside().len(), 30);
//! assert_eq!(random.decision(2).cut, Cut::Outside { out: 30 });
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::random::Purpose;

use super::shared::{shared, sieve_parameters};
use super::{Rank, SieveContext, SieveRule};
use crate::rounding::share_of;

sieve_parameters! {
    /// A fresh uniform subset at every interval.
    pub struct Random: fraction(0.15), interval(2, 1..), warmup(0), until(1.0) {}
}

impl SieveRule for Random {
    const NAME: &'static str = "random";
    const SUMMARY: &'static str = "a fresh uniform subset at every interval";
    const READS_LOSSES: bool = false;
    type State = ();

    shared!();

    /// The first subset takes no scores.
    fn active_samples(&self, run: &SieveContext, epoch: u32) -> u32 {
        run.samples - if epoch < self.warmup { 0 } else { share_of(self.fraction, run.samples) }
    }

    fn first(&self, run: &SieveContext, sample: u32) -> Rank {
        self.rank(run, 0, sample, 0, 0)
    }

    fn rank(&self, run: &SieveContext, epoch: u32, sample: u32, _: u32, _: u32) -> Rank {
        let hash = run.draw(Purpose::Subset, epoch, sample);
        Rank { key: (hash >> 32) as u32, since: 0, hash }
    }

    fn alike(&self, run: &SieveContext) -> Option<[u64; 3]> {
        self.shared(run)?.alike(run)
    }
}
