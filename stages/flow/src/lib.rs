//! The operators of `spfde` and their streams, on timely and differential dataflow.
//!
//! A stage is a function from streams to streams; a policy is a value that it hosts. The graph is cyclic:
//! what a stage decides at the end of an epoch travels round a feedback edge, and takes effect at the first
//! step of the next epoch.
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
//! In a [`replay()`] a recorded run stands in for loader and training; the stages that decide are the same. A
//! [`grid`] decides with many policies over one record.
//!
//! # What stages share
//!
//! Stages tell each other what they decide on edges only. Operators of one stage may share state on their
//! worker: those of [`train()`] share the replica of the network, those of [`sieve()`] what they know of the
//! samples.
//!
//! There are two exceptions. Outputs of the frozen prefix, which are constants, are kept for all workers of a
//! process ([`PrefixCache`]): no bit depends on who has computed one.
//!
//! And when a worker has heard of a [`Fault`], its stages stop waiting for epochs that will not come. No
//! decision and no row depends on when a worker hears of it: an epoch counts only if all of it is complete.
//!
//! # What a decision costs
//!
//! A sieve keeps dense state of its samples and cuts exactly. Workers tell by how much the sizes of classes
//! of ranks have changed, and a differential collection says in which class a cut lies. Training and replay
//! decide the same, bit for bit. Weights travel to the mask stage only at the end of an epoch whose update
//! [needs](spfde_policy::Needs) them.
//!
//! # Ends
//!
//! Faults, requests to stop and early ends travel on edges of their own ([`Run::end_on`]), so that all
//! workers stop at the same tick. An early end is a success.
//!
//! # Seams
//!
//! Methods that change the training step itself plug into [`Seams`]: perturbed inputs, loss, precision,
//! gradient transforms, learning rate, optimiser.
//!
//! # Checkpoints and files
//!
//! At the close of an epoch the stages write what the run needs to go on ([`Checkpoints`]). A run that goes
//! on takes it up ([`Snapshot`]) and begins at that tick. This crate opens no files, but is handed what does
//! ([`Services`]).
#![forbid(unsafe_code)]

mod account;
pub mod analysis;
mod assemble;
mod checkpoint;
mod clip;
mod edge;
pub mod fault;
mod freeze;
pub mod grid;
mod initial;
mod loader;
mod loops;
mod mask;
mod observer;
mod part;
mod patience;
mod per_epoch;
mod prefix_cache;
mod recorded;
mod replay;
mod run;
mod seams;
mod services;
mod settings;
mod sieve;
mod start;
mod stop;
mod tick;
mod timings;
mod trace;
mod train;
pub mod tree;
mod untrained;
mod window;
mod windowed;

pub use assemble::Finished;
pub use checkpoint::{CheckpointStore, Checkpoints, Snapshot};
pub use clip::Clip;
pub use fault::{Cause, Fault};
pub use freeze::freeze;
pub use loader::{Batch, Drawn, batches, load, share};
pub use loops::{Loop, Loops};
pub use mask::mask;
pub use observer::{Observer, StepReport};
pub use patience::patience;
pub use per_epoch::per_epoch;
pub use prefix_cache::{Cache, CacheSettings, MakeScratch, PrefixCache};
pub use replay::replay;
pub use run::Run;
pub use seams::{GradientTransform, Seams};
pub use services::{Recorded, Services};
pub use settings::{Observe, Policies, ProbeSettings, Settings};
pub use sieve::{Place, Ranked, lowest, sieve};
pub use stop::Stop;
pub use tick::{Flow, Lag, Tick};
pub use timings::Timings;
pub use train::{LayerWeights, Trained, train};

use checkpoint::{ActiveRow, Due, FREEZE_POLICY, FrozenRow, Keeper, Kept, MASK_POLICY, ProductRow};
use window::{Horizon, Stash};
use windowed::{Ground, Output, Windowed};
