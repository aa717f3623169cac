//! `none`: every sample is trained in every epoch.
//!
//! ```
//! use spfde_policy::sieve::{self, All, SieveContext};
//! let all = sieve::policy(All {}, &SieveContext { seed: 1, epochs: 8, samples: 100 })?;
//! assert_eq!(all.active_samples(3), 100);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::{SieveContext, SieveRule};

spfde_data::parameters! {
    /// Every sample is trained in every epoch.
    pub struct All in "sieve" {}
}

impl SieveRule for All {
    const NAME: &'static str = "none";
    const SUMMARY: &'static str = "every sample is trained in every epoch";
    const READS_LOSSES: bool = false;
    const CUTS: bool = false;
    type State = ();

    fn alike(&self, _: &SieveContext) -> Option<[u64; 3]> {
        Some([0, 0, 0])
    }
}
