//! Sieves: which samples are trained on, and with what weight in the loss.
//!
//! A policy is asked for numbers and orders only: how many are out, how a sample ranks, how the samples
//! outside queue. The stage that holds the samples makes the cut, on one worker or many, and the result is
//! the same.
//!
//! Rules share their keys ([`Shared`]): the share that is out, the interval of decisions, epochs with the
//! whole set at the start and at the end.
//!
//! With `sieve.stratify` every class is cut by itself ([`classes`]). Ranks and queues stay those of the
//! policy, which knows nothing of classes.
//!
//! What is a policy's own is a [`SieveRule`]; [`entry`] and [`policy`] make a policy of it.

mod circular;
pub mod classes;
pub mod decision;
mod error_norm;
mod forgetting;
mod infobatch;
mod loss;
pub mod mean;
mod none;
mod one_shot;
mod random;
mod rule;
mod shared;

use std::sync::Arc;

use spfde_data::parameter::ParameterError;
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::ScoreRow;
use spfde_data::table::{Column, Columns};
use spfde_data::words::counted;

use crate::rounding::share_of;

pub use circular::Circular;
pub use classes::{Classes, STRATIFY, stratifies};
pub use decision::{Cut, Decision};
pub use error_norm::ErrorNorm;
pub use forgetting::Forgetting;
pub use infobatch::InfoBatch;
pub use loss::Loss;
pub use mean::ExactMean;
pub use none::All;
pub use one_shot::OneShot;
pub use random::Random;
pub use rule::{SieveRule, entry, policy};
pub use shared::Shared;

/// What a sieve policy is told of the run.
#[derive(Clone, Copy, Debug)]
pub struct SieveContext {
    /// The run's seed.
    pub seed: u64,
    /// How many epochs the run has.
    pub epochs: u32,
    /// How many samples the data set has.
    pub samples: u32,
}

impl SieveContext {
    /// How many samples are outside if the share `fraction` is.
    ///
    /// # Errors
    /// If none is left to train on; names `sieve.fraction`.
    pub fn outside(&self, fraction: f64) -> Result<u32, ParameterError> {
        let out = share_of(fraction, self.samples);
        if out < self.samples {
            return Ok(out);
        }
        let samples = counted(self.samples, "sample");
        let reason = format!("{fraction} of {samples} leaves none to train on; choose less");
        Err(ParameterError::contradiction("sieve.fraction", reason))
    }

    /// A draw that depends on the seed and these keys alone.
    #[inline]
    pub fn draw(&self, purpose: Purpose, epoch: u32, sample: u32) -> u64 {
        draw(self.seed, purpose, u64::from(epoch), u64::from(sample))
    }

    /// The `count` samples with the lowest `key`, ascending.
    pub fn lowest<K: Ord>(&self, count: u32, key: impl Fn(u32) -> K) -> Vec<u32> {
        let keyed = (0..self.samples).map(|sample| (key(sample), sample));
        crate::mask::selection::lowest(keyed, count as usize)
    }
}

/// How a sample stands in an order: the lowest comes first. Two samples of equal rank go by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// What the policy ranks by.
    pub key: u32,
    /// An epoch that decides between equal keys.
    pub since: u32,
    /// A draw that decides between the rest.
    pub hash: u64,
}

/// What there is to know of a sample that is to be ranked.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The sample.
    pub sample: u32,
    /// The epoch of its last entry if it is active, else of its last departure; 0: it has been so from the
    /// start.
    pub since: u32,
    /// What its state says.
    pub key: u32,
}

/// A rule that says which samples are trained on, as the engine asks it. [`policy`] makes one of a
/// [`SieveRule`].
pub trait SievePolicy: Send + Sync {
    /// The name under which it is registered.
    fn name(&self) -> &'static str;

    /// How many samples are trained during `epoch`. A policy whose sizes depend on data gives its last fixed
    /// size.
    fn active_samples(&self, epoch: u32) -> u32;

    /// The samples that start outside, ascending.
    fn initially_outside(&self) -> Vec<u32>;

    /// Whether a decision takes effect at the start of `epoch`: never at epoch 0, never after the run's end
    /// unless it is [`concluding`](Self::concluding).
    fn decides(&self, epoch: u32) -> bool;

    /// The same policy, which also decides what would take effect behind the last epoch: a record is judged
    /// by all of it. Shares of the epochs stay those of the run.
    fn concluding(&self) -> Arc<dyn SievePolicy>;

    /// What the decision for `epoch` does.
    fn decision(&self, epoch: u32) -> Decision;

