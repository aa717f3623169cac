//! What a mask policy states itself.

use spfde_data::{Architecture, ParameterError, Parametric, Record};

use super::hosted::policy;
use super::selection::magnitudes;
use super::untrained::Untrained;
use super::{
    Candidates, MaskContext, MaskDelta, MaskPolicy, MaskUpdate, Needs, Sampling, Schedule, Targets, Units,
};
use crate::Entry;

/// A layer at the moment of an update, or at the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The layer.
    pub layer: usize,
    /// The epoch in which the update takes effect; 0 at the start.
    pub epoch: u32,
    /// The step from which it does: the first, unless windows are steps.
    pub step: u32,
    /// Epochs of the run.
    pub epochs: u32,
    /// Whether no update follows before the layer freezes, the updates end, or the run does.
    pub last: bool,
    /// In which units its weights exist.
    pub units: Units,
    /// The density that the layer ends with.
    pub density: f64,
}

impl Moment {
    /// The weights of the layer at its target density.
    pub fn target(&self) -> u32 {
        self.at(self.density)
    }

    /// The weights of the layer at another density, in whole units, at most all of them.
    pub fn at(&self, density: f64) -> u32 {
        self.units.count(density.max(0.0))
    }
}

/// What is a mask policy's own: its parameters are the fields of the type, the rest follows.
pub trait MaskRule: Parametric {
    /// The name under which it is registered.
    const NAME: &'static str;
    /// One sentence on what it does, without a full stop.
    const SUMMARY: &'static str;
    /// Whether layers exchange weights: then [`update_all`](Self::update_all) sees all of them at once.
    const REDISTRIBUTES: bool = false;
    /// Whether densities follow from the schedule alone. Where they depend on data, a layer that freezes
    /// keeps what it has: what it dropped would be lost to the total.
    const SCHEDULED: bool = true;
    /// Whether absent weights keep values, and the greatest of them train ([`explored`](Self::explored)).
    const EXPLORES: bool = false;
    /// What is kept of a layer between two updates; `()` if nothing is.
    type State: Record + Default;

    /// Which layers are masked, and the densities they end with.
    ///
    /// # Errors
    /// If a masked layer is left without any weight.
    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError>;

    /// When masks change. Where they change after so many steps, the number of weights follows the epoch.
    fn schedule(&self, epochs: u32) -> Schedule {
        Schedule::never(epochs)
    }

    /// The weights that a layer has after the update at `moment`, or at the start. What it says of the last
    /// update, a frozen layer keeps; a freeze prunes to it. So it must then not depend on the epoch.
    fn count(&self, moment: &Moment) -> u32 {
        moment.target()
    }

    /// What an update looks at.
    fn needs(&self) -> Needs {
        Needs::Weights
    }

    /// The absent weights whose gradients an update looks at, ascending; asked where [`needs`](Self::needs)
    /// says [`Needs::Candidates`], before the step whose gradients they are.
    fn candidates(&self, _: &Candidates<'_>) -> Vec<u32> {
        Vec::new()
    }

    /// How many candidates are drawn for a layer that has so many of its weights, doubles among them.
    fn candidate_count(&self, _units: &Units, _existing: u32) -> u32 {
        0
    }

    /// By which probabilities [`candidates`](Self::candidates) draws: what it is shown follows from that.
    fn sampling(&self) -> Sampling {
        Sampling::Uniform
    }

    /// Steps at each window's end over which dense gradients are kept as a momentum, for
    /// [`Needs::DenseGradient`]; 0: all of them; `None`: the last step's gradient is wanted itself.
    fn momentum_steps(&self) -> Option<u32> {
        None
    }

    /// Whether a weight keeps the sign that a draw gives it: then the initial weights take that sign.
    fn fixes_signs(&self) -> bool {
        false
    }

    /// The masks of all masked layers before training, if they depend on more than the seed: ascending
    /// indices for each layer, empty for one that is not masked. It is asked if
    /// [`samples_to_choose`](Self::samples_to_choose) is above 0, or absent weights keep
    /// [values](Self::EXPLORES).
    fn choose(&self, _: &mut dyn Untrained, _: &Targets) -> Option<Vec<Vec<u32>>> {
        None
    }

    /// The epoch of a run of so many to whose start everything that trains goes back at each update.
    fn rewind(&self, _epochs: u32) -> Option<u32> {
        None
    }

    /// How many absent weights of a layer that has so many weights train during an epoch of so many.
    fn explored(&self, _epochs: u32, _epoch: u32, _existing: u32) -> u32 {
        0
    }

    /// Of how many samples [`choose`](Self::choose) takes the gradients of all weights, if the batches of
    /// epoch 0 have so many samples each; 0 of a rule that does not choose.
    fn samples_to_choose(&self, _batches: &[u32]) -> u64 {
        0
    }

    /// How important each existing weight is: the lowest are dropped first.
    fn importance(&self, update: &MaskUpdate<'_>) -> Vec<(f64, u32)> {
        magnitudes(update)
    }

    /// The change of one masked layer. It is not asked when a layer freezes, which drops the least important
    /// beyond its target if densities are [scheduled](Self::SCHEDULED).
    fn update(&self, update: &MaskUpdate<'_>, state: &mut Self::State) -> MaskDelta;

    /// The changes of all masked layers that are updated at one epoch.
    fn update_all(&self, updates: &[MaskUpdate<'_>], states: &mut [&mut Self::State]) -> Vec<MaskDelta> {
        updates.iter().zip(states).map(|(update, state)| self.update(update, state)).collect()
    }
}

/// The line of a rule in the registry.
pub fn entry<R: MaskRule>() -> Entry<dyn MaskPolicy, MaskContext> {
    Entry::new::<R>(R::NAME, R::SUMMARY, |parameters, run| policy(R::from_parameters(parameters), run))
}
