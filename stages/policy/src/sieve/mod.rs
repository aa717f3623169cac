//! Sieves: which samples are trained on.
//!
//! A policy is asked for numbers and orders only: how many are out, how a sample ranks, how the samples outside
//! queue. Whoever holds the samples makes the cut, on one worker or many, and the result is the same.

pub mod circular;
pub mod forgetting;
pub mod none;
pub mod random;

use spfde_data::parameter::{Parameter, ParameterError, Parameters};
use spfde_data::rows::ScoreRow;
use spfde_data::table::{Column, Columns};
use spfde_data::words::counted;

use crate::Entry;
use crate::rounding::share_of;

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

/// What a decision does to the active set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The `out` lowest ranked of all samples are outside, all others are active.
    Outside {
        /// How many are outside.
        out: u32,
    },
    /// The `count` lowest ranked of the active samples leave; the `count` lowest in the queue, of those that were
    /// outside before, enter.
    Exchange {
        /// How many leave, and how many enter.
        count: u32,
    },
}

/// A rule that says which samples are trained on.
pub trait SievePolicy: Send + Sync {
    /// The name under which it is registered.
    fn name(&self) -> &'static str;

    /// How many samples are trained during `epoch`. A policy whose sizes depend on data gives its last fixed size.
    fn active_samples(&self, epoch: u32) -> u32;

    /// The samples that start outside, ascending.
    fn initially_outside(&self) -> Vec<u32>;

    /// Whether a decision takes effect at the start of `epoch`: never at epoch 0, never after the run's end.
    fn decides(&self, epoch: u32) -> bool;

    /// What the decision for `epoch` does.
    fn cut(&self, epoch: u32) -> Cut;

    /// How a sample ranks at the decision for `epoch`: an active one for [`Cut::Exchange`], any for
    /// [`Cut::Outside`]. `entered` is the epoch of its last entry, 0 if it was active from the start; `key` is what
    /// its state says.
    fn rank(&self, epoch: u32, sample: u32, entered: u32, key: u32) -> Rank;

    /// How a sample outside stands in the queue at the decision for `epoch`. `left` is the epoch at which it left,
    /// 0 if it was outside from the start.
    fn queue(&self, epoch: u32, sample: u32, left: u32) -> Rank;

    /// What policies that differ in their sizes only have in common: two of one name with equal values keep the same
    /// states, decide at the same epochs, and rank samples of equal key alike; if they cut an outside, whatever
    /// `entered` is. Whoever judges many policies at once then keeps one state and one order for all of them. `None`,
    /// the default, has nothing in common with anybody.
    fn alike(&self) -> Option<[u64; 2]> {
        None
    }

    /// Whether its state looks at more of a score than whether it was right: losses then have to be there.
    fn reads_losses(&self) -> bool {
        true
    }

    /// The state of `samples` samples, for one run. Slots are the caller's numbers: whoever holds a part of the
    /// samples numbers them from 0.
    fn start(&self, samples: usize) -> Box<dyn SieveState>;
}

/// What is kept for each sample between two decisions.
pub trait SieveState: Send {
    /// What a presentation of the sample in `slot` showed, in order of (epoch, step). All rows of a sample count,
    /// whether it was trained or only observed.
    fn observe(&mut self, slot: usize, score: &ScoreRow);

    /// What the sample is ranked by, from the presentations since the window's start.
    fn key(&self, slot: usize) -> u32;

    /// A new window starts. Called after every decision, before any row of its epoch.
    fn clear(&mut self);

    /// The columns in which the state of a sample is saved, `epoch` and `sample` (both `u32`) first: those of a row type
    /// of the policy's own. No columns if there is nothing to save; `None`, as here, if the state cannot be saved: then a
    /// run keeps no checkpoints from which it could go on.
    fn columns(&self) -> Option<Vec<Column>> {
        None
    }

    /// Appends what there is to know of `sample`, in `slot`, to go on at the start of `epoch`: one row of
    /// [`columns`](Self::columns). Called if there are some.
    fn save(&self, _slot: usize, _epoch: u32, _sample: u32, _rows: &mut Columns) {}

    /// Takes over row `row` of what was saved, for the sample in `slot` of a fresh state. Called if there are columns.
    fn restore(&mut self, _slot: usize, _rows: &Columns, _row: usize) {}
}

/// The state of a policy that ranks without scores.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NoState;

impl SieveState for NoState {
    fn observe(&mut self, _slot: usize, _score: &ScoreRow) {}

    fn key(&self, _slot: usize) -> u32 {
        0
    }

    fn clear(&mut self) {}

    fn columns(&self) -> Option<Vec<Column>> {
        Some(Vec::new())
    }
}

/// The key `sieve.fraction`.
fn fraction_parameter() -> Parameter {
    Parameter::below("sieve.fraction", 0.15, 0.0, 1.0, "share of the samples that is out of training")
}

/// The key `sieve.interval`, of at least so many epochs.
fn interval_parameter(least: i64, help: &'static str) -> Parameter {
    Parameter::integer("sieve.interval", 2, least, i64::from(u32::MAX), help)
}

/// How many samples are outside, by `sieve.fraction`.
///
/// # Errors
/// If none is left to train on.
fn outside(parameters: &Parameters, context: &SieveContext) -> Result<u32, ParameterError> {
    let fraction = parameters.number("sieve.fraction");
    let out = share_of(fraction, context.samples);
    if out < context.samples {
        return Ok(out);
    }
    let samples = counted(context.samples, "sample");
    let reason = format!("{fraction} of {samples} leaves none to train on; choose less");
    Err(ParameterError::contradiction("sieve.fraction", reason))
}

/// All sieve policies.
pub fn registry() -> &'static [Entry<dyn SievePolicy, SieveContext>] {
    &[none::ENTRY, random::ENTRY, circular::ENTRY, forgetting::ENTRY]
}

/// The key `sieve.policy`: one of the names in the registry.
pub fn choice() -> Parameter {
    crate::entry::choice("sieve.policy", "circular", registry(), "which samples are trained on")
}

/// Builds the policy called `name` from its parameters.
///
/// # Errors
/// If there is no such policy, or parameters contradict each other or the run.
///
/// # Panics
/// If `parameters` lacks one of the policy's keys.
pub fn build(
    name: &str,
    parameters: &Parameters,
    context: &SieveContext,
) -> Result<Box<dyn SievePolicy>, ParameterError> {
    crate::entry::build(&choice(), registry(), name, parameters, context)
}

#[cfg(test)]
mod tests;
