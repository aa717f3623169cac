//! `random`: a fresh uniform subset at every interval. The baseline that every sieve has to beat (as DeepCore,
//! [arXiv 2204.08499](https://arxiv.org/abs/2204.08499), finds hard for many).
//!
//! ```
//! use spfde_data::parameter::Parameters;
//! use spfde_policy::{Cut, SieveContext, sieve};
//! let entry = sieve::registry().iter().find(|entry| entry.name == "random").expect("it is registered");
//! let parameters = Parameters::defaults(&(entry.parameters)());
//! let random = sieve::build("random", &parameters, &SieveContext { seed: 1, epochs: 8, samples: 200 })?;
//! assert_eq!(random.initially_outside().len(), 30);
//! assert_eq!(random.cut(2), Cut::Outside { out: 30 });
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::parameter::{Parameter, ParameterError, Parameters};
use spfde_data::random::{Purpose, draw};

use super::{
    Cut, NoState, Rank, SieveContext, SievePolicy, SieveState, fraction_parameter, interval_parameter,
    outside,
};
use crate::Entry;

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn SievePolicy, SieveContext> = Entry {
    name: "random",
    summary: "a fresh uniform subset at every interval",
    parameters,
    build: |parameters, context| Ok(Box::new(Random::new(parameters, context)?)),
};

fn parameters() -> Vec<Parameter> {
    let help = "epochs between two subsets";
    vec![fraction_parameter(), interval_parameter(1, help)]
}

/// A fresh uniform subset at every interval.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    context: SieveContext,
    out: u32,
    interval: u32,
}

impl Random {
    /// The policy with the given parameters.
    ///
    /// # Errors
    /// If the fraction leaves no sample.
    ///
    /// # Panics
    /// If a key is missing.
    pub fn new(parameters: &Parameters, context: &SieveContext) -> Result<Self, ParameterError> {
        let out = outside(parameters, context)?;
        Ok(Self { context: *context, out, interval: parameters.integer("sieve.interval") })
    }
}

impl SievePolicy for Random {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn active_samples(&self, _epoch: u32) -> u32 {
        self.context.samples - self.out
    }

    fn initially_outside(&self) -> Vec<u32> {
        let mut ranked: Vec<(Rank, u32)> =
            (0..self.context.samples).map(|sample| (self.rank(0, sample, 0, 0), sample)).collect();
        ranked.sort_unstable();
        let mut outside: Vec<u32> =
            ranked.into_iter().take(self.out as usize).map(|(_, sample)| sample).collect();
        outside.sort_unstable();
        outside
    }

    fn decides(&self, epoch: u32) -> bool {
        0 < epoch && epoch < self.context.epochs && epoch.is_multiple_of(self.interval)
    }

    fn cut(&self, _epoch: u32) -> Cut {
        Cut::Outside { out: self.out }
    }

    fn rank(&self, epoch: u32, sample: u32, _entered: u32, _key: u32) -> Rank {
        let hash = draw(self.context.seed, Purpose::Subset, u64::from(epoch), u64::from(sample));
        Rank { key: (hash >> 32) as u32, since: 0, hash }
    }

    fn queue(&self, _epoch: u32, _sample: u32, left: u32) -> Rank {
        Rank { key: 0, since: left, hash: 0 }
    }

    fn alike(&self) -> Option<[u64; 2]> {
        Some([self.context.seed, u64::from(self.interval)])
    }

    fn reads_losses(&self) -> bool {
        false
    }

    fn start(&self, _samples: usize) -> Box<dyn SieveState> {
        Box::new(NoState)
    }
}
