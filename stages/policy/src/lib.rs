//! The decisions of `spfde`, and what they cost: which weights exist, which blocks are frozen, which samples are
//! trained on.
//!
//! A policy is a pure rule. It is told what happened and answers what changes; it knows no dataflow, no file, no
//! clock and no thread, and every random choice is a draw keyed by what it is for. So the same policy decides in
//! a running training and in the replay of a recorded one, and both decide the same.
//!
//! | family | decides | registry |
//! |---|---|---|
//! | [`mask`] | which weights of a layer exist | [`mask::registry`] |
//! | [`freeze`] | when a block stops training | [`freeze::registry`] |
//! | [`sieve`] | which samples are trained on | [`sieve::registry`] |
//!
//! A [`Plan`] combines one policy of each family before the first step: densities, freezing times, sizes of the
//! active set and the cost of every epoch. [`cost::count`] is the one place that says what an epoch costs.
//!
//! A new policy is one file in its family's directory and one line in its family's registry; configuration,
//! command line and the tests over all policies derive from that line.
#![forbid(unsafe_code)]

pub mod cost;
pub mod entry;
pub mod example;
pub mod freeze;
pub mod learning_rate;
pub mod mask;
pub mod plan;
mod rounding;
pub mod sieve;

pub use cost::{Cost, Costs, count};
pub use entry::Entry;
pub use freeze::{Freeze, FreezeContext, FreezePlan, FreezePolicy, FreezeState, Remembered};
pub use learning_rate::learning_rate;
pub use mask::{MaskContext, MaskDelta, MaskPolicy, MaskUpdate};
pub use plan::Plan;
pub use sieve::{Cut, Rank, SieveContext, SievePolicy, SieveState};
