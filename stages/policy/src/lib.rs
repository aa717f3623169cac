//! The decisions of `spfde`, and what they cost: which weights exist, which blocks are frozen, which samples
//! are trained on.
//!
//! A policy is a pure rule. It is told what happened and answers what changes; it knows no dataflow, no file,
//! no clock and no thread, and every random choice is a draw keyed by what it is for. So the same policy
//! decides in a running training and in the replay of a recorded one, and both decide the same.
//!
//! | family | decides | what a policy writes itself |
//! |---|---|---|
//! | [`mask`] | which weights of a layer exist (prune and grow) | [`mask::MaskRule`] |
//! | [`freeze`] | when a block stops training, or trains again | [`freeze::FreezeRule`] |
//! | [`sieve`] | which samples are trained on, with what weight (data pruning) | [`sieve::SieveRule`] |
//!
//! A [`Plan`] combines one policy of each family before the first step: densities, freezing times, sizes of
//! the active set and the cost of every epoch. [`cost::count`] is the one place that says what an epoch
//! costs.
//!
//! # Writing a policy
//!
//! A policy has three parts, in one file.
//!
//! 1. **Parameters**: [`parameters!`](spfde_data::parameters) declares a struct. Each field has a help text,
//!    a type, a default and a range, and becomes the key `family.field`.
//! 2. **State**: [`state!`](spfde_data::state) declares what is kept of a sample, a layer or a block. Each
//!    field becomes a column of the checkpoint. A policy without state has `type State = ()`.
//! 3. **Rule**: the trait of the family has a default for everything that most policies have in common.
//!
//! A policy of this crate is one file in the family's folder and one name in `registry.rs`. A policy of
//! another program is one call, such as `spfde::app().mask::<SmallestOut>()`. Keys, `spfde list`, checks of
//! the configuration, checkpoints, grids and replays follow from that; so do the tests over all policies,
//! for those of this crate.
//!
//! A mask rule states its densities, when masks change, and what an update drops and grows. This one has no
//! state: it exchanges the smallest weights for random ones.
//!
//! ```
//! use spfde_data::architecture::Architecture;
//! use spfde_data::parameter::ParameterError;
//! use spfde_policy::mask::selection::{absent_by_draw, magnitudes};
//! use spfde_policy::mask::{Distribution, MaskDelta, MaskRule, MaskUpdate, Schedule, Targets};
//!
//! spfde_data::parameters! {
//!     /// The smallest weights go, random ones come.
//!     pub struct SmallestOut in "mask" {
//!         /// share of weights that do not exist, over all masked layers
//!         pub sparsity: f64 = 0.9, 0.0..1.0;
//!         /// share of a layer's weights that an update exchanges
//!         pub exchanged: f64 = 0.1, 0.0..=1.0;
//!     }
//! }
//!
//! impl MaskRule for SmallestOut {
//!     const NAME: &'static str = "smallest-out";
//!     const SUMMARY: &'static str = "exchanges the smallest weights for random ones";
//!     type State = ();
//!
//!     fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
//!         Targets::new(architecture, Distribution::Uniform, self.sparsity)
//!     }
//!
//!     fn schedule(&self, epochs: u32) -> Schedule {
//!         Schedule::every(2, epochs)
//!     }
//!
//!     fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
//!         let count = (self.exchanged * update.indices.len() as f64) as usize;
//!         let units = update.moment.units;
//!         let dropped = units.least(magnitudes(update).into_iter(), count);
//!         MaskDelta { dropped, grown: units.drawn(&[], absent_by_draw(update), count) }
//!     }
//! }
//! # use spfde_policy::mask::{self, MaskContext};
//! # let architecture = spfde_policy::example::perceptron(&[4, 5, 2]);
//! # let policy = mask::policy(SmallestOut { exchanged: 0.5, ..Default::default() }, &MaskContext {
//! #     seed: 1, epochs: 8, architecture,
//! # })?;
//! # let moment = policy.moment(0, 2, &spfde_policy::Spans::never());
//! # let update = MaskUpdate { moment, freezing: false, seed: 1, indices: &[3, 7], values: &[0.5, -0.1],
//! #     gradients: &[], dense_gradients: &[], candidates: &[], candidate_gradients: &[], stored: &[] };
//! # let delta = policy.start().decide(&[update]).remove(0);
//! # assert_eq!((delta.dropped, delta.grown.len()), (vec![7], 1));
//! # Ok::<(), ParameterError>(())
//! ```
//!
//! A sieve rule states what it keeps of a sample, the key that ranks it, and how many samples are out. The
//! stage makes the exact cut, top-k by key with ties by a draw.
//!
//! ```
//! use spfde_data::rows::ScoreRow;
//! use spfde_policy::sieve::{Cut, Decision, SieveContext, SieveRule};
//! use spfde_policy::share_of;
//!
//! spfde_data::parameters! {
//!     /// The samples with the lowest sum of losses are out.
//!     pub struct Learned in "sieve" {
//!         /// share of the samples that is out of training
//!         pub fraction: f64 = 0.15, 0.0..1.0;
//!     }
//! }
//! spfde_data::state! {
//!     /// The losses of a sample so far.
//!     pub struct Losses { sum: f32 = 0.0, }
//! }
//!
//! impl SieveRule for Learned {
//!     const NAME: &'static str = "learned";
//!     const SUMMARY: &'static str = "the samples with the lowest sum of losses are out";
//!     type State = Losses;
//!
//!     fn active_samples(&self, run: &SieveContext, epoch: u32) -> u32 {
//!         if epoch == 0 { run.samples } else { run.samples - share_of(self.fraction, run.samples) }
//!     }
//!
//!     fn decides(&self, _: &SieveContext, _: u32) -> bool {
//!         true // at the end of every epoch
//!     }
//!
//!     fn decision(&self, run: &SieveContext, _: u32) -> Decision {
//!         Cut::Outside { out: share_of(self.fraction, run.samples) }.into()
//!     }
//!
//!     fn observe(&self, state: &mut Losses, score: &ScoreRow) {
//!         state.sum += score.loss;
//!     }
//!
//!     fn key(&self, state: &Losses) -> u32 {
//!         state.sum.to_bits() // bits of numbers that are not negative sort like the numbers
//!     }
//! }
//! # use spfde_policy::sieve;
//! # let run = SieveContext { seed: 1, epochs: 4, samples: 200 };
//! # let policy = sieve::policy(Learned::default(), &run)?;
//! # assert_eq!(policy.decision(1).cut, Cut::Outside { out: 30 });
//! # assert_eq!(policy.start(1).columns()[2].name, "sum");
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```
//!
//! A freeze rule answers which blocks change. It may also state a plan before the first step.
//!
//! ```
//! use spfde_policy::freeze::{Change, FreezeContext, FreezeRule, Judged};
//!
//! spfde_data::parameters! {
//!     /// One block after the other freezes.
//!     pub struct Steady in "freeze" {
//!         /// epochs between two blocks
//!         pub interval: u32 = 2, 1..;
//!     }
//! }
//!
//! impl FreezeRule for Steady {
//!     const NAME: &'static str = "steady";
//!     const SUMMARY: &'static str = "one block after the other freezes";
//!     type State = ();
//!
//!     fn decide(&self, _: &FreezeContext, judged: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
//!         let front = judged.frozen.iter().position(|spans| !spans.is_frozen(epoch));
//!         let block = front.filter(|_| epoch.is_multiple_of(self.interval));
//!         let reason = || format!("epoch {epoch} has begun");
//!         block.map(|block| Change { block, frozen: true, reason: reason() }).into_iter().collect()
//!     }
//! }
//! # use spfde_policy::freeze;
//! # let architecture = spfde_policy::example::perceptron(&[4, 5, 2]);
//! # let run = FreezeContext::new(8, architecture);
//! # assert_eq!(freeze::policy(Steady { interval: 3 }, &run)?.name(), "steady");
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```
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
pub use freeze::{Change, FreezeContext, FreezePlan, FreezePolicy, FreezeRule, FreezeState, Pace};
pub use learning_rate::{Constant, Cosine, LearningRate, LearningRateSchedule, Linear, Steps, WarmUp};
pub use mask::{MaskContext, MaskDelta, MaskPolicy, MaskRule, MaskState, MaskUpdate, Needs};
pub use plan::Plan;
pub use registry::Registry;
pub use rounding::share_of;
pub use sieve::{Cut, Decision, Rank, SieveContext, SievePolicy, SieveRule, SieveState};
pub use spans::Spans;