    /// How a sample ranks at the decision for `epoch`: an active one for [`Cut::Exchange`], any for
    /// [`Cut::Outside`]. `entered` is the epoch of its last entry, 0 if it was active from the start; `key`
    /// is what its state says.
    fn rank(&self, epoch: u32, sample: u32, entered: u32, key: u32) -> Rank;

    /// How a sample outside stands in the queue at the decision for `epoch`. `left` is the epoch at which it
    /// left, 0 if it was outside from the start.
    fn queue(&self, epoch: u32, sample: u32, left: u32) -> Rank;

    /// [`rank`](Self::rank) of many samples: what `ranks` holds afterwards.
    fn ranks(&self, epoch: u32, standings: &[Standing], ranks: &mut Vec<Rank>) {
        let rank = |standing: &Standing| self.rank(epoch, standing.sample, standing.since, standing.key);
        ranks.clear();
        ranks.extend(standings.iter().map(rank));
    }

    /// [`queue`](Self::queue) of many samples: what `ranks` holds afterwards.
    fn queues(&self, epoch: u32, standings: &[Standing], ranks: &mut Vec<Rank>) {
        ranks.clear();
        ranks.extend(standings.iter().map(|standing| self.queue(epoch, standing.sample, standing.since)));
    }

    /// Whether the draw of [`Cut::BelowMean`] and [`Cut::AboveMean`] keeps a sample: keyed by (seed, epoch,
    /// sample).
    fn keeps(&self, epoch: u32, sample: u32, share: f64) -> bool;

    /// What policies that differ in their sizes only have in common: two of one name with equal values keep
    /// the same states (which then must not look at [`ScoreRow::trained`]), decide at the same epochs, and
    /// rank samples of equal key alike; if they cut an outside, whatever `entered` is. A stage that judges
    /// many policies at once then keeps one state and one order for all of them.
    fn alike(&self) -> Option<[u64; 3]>;

    /// The classes that its decisions cut each by itself: the counts of [`Cut::Outside`] and
    /// [`Cut::Exchange`] are apportioned over them ([`Classes::cut`]), and a sample is compared with the mean
    /// of its class. `None`: all samples are cut together.
    fn classes(&self) -> Option<&Arc<Classes>> {
        None
    }

    /// The same policy, of which every decision cuts each of these classes by itself.
    ///
    /// # Errors
    /// If it cannot; names `sieve.stratify`.
    fn stratified(&self, _classes: &Arc<Classes>) -> Result<Arc<dyn SievePolicy>, ParameterError> {
        let reason = format!("the policy {} does not cut by class; set it to false", self.name());
        Err(ParameterError::contradiction(STRATIFY, reason))
    }

    /// Whether an order of all samples is by key, then by a draw that is the same in the whole run: the rank
    /// of a sample then has its key and no epoch, and changes with the key alone.
    fn by_key(&self) -> bool {
        false
    }

    /// Whether its state looks at more of a score than whether it was right: losses then have to be there.
    fn reads_losses(&self) -> bool;

    /// Whether its state looks at the norms of errors, too: they then have to be there.
    fn reads_error_norms(&self) -> bool {
        false
    }

    /// The state of `samples` samples, for one run. Slots are the caller's numbers, from 0.
    fn start(&self, samples: usize) -> Box<dyn SieveState>;
}

/// What is kept for each sample between two decisions.
pub trait SieveState: Send {
    /// What a presentation of the sample in `slot` showed, in order of (epoch, step). All rows of a sample
    /// count, whether it was trained or only observed. Of a policy that is not
    /// [alike](SievePolicy::alike) others, `trained` says whether the sample is in its own active set.
    fn observe(&mut self, slot: usize, score: &ScoreRow);

    /// What the sample is ranked by.
    fn key(&self, slot: usize) -> u32;

    /// The keys of neighbouring slots: what `keys` holds afterwards.
    fn keys(&self, slots: std::ops::Range<usize>, keys: &mut Vec<u32>) {
        keys.clear();
        keys.extend(slots.map(|slot| self.key(slot)));
    }

    /// A new window starts. Called after every decision, before any row of its epoch.
    fn clear(&mut self);

    /// The columns in which the state of a sample is saved, `epoch` and `sample` first; none if nothing is
    /// kept.
    fn columns(&self) -> Vec<Column>;

    /// Appends what there is to know of `sample`, in `slot`, to go on at the start of `epoch`: one row of
    /// [`columns`](Self::columns). Called if there are some.
    fn save(&self, slot: usize, epoch: u32, sample: u32, rows: &mut Columns);

    /// Takes over row `row` of what was saved, for the sample in `slot` of a fresh state. Called if there are
    /// columns.
    fn restore(&mut self, slot: usize, rows: &Columns, row: usize);
}

#[cfg(test)]
mod tests;
