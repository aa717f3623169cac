//! From a rule to a policy: what all mask policies share stands here once.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use spfde_data::{Architecture, Column, Columns, ParameterError, Parametric, Record};

use super::granularity::{Granularity, Unstructured};
use super::selection::{magnitudes, random_mask};
use super::{MaskContext, MaskDelta, MaskPolicy, MaskState, MaskUpdate, Needs, Schedule, Targets, Window};
use crate::{Entry, Spans, state};

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
    /// Weights of the dense layer.
    pub weights: u32,
    /// The density that the layer ends with.
    pub density: f64,
}

impl Moment {
    /// The weights of the layer at its target density.
    pub fn target(&self) -> u32 {
        self.at(self.density)
    }

    /// The weights of the layer at another density, at most all of them.
    pub fn at(&self, density: f64) -> u32 {
        crate::rounding::share_of(density.max(0.0), self.weights)
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
    /// Whether densities follow from the schedule alone.
    const SCHEDULED: bool = true;
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

    /// In which units weights exist. Counts are then those of whole units, as [`count`](Self::count) has to
    /// say.
    fn granularity(&self) -> &dyn Granularity {
        &Unstructured
    }

    /// What an update looks at.
    fn needs(&self) -> Needs {
        Needs::Weights
    }

    /// How important each existing weight is: the lowest are dropped first.
    fn importance(&self, update: &MaskUpdate<'_>) -> Vec<(u64, u32)> {
        magnitudes(update)
    }

    /// The change of one masked layer. It is not asked when a layer freezes, which drops the least important.
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

/// The policy of a rule in one run.
///
/// # Errors
/// If a parameter is out of its range, or parameters contradict each other or the run.
pub fn policy<R: MaskRule>(rule: R, context: &MaskContext) -> Result<Arc<dyn MaskPolicy>, ParameterError> {
    rule.check()?;
    let targets = rule.targets(&context.architecture)?;
    Ok(Arc::new(Masks { schedule: rule.schedule(context.epochs), rule, targets, context: context.clone() }))
}

/// A rule in one run.
#[derive(Clone)]
struct Masks<R> {
    rule: R,
    context: MaskContext,
    targets: Targets,
    schedule: Schedule,
}

impl<R: MaskRule> MaskPolicy for Masks<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn masked(&self, layer: usize) -> bool {
        self.targets.masked[layer]
    }

    fn target(&self, layer: usize) -> u32 {
        self.targets.count(layer)
    }

    fn nonzero(&self, layer: usize, epoch: u32, frozen: &Spans) -> u32 {
        if !self.masked(layer) {
            return self.targets.weights[layer];
        }
        self.rule.count(&self.moment(layer, self.schedule.in_force(epoch, frozen), frozen))
    }

    fn is_scheduled(&self) -> bool {
        R::SCHEDULED
    }

    fn initial(&self, layer: usize, frozen: &Spans) -> Vec<u32> {
        if !self.masked(layer) {
            return Vec::new();
        }
        let count = self.rule.count(&self.moment(layer, 0, frozen));
        let (units, seed) = (self.rule.granularity(), self.context.seed);
        random_mask(units, seed, layer, self.targets.weights[layer], count)
    }

    fn needs(&self, layer: usize, epoch: u32, frozen: &Spans) -> Needs {
        match self.masked(layer) && epoch < self.context.epochs && epoch > 0 {
            true if self.schedule.updates(epoch, frozen) => self.rule.needs(),
            true if frozen.freezes_at(epoch) => self.needs_to_freeze(),
            _ => Needs::Nothing,
        }
    }

    fn needs_within(&self, layer: usize, epoch: u32, frozen: &Spans) -> Needs {
        match self.masked(layer) && self.schedule.updates_within(epoch, frozen) {
            true => self.rule.needs(),
            false => Needs::Nothing,
        }
    }

    fn steps(&self) -> Option<NonZeroU32> {
        match self.schedule.every {
            Window::Steps(steps) => NonZeroU32::new(steps),
            Window::Epochs(_) => None,
        }
    }

    fn moment(&self, layer: usize, epoch: u32, frozen: &Spans) -> Moment {
        Moment {
            layer,
            epoch,
            step: 0,
            epochs: self.context.epochs,
            last: self.schedule.is_last(epoch, frozen),
            weights: self.targets.weights[layer],
            density: self.targets.densities[layer],
        }
    }

    fn needs_to_freeze(&self) -> Needs {
        self.rule.needs().min(Needs::Gradient)
    }

    fn redistributes(&self) -> bool {
        R::REDISTRIBUTES
    }

    fn start(&self) -> Box<dyn MaskState> {
        Box::new(Masking { masks: self.clone(), states: BTreeMap::new() })
    }
}

/// The states of some layers.
struct Masking<R: MaskRule> {
    masks: Masks<R>,
    states: BTreeMap<usize, R::State>,
}

impl<R: MaskRule> MaskState for Masking<R> {
    fn decide(&mut self, updates: &[MaskUpdate<'_>]) -> Vec<MaskDelta> {
        let rule = &self.masks.rule;
        let freeze = |update: &MaskUpdate<'_>| {
            let kept = rule.count(&Moment { last: true, ..update.moment });
            let surplus = update.indices.len().saturating_sub(kept as usize);
            let dropped = rule.granularity().lowest(&mut rule.importance(update).into_iter(), surplus);
            MaskDelta { dropped, grown: Vec::new() }
        };
        let going: Vec<MaskUpdate<'_>> = updates.iter().filter(|update| !update.freezing).copied().collect();
        for update in &going {
            self.states.entry(update.moment.layer).or_default();
        }
        let asked = |layer: &usize| going.iter().any(|update| update.moment.layer == *layer);
        let mut states: Vec<&mut R::State> =
            self.states.iter_mut().filter(|(layer, _)| asked(layer)).map(|(_, state)| state).collect();
        let mut changed = rule.update_all(&going, &mut states).into_iter();
        let answer = |update: &MaskUpdate<'_>| match update.freezing {
            true => freeze(update),
            false => changed.next().expect("one change for each layer"),
        };
        updates.iter().map(answer).collect()
    }

    fn columns(&self) -> Vec<Column> {
        state::columns::<R::State>("layer")
    }

    fn save(&self, epoch: u32) -> Columns {
        let mut rows = Columns::new(&self.columns());
        let states = self.states.iter();
        states.for_each(|(layer, state)| state::push(&mut rows, epoch, *layer as u32, state.clone()));
        rows
    }

    fn restore(&mut self, rows: &Columns) -> Result<(), String> {
        let layers = self.masks.targets.masked.len();
        for row in 0..rows.rows {
            let (layer, state) = state::get(rows, row);
            if layer as usize >= layers || self.states.insert(layer as usize, state).is_some() {
                return Err(format!("layer is {layer}; expected each of {layers} once at most, from 0"));
            }
        }
        Ok(())
    }
}
