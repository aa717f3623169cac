//! The operators of `spfde` and their streams, on timely and differential dataflow.
//!
//! A stage is a function from streams to streams; a policy is a value it hosts. The graph is cyclic: what a stage
//! decides at the end of an epoch travels round a feedback edge and takes effect at the next epoch's first step.
//!
//! ```text
//!       ┌──────────────── active-set deltas (sample, weight, ±1) ────────────┐
//!       ▼                                                                    │
//!    loader ──batches──► train ──scores (sample, loss, correct)──────────► sieve
//!                        ▲ ▲ │──gradient norms (layer, norm)──► freeze ──┐
//!      freeze deltas ────┘ │ │                                     │     │
//!       (layer ±1)   ◄─────┼─┼─────────────────────────────────────┼─────┘
//!                          │ │                 freezes of this tick▼
//!      mask deltas ────────┘ └──weights and gradients on demand──► mask ─┐
//!       (layer, index ±1) ◄──────────────────────────────────────────────┘
//! ```
//!
//! In a [`replay()`] a recorded run stands in for loader and training; the stages that decide are the same.
//!
//! Nothing reaches round the graph but through its edges, with one exception: when a worker has heard of a fault, its
//! stages stop waiting for epochs that will not come. No decision and no row depends on when it hears of it: an epoch
//! counts only if the whole of it is complete.
//!
//! At the close of an epoch the stages write what the run needs to go on ([`Checkpoints`]); a run that goes on takes it up
//! ([`Snapshot`]) and begins at that tick.
//!
//! This crate hosts policies and model shards; it opens no files, but is handed what does ([`Services`]).
#![forbid(unsafe_code)]

mod account;
mod assemble;
mod checkpoint;
mod edge;
pub mod fault;
mod freeze;
pub mod grid;
mod loader;
mod loops;
mod mask;
mod observer;
mod part;
mod per_epoch;
mod recorded;
mod replay;
mod run;
mod save;
mod seams;
mod services;
mod settings;
mod sieve;
mod stop;
mod tick;
mod timings;
mod trace;
mod train;
pub mod tree;
mod window;
mod windowed;

pub use assemble::Finished;
pub use checkpoint::{CheckpointStore, Checkpoints, Snapshot};
pub use fault::{Cause, Fault};
pub use freeze::freeze;
pub use loader::{Batch, load};
pub use loops::{Loop, Loops};
pub use mask::mask;
pub use observer::{Observer, StepReport};
pub use per_epoch::per_epoch;
pub use replay::replay;
pub use run::Run;
pub use seams::{GradientTransform, Seams};
pub use services::{Recorded, Services};
pub use settings::{Observe, Policies, Settings};
pub use sieve::{Place, Ranked, lowest, sieve};
pub use stop::Stop;
pub use tick::{Lag, Tick};
pub use timings::Timings;
pub use train::{LayerWeights, Trained, train};
