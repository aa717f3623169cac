//! What a decision does: which samples are active, and with what weight in the loss.

use super::{ExactMean, SievePolicy};

/// Which samples are active after a decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// The `out` lowest ranked of all samples are outside, all others are active.
    Outside {
        /// How many are outside.
        out: u32,
    },
    /// The `count` lowest ranked of the active samples leave; the `count` lowest in the queue, of those that
    /// were outside before, enter.
    Exchange {
        /// How many leave, and how many enter.
        count: u32,
    },
    /// Of the samples whose value is strictly below the mean over all samples a draw keeps a share, the rest
    /// is outside; all others are active. A sample's value is the number, not negative, whose bits its key
    /// is.
    BelowMean {
        /// The share of them that is kept, from 0 to 1.
        kept: f64,
    },
    /// The same of the samples whose value is strictly above the mean.
    AboveMean {
        /// The share of them that is kept, from 0 to 1.
        kept: f64,
    },
}

/// What a decision does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Which samples are active.
    pub cut: Cut,
    /// The weight in the loss of the samples that a draw keeps ([`Cut::BelowMean`], [`Cut::AboveMean`]); of
    /// all active samples after [`Cut::Outside`], of those that enter after [`Cut::Exchange`]. All others
    /// have weight 1.
    pub weight: f32,
}

impl From<Cut> for Decision {
    /// Every active sample has weight 1.
    fn from(cut: Cut) -> Self {
        Self { cut, weight: 1.0 }
    }
}

impl Cut {
    /// Whether the cut compares every sample with the mean of all.
    pub fn is_at_mean(&self) -> bool {
        matches!(self, Cut::BelowMean { .. } | Cut::AboveMean { .. })
    }
}

impl Decision {
    /// The weight of `sample` after a decision at the mean; `None` if it is outside.
    ///
    /// # Panics
    /// If the cut is not [at the mean](Cut::is_at_mean).
    pub fn at_mean(
        &self,
        policy: &dyn SievePolicy,
        epoch: u32,
        sample: u32,
        key: u32,
        mean: f64,
    ) -> Option<f32> {
        let value = f64::from(f32::from_bits(key));
        let (drawn, kept) = match self.cut {
            Cut::BelowMean { kept } => (value < mean, kept),
            Cut::AboveMean { kept } => (value > mean, kept),
            other => panic!("{other:?} does not look at the mean"),
        };
        match drawn {
            false => Some(1.0),
            true => policy.keeps(epoch, sample, kept).then_some(self.weight),
        }
    }

    /// The mean of the values of these keys: the same for any partition of them.
    pub fn mean(keys: impl IntoIterator<Item = u32>) -> ExactMean {
        let mut mean = ExactMean::default();
        keys.into_iter().for_each(|key| mean.add(f32::from_bits(key)));
        mean
    }
}
