//! The decisions of `spfde`, and what they cost: which weights exist, which blocks are frozen, which samples
//! are trained on.
//!
//! A policy is a pure rule. It is told what happened and answers what changes; it knows no dataflow, no file,
//! no clock and no thread, and every random choice is a draw keyed by what it is for. So the same policy
//! decides in a running training and in the replay of a recorded one, and both decide the same.
//!
//! | family | decides | what is a policy's own |
//! |---|---|---|
//! | [`mask`] | which weights of a layer exist | [`mask::MaskRule`] |
//! | [`freeze`] | when a block stops training | [`freeze::FreezeRule`] |
//! | [`sieve`] | which samples are trained on | [`sieve::SieveRule`] |
//!
//! A [`Plan`] combines one policy of each family before the first step: densities, freezing times, sizes of
//! the active set and the cost of every epoch. [`cost::count`] is the one place that says what an epoch
//! costs.
//!
//! A new policy is one file in its family's directory, with its parameters as typed fields
//! ([`parameters!`](spfde_data::parameters)) and its state as a typed record ([`state!`](spfde_data::state)),
//! and one name in the [`Registry`]; configuration, command line, checkpoints and the tests over all policies
//! derive from that.
#![forbid(unsafe_code)]

pub mod cost;
pub mod entry;
pub mod example;
pub mod freeze;
pub mod learning_rate;
pub mod mask;
pub mod plan;
pub mod registry;
mod rounding;
pub mod sieve;
mod spans;
mod state;

pub use cost::{Cost, Costs, count};
pub use entry::{Entry, Family};
pub use freeze::{Change, FreezeContext, FreezePlan, FreezePolicy, FreezeRule, FreezeState};
pub use learning_rate::{Cosine, LearningRate, learning_rate};
pub use mask::{MaskContext, MaskDelta, MaskPolicy, MaskRule, MaskState, MaskUpdate, Needs};
pub use plan::Plan;
pub use registry::Registry;
pub use rounding::share_of;
pub use sieve::{Cut, Decision, Rank, SieveContext, SievePolicy, SieveRule, SieveState};
pub use spans::Spans;
