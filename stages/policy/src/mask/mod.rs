//! Masks: which weights of a layer exist, and when that changes.
//!
//! A weight outside the mask is stored nowhere; an existing weight counts as nonzero even if its value is 0.
//! By default every convolution but the first (1×1 shortcuts too) and every linear layer but the last is
//! masked.
//!
//! Four axes are independent: *when* a mask changes ([`schedule`]), *how many* weights each layer has
//! ([`distribution`]), in *which pattern* ([`granularity`]), and *by what score* weights are dropped and
//! grown: that is what a [`MaskRule`] states, with the number of weights where it is not the target.
//! [`entry`] makes a policy of it.

mod dense;
pub mod distribution;
pub mod granularity;
mod mest;
mod mest_em;
mod mest_ems;
mod rigl;
mod rule;
pub mod schedule;
pub mod selection;
mod r#static;

use std::num::NonZeroU32;
use std::sync::Arc;

use spfde_data::{Architecture, Column, Columns};

use crate::Spans;

pub use dense::Dense;
pub use distribution::{Distribution, Targets};
pub use mest_em::MestEm;
pub use mest_ems::MestEms;
pub use rigl::Rigl;
pub use rule::{MaskRule, Moment, entry, policy};
pub use schedule::{Schedule, Window};
pub use r#static::Static;

/// What a mask policy is told of the run.
#[derive(Clone, Debug)]
pub struct MaskContext {
    /// The run's seed.
    pub seed: u64,
    /// How many epochs the run has.
    pub epochs: u32,
    /// The network.
    pub architecture: Arc<Architecture>,
}

/// What a policy looks at in one layer: the engine provides exactly that, then, and bills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing: the mask does not change.
    Nothing,
    /// The values of the existing weights.
    Weights,
    /// These, and the reduced gradient of the last step.
    Gradient,
    /// These, and the dense gradient of the last step: that of the batch's mean loss, before weight decay,
    /// for absent weights, too. The step keeps its optimiser update.
    DenseGradient,
}

/// The state of one layer at the moment at which its mask changes.
#[derive(Clone, Copy, Debug)]
pub struct MaskUpdate<'a> {
    /// The layer, when the change takes effect, and how many weights there are.
    pub moment: Moment,
    /// Whether the layer's block freezes at this very epoch: the layer is brought to its target density.
    pub freezing: bool,
    /// The run's seed.
    pub seed: u64,
    /// The existing weights, ascending: row-major in (out, in, ky, kx).
    pub indices: &'a [u32],
    /// Their values, in the same order.
    pub values: &'a [f32],
    /// The reduced gradient of the last step, in the same order; empty unless it was needed.
    pub gradients: &'a [f32],
    /// The dense gradient of the last step, by index; empty unless it was needed.
    pub dense_gradients: &'a [f32],
}

/// How a mask changes. Both lists are ascending; `dropped` holds existing weights, `grown` absent ones or
/// dropped ones: a weight in both starts again at 0, without momentum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskDelta {
    /// The weights that cease to exist.
    pub dropped: Vec<u32>,
    /// The weights that begin to exist, with value 0.
    pub grown: Vec<u32>,
}

/// A rule that says which weights exist, as the engine asks it. [`policy`] makes one of a [`MaskRule`].
///
/// `frozen` are always the epochs during which the plan has the layer's block frozen.
pub trait MaskPolicy: Send + Sync {
    /// The name under which it is registered.
    fn name(&self) -> &'static str;

    /// Whether a layer is masked. A layer that is not is dense and in no delta.
    fn masked(&self, layer: usize) -> bool;

    /// The weights of a layer at its target density.
    fn target(&self, layer: usize) -> u32;

    /// The existing weights of a layer during `epoch`. It must follow from the configuration alone, be
    /// constant while the layer is frozen, and for a given epoch not fall when a freeze moves later: plans
    /// count on it. A policy whose densities depend on data gives its target.
    fn nonzero(&self, layer: usize, epoch: u32, frozen: &Spans) -> u32;

    /// Whether the layers will have exactly the weights that [`nonzero`](Self::nonzero) says: then costs
    /// follow from the schedule, and a replay can count them. False for a policy whose densities depend on
    /// weights or data.
    fn is_scheduled(&self) -> bool;

    /// The weights of a masked layer that exist at the start, ascending; empty for a layer that is not
    /// masked.
    fn initial(&self, layer: usize, frozen: &Spans) -> Vec<u32>;

    /// What the policy looks at for the update of a layer at `(epoch, 0)`; nothing if there is none: never at
    /// epoch 0, never in a frozen layer, never after the run's end. A layer that freezes is updated at that
    /// epoch.
    fn needs(&self, layer: usize, epoch: u32, frozen: &Spans) -> Needs;

    /// What it looks at for the updates of a layer within `epoch`, each after a multiple of
    /// [`steps`](Self::steps); nothing if there is none.
    fn needs_within(&self, _layer: usize, _epoch: u32, _frozen: &Spans) -> Needs {
        Needs::Nothing
    }

    /// Steps between two updates, of a policy whose windows are steps. They are counted anew in every epoch,
    /// whose last step is followed by none.
    fn steps(&self) -> Option<NonZeroU32> {
        None
    }

    /// A layer at its update at `(epoch, 0)`.
    fn moment(&self, layer: usize, epoch: u32, frozen: &Spans) -> Moment;

    /// What it looks at when a layer freezes that no plan has freeze.
    fn needs_to_freeze(&self) -> Needs;

    /// Whether layers exchange weights: then all updates of one epoch are decided together, on one worker.
    fn redistributes(&self) -> bool;

    /// The deciding state at the start of one run, for the layers that are decided together.
    fn start(&self) -> Box<dyn MaskState>;
}

/// What a mask policy keeps between two updates.
pub trait MaskState: Send {
    /// The changes of some masked layers, in order of the layers, that take effect at one epoch.
    fn decide(&mut self, updates: &[MaskUpdate<'_>]) -> Vec<MaskDelta>;

    /// The columns of its saved rows, `epoch` and `layer` first; none if nothing is kept.
    fn columns(&self) -> Vec<Column>;

    /// A row for each layer of which something is known, to go on at the start of `epoch`.
    fn save(&self, epoch: u32) -> Columns;

    /// Takes over, in a fresh state, the saved rows of some layers.
    ///
    /// # Errors
    /// What of it does not fit, in words.
    fn restore(&mut self, rows: &Columns) -> Result<(), String>;
}

#[cfg(test)]
mod tests;
