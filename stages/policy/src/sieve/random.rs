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

use spfde_data::parameter::ParameterError;
use spfde_data::random::Purpose;

use super::{Cut, Decision, Rank, SieveContext, SieveRule};
use crate::rounding::share_of;

spfde_data::parameters! {
    /// A fresh uniform subset at every interval.
    pub struct Random in "sieve" {
        /// share of the samples that is out of training
        pub fraction: f64 = 0.15, 0.0..1.0;
        /// epochs between two subsets
        pub interval: u32 = 2, 1..;
    }
}

impl SieveRule for Random {
    const NAME: &'static str = "random";
    const SUMMARY: &'static str = "a fresh uniform subset at every interval";
    const READS_LOSSES: bool = false;
    type State = ();

    fn check_run(&self, run: &SieveContext) -> Result<(), ParameterError> {
        run.outside(self.fraction).map(|_| ())
    }

    fn active_samples(&self, run: &SieveContext, _: u32) -> u32 {
        run.samples - share_of(self.fraction, run.samples)
    }

    fn first(&self, run: &SieveContext, sample: u32) -> Rank {
        self.rank(run, 0, sample, 0, 0)
    }

    fn decides(&self, _: &SieveContext, epoch: u32) -> bool {
        epoch.is_multiple_of(self.interval)
    }

    fn decision(&self, run: &SieveContext, _: u32) -> Decision {
        Cut::Outside { out: share_of(self.fraction, run.samples) }.into()
    }

    fn rank(&self, run: &SieveContext, epoch: u32, sample: u32, _: u32, _: u32) -> Rank {
        let hash = run.draw(Purpose::Subset, epoch, sample);
        Rank { key: (hash >> 32) as u32, since: 0, hash }
    }

    fn alike(&self, run: &SieveContext) -> Option<[u64; 2]> {
        Some([run.seed, u64::from(self.interval)])
    }
}
