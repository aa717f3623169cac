//! Freezing: when a block of layers stops training.
//!
//! Blocks freeze front to back, so that the backward pass stops at the frozen prefix. A frozen block keeps its
//! weights and its mask; the classifier belongs to no block and never freezes.

pub mod gradient_norm;
pub mod none;
pub mod progressive;

use std::sync::Arc;

use spfde_data::architecture::Architecture;
use spfde_data::parameter::{Parameter, ParameterError, Parameters};
use spfde_data::rows::{GradientRow, MaskRow};

use crate::cost::Costs;
use crate::{Entry, Plan};

/// What a freeze policy is told of the run.
#[derive(Clone, Debug)]
pub struct FreezeContext {
    /// How many epochs the run has.
    pub epochs: u32,
    /// The network.
    pub architecture: Arc<Architecture>,
    /// Epochs between two updates of the masks.
    pub mask_interval: u32,
    /// Whether the user asked for `freeze.flops_reduction`: then a reduction that cannot be reached is an error,
    /// otherwise it freezes nothing.
    pub reduction_required: bool,
}

/// When blocks will freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreezePlan {
    /// For each block the epoch from whose first step on it is frozen. Front to back. A block at epoch 0 is frozen
    /// from the start, and [`FreezeState::decide`] is not asked for it.
    pub frozen_at: Vec<Option<u32>>,
    /// What a user should know, such as why nothing freezes.
    pub note: Option<String>,
}

impl FreezePlan {
    /// The plan that freezes nothing: that of every policy that decides while training.
    pub fn empty(blocks: usize) -> Self {
        Self { frozen_at: vec![None; blocks], note: None }
    }
}

/// A block that freezes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// The block, from 0.
    pub block: usize,
    /// Why, in words.
    pub reason: String,
}

/// A rule that says when blocks freeze.
pub trait FreezePolicy: Send + Sync {
    /// The name under which it is registered.
    fn name(&self) -> &'static str;

    /// What can be known before the first step; nothing, unless a policy says more, since decisions depend on what
    /// training shows.
    ///
    /// # Errors
    /// If what the user asked for cannot be reached.
    fn plan(&self, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        Ok(FreezePlan::empty(costs.architecture.blocks.len()))
    }

    /// The deciding state at the start of one run.
    fn start(&self, plan: &Plan) -> Box<dyn FreezeState>;
}

/// The deciding state of one run.
///
/// All calls are in order of time: at each tick first [`mask`](Self::mask), then [`observe`](Self::observe), and
/// [`decide`](Self::decide) for an epoch after everything of the epochs before it and before anything of its own.
pub trait FreezeState: Send {
    /// One row of gradient norms, in order of (epoch, step, layer).
    fn observe(&mut self, row: &GradientRow);

    /// A mask delta in force from its tick on; the initial masks come at (0, 0). Nothing, unless a policy counts weights.
    fn mask(&mut self, _row: &MaskRow) {}

    /// The blocks that freeze at `(epoch, 0)`, front to back. Called once for every epoch but 0, in order.
    fn decide(&mut self, epoch: u32) -> Vec<Freeze>;

    /// What there is to know to go on after the decision for the current epoch; nothing if all follows from the plan.
    /// `None`, as here, if the state cannot be saved: then a run keeps no checkpoints from which it could go on.
    fn save(&self) -> Option<Vec<Remembered>> {
        None
    }

    /// Takes over, in a fresh state, what [`save`](Self::save) gave, in its order.
    ///
    /// # Errors
    /// What of it does not fit, in words.
    fn restore(&mut self, _remembered: &[Remembered]) -> Result<(), String> {
        Ok(())
    }
}

/// One thing that a freeze policy remembers of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// The block, from 0.
    pub block: usize,
    /// What it is, in a word of the policy.
    pub what: String,
    /// The tick to which it belongs, (0, 0) if to none.
    pub tick: (u32, u32),
    /// The value; whole numbers are exact up to 2⁵³.
    pub value: f64,
}

/// All freeze policies.
pub fn registry() -> &'static [Entry<dyn FreezePolicy, FreezeContext>] {
    &[none::ENTRY, progressive::ENTRY, gradient_norm::ENTRY]
}

/// The key `freeze.policy`: one of the names in the registry.
pub fn choice() -> Parameter {
    crate::entry::choice("freeze.policy", "progressive", registry(), "when a block of layers stops training")
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
    context: &FreezeContext,
) -> Result<Box<dyn FreezePolicy>, ParameterError> {
    crate::entry::build(&choice(), registry(), name, parameters, context)
}

#[cfg(test)]
mod tests;
