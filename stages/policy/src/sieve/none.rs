//! `none`: every sample is trained in every epoch.
//!
//! ```
//! use spfde_policy::{SieveContext, sieve};
//! let all = sieve::build("none", &Default::default(), &SieveContext { seed: 1, epochs: 8, samples: 100 })?;
//! assert_eq!(all.active_samples(3), 100);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::{Cut, NoState, Rank, SieveContext, SievePolicy, SieveState};
use crate::Entry;

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn SievePolicy, SieveContext> = Entry {
    name: "none",
    summary: "every sample is trained in every epoch",
    parameters: Vec::new,
    build: |_, context| Ok(Box::new(All { samples: context.samples })),
};

/// Every sample is trained in every epoch.
#[derive(Clone, Copy, Debug)]
pub struct All {
    samples: u32,
}

impl SievePolicy for All {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn active_samples(&self, _epoch: u32) -> u32 {
        self.samples
    }

    fn initially_outside(&self) -> Vec<u32> {
        Vec::new()
    }

    fn decides(&self, _epoch: u32) -> bool {
        false
    }

    fn cut(&self, _epoch: u32) -> Cut {
        Cut::Outside { out: 0 }
    }

    fn rank(&self, _epoch: u32, _sample: u32, _entered: u32, key: u32) -> Rank {
        Rank { key, since: 0, hash: 0 }
    }

    fn queue(&self, _epoch: u32, _sample: u32, left: u32) -> Rank {
        Rank { key: 0, since: left, hash: 0 }
    }

    fn alike(&self) -> Option<[u64; 2]> {
        Some([0, 0])
    }

    fn reads_losses(&self) -> bool {
        false
    }

    fn start(&self, _samples: usize) -> Box<dyn SieveState> {
        Box::new(NoState)
    }
}
