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

mod axes;
mod deep_r;
mod dense;
pub mod distribution;
mod dsr;
mod extra;
mod gmp;
mod granet;
pub mod granularity;
mod grasp;
mod gse;
mod hosted;
mod listed;
mod lottery;
mod magnitude;
mod mest;
mod mest_em;
mod mest_ems;
mod pattern;
mod rigl;
mod rule;
mod sampling;
pub mod schedule;
pub mod selection;
mod set;
mod snfs;
mod snip;
mod r#static;
mod synflow;
mod together;
mod top_kast;
mod units;
mod untrained;
mod update;

use std::num::NonZeroU32;
use std::sync::Arc;

use spfde_data::{Architecture, Column, Columns};

use crate::Spans;

pub use axes::{Layers, Updates};
pub use deep_r::DeepR;
pub use dense::Dense;
pub use distribution::{Distribution, Targets};
pub use dsr::Dsr;
pub use extra::extra;
pub use gmp::Gmp;
pub use granet::Granet;
pub use granularity::Granularity;
pub use grasp::Grasp;
pub use gse::Gse;
pub use hosted::policy;
pub use listed::DENSITIES;
pub use lottery::Lottery;
pub use magnitude::Magnitude;
pub use mest_em::MestEm;
pub use mest_ems::MestEms;
pub use rigl::Rigl;
pub use rule::{MaskRule, Moment, entry};
pub use sampling::Sampling;
pub use schedule::{Schedule, Window};
pub use set::Set;
pub use snfs::Snfs;
pub use snip::Snip;
pub use r#static::Static;
pub use synflow::SynFlow;
pub use top_kast::TopKast;
pub use units::Units;
pub use untrained::{Scope, Untrained};
pub use update::{Candidates, MaskDelta, MaskUpdate};

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
    /// These, and the gradients of the absent weights that the policy names before the step.
    Candidates,
    /// Those of existing weights, and the dense gradient of the last step: that of the batch's mean loss,
    /// before weight decay, for absent weights, too. The step keeps its optimiser update.
    DenseGradient,
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

    /// The masks of all layers at the start, of a policy that looks at the network for them; a layer that is
    /// not masked has an empty one. `None`: [`initial`](Self::initial) says them.
    fn choose(&self, _network: &mut dyn Untrained) -> Option<Vec<Vec<u32>>> {
        None
    }

    /// Of how many samples [`choose`](Self::choose) takes the gradients of all weights, if the batches of
    /// epoch 0 have so many samples each.
    fn samples_to_choose(&self, _batches: &[u32]) -> u64 {
        0
    }

    /// Whether the initial mask is [chosen](Self::choose).
    fn chooses(&self) -> bool {
        self.samples_to_choose(&[1]) > 0 || self.explores()
    }

    /// The epoch to whose start everything that trains goes back, without momentum, at each update that takes
    /// effect with an epoch; `None`: nothing does.
    fn rewind(&self) -> Option<u32> {
        None
    }

    /// Which epoch of a training `epoch` is, and at which one that training ends, for the learning rate of a
    /// block whose training ends at `ends_at` of the run: others than these where trainings follow one
    /// another.
    fn phase(&self, epoch: u32, ends_at: u32) -> (u32, u32) {
        (epoch, ends_at)
    }

    /// Whether the weights of masked layers keep values while they do not exist, and the greatest of these
    /// train, as many as [`explored`](Self::explored) says. A weight that grows begins with its value.
    fn explores(&self) -> bool {
        false
    }

    /// How many absent weights of a masked layer that has so many weights train during `epoch`.
    fn explored(&self, _layer: usize, _epoch: u32, _existing: u32) -> u32 {
        0
    }

    /// The most that any update needs.
    fn most_needed(&self) -> Needs {
        Needs::DenseGradient
    }

    /// How many [candidates](Self::candidates) a layer has at most that has so many weights.
    fn candidate_count(&self, _layer: usize, _existing: u32) -> u32 {
        0
    }

    /// The absent weights of a layer whose gradients an update needs, ascending, of a policy that
    /// [needs](Needs::Candidates) such. Asked before the step whose gradients they are.
    fn candidates(&self, _candidates: &Candidates<'_>) -> Vec<u32> {
        Vec::new()
    }

    /// By which probabilities candidates are drawn. Unless they are all alike, they follow from
    /// [sums](Sampling::sums). The step before that of the candidates' gradients computes these, if the epoch
    /// has one.
    fn sampling(&self) -> Sampling {
        Sampling::Uniform
    }

    /// Steps at each window's end over which the dense gradients that an update needs are kept as a momentum;
    /// 0: all steps. `None`: an update needs the last step's gradient itself.
    fn momentum_steps(&self) -> Option<u32> {
        None
    }

    /// Whether the initial weights take the signs of [`selection::sign`].
    fn fixes_signs(&self) -> bool {
        false
    }

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
