//! Cuts by class: a decision cuts every class of the data set by itself, so that all of them lose the same
//! share of their samples.
//!
//! A policy says how many samples are out of all, as without classes. That count is apportioned over the
//! classes by their sizes: by the *largest remainder*, in integers. So the sizes of the classes add up to the
//! size without classes, and plans and costs stay what they are.
//!
//! Equal remainders go to the lower class, at every decision. So of very many classes with a few samples each
//! some may never exchange any. Ranks and queues are those of the policy: `circular` shuffles all queues at
//! the update at which it would without classes.
//!
//! ```
//! use spfde_policy::sieve::Classes;
//! let classes = Classes::new(&[0, 0, 0, 0, 0, 0, 7, 7, 7, 7]);
//! assert_eq!(classes.sizes(), [6, 4]);
//! assert_eq!(classes.outside(3), [2, 1]); // of 1.8 and 1.2
//! assert_eq!(classes.outside(5), [3, 2]);
//! ```

use spfde_data::parameter::{Parameter, Parameters, Setting};

use super::{Cut, SievePolicy};
use crate::rounding::apportion;

/// The key that asks for cuts by class.
pub const STRATIFY: &str = "sieve.stratify";

/// The parameter under [`STRATIFY`].
pub(super) fn parameter() -> Parameter {
    let help = "whether the same share is cut in every class of the data set, each by itself";
    Parameter::of(STRATIFY, false, .., help)
}

/// Whether parameters ask for cuts by class; those of a policy without the key do not.
pub fn stratifies(parameters: &Parameters) -> bool {
    parameters.get(STRATIFY).and_then(bool::from_value).unwrap_or(false)
}

/// The class of every sample. The classes that have samples are numbered from 0, in the order of their
/// labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    of: Vec<u16>,
    sizes: Vec<u32>,
}

impl Classes {
    /// The classes of samples with these labels.
    pub fn new(labels: &[u16]) -> Self {
        let mut sizes = vec![0; 1 << u16::BITS];
        labels.iter().for_each(|label| sizes[usize::from(*label)] += 1);
        let mut numbers = vec![0; sizes.len()];
        let occur = (0..sizes.len()).filter(|label| sizes[*label] > 0);
        occur.zip(0..=u16::MAX).for_each(|(label, number)| numbers[label] = number);
        sizes.retain(|size| *size > 0);
        Self { of: labels.iter().map(|label| numbers[usize::from(*label)]).collect(), sizes }
    }

    /// The class of a sample.
    pub fn of(&self, sample: u32) -> u16 {
        self.of[sample as usize]
    }

    /// How many samples each class has.
    pub fn sizes(&self) -> &[u32] {
        &self.sizes
    }

    /// How many samples of each class are outside if `count` of all are. One sample at least of every class
    /// stays active; if fewer than that do, the first classes have none.
    pub fn outside(&self, count: u32) -> Vec<u32> {
        let spared: Vec<u32> = self.sizes.iter().map(|size| size - 1).collect();
        let mut outside = apportion(count, &self.sizes, &spared);
        let left = count - outside.iter().sum::<u32>();
        outside.iter_mut().take(left as usize).for_each(|out| *out += 1);
        outside
    }

    /// How many samples of each class leave, and as many enter, if `count` of all do and `outside` says how
    /// many of each class are out. A class that has fewer on one side exchanges those.
    pub(crate) fn exchanged(&self, count: u32, outside: &[u32]) -> Vec<u32> {
        let active: Vec<u32> = self.sizes.iter().zip(outside).map(|(size, out)| size - out).collect();
        let most: Vec<u32> = active.iter().zip(outside).map(|(active, out)| *active.min(out)).collect();
        apportion(count, &active, &most)
    }

    /// How many samples of each class the decision of `policy` for `epoch` takes; nothing of a cut at the
    /// mean, which counts none. The sizes of the classes follow from that of the active set: an exchange
    /// leaves them as they are.
    pub fn cut(&self, policy: &dyn SievePolicy, epoch: u32) -> Vec<u32> {
        match policy.decision(epoch).cut {
            Cut::Outside { out } => self.outside(out),
            Cut::Exchange { count } => {
                let before = self.of.len() as u32 - policy.active_samples(epoch - 1);
                self.exchanged(count, &self.outside(before))
            }
            Cut::BelowMean { .. } | Cut::AboveMean { .. } => Vec::new(),
        }
    }
}
