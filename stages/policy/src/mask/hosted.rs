//! From a rule to a policy: what all mask policies share stands here once.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use spfde_data::{Column, Columns, ParameterError};

use super::granularity::Granularity;
use super::selection::{prune, random_mask};
use super::untrained::Untrained;
use super::{
    Candidates, MaskContext, MaskDelta, MaskPolicy, MaskRule, MaskState, MaskUpdate, Moment, Needs, Sampling,
    Schedule, Targets, Window,
};
use crate::{Spans, state};

/// The policy of a rule in one run.
///
/// # Errors
/// If a parameter is out of its range, or parameters contradict each other or the run.
pub fn policy<R: MaskRule>(rule: R, context: &MaskContext) -> Result<Arc<dyn MaskPolicy>, ParameterError> {
    rule.check()?;
    let targets = rule.targets(&context.architecture)?;
    let masks = Masks { schedule: rule.schedule(context.epochs), rule, targets, context: context.clone() };
    masks.check_units()?;
    Ok(Arc::new(masks))
}

/// A rule in one run.
#[derive(Clone)]
struct Masks<R> {
    rule: R,
    context: MaskContext,
    targets: Targets,
    schedule: Schedule,
}

impl<R: MaskRule> Masks<R> {
    /// N of m fix the number of weights: a layer has that many, or all before it is pruned. Layers exchange
    /// single weights only.
    fn check_units(&self) -> Result<(), ParameterError> {
        let never = Spans::never();
        for (layer, units) in self.targets.units.iter().enumerate() {
            let (target, weights) = (self.targets.count(layer), units.weights());
            let count = |epoch| self.nonzero(layer, epoch, &never);
            let changes =
                || (0..self.context.epochs).map(count).any(|count| count != target && count != weights);
            let reason = match units.granularity() {
                Granularity::Unstructured => continue,
                _ if R::REDISTRIBUTES => format!("layers exchange single weights under `{}`", R::NAME),
                Granularity::Share { existing, of } if target != weights / of * existing => format!(
                    "{existing}:{of} fixes how many weights each layer has: let `mask.distribution` be \
                     uniform and `mask.densities` empty"
                ),
                Granularity::Share { existing, of } if changes() => {
                    format!("{existing}:{of} fixes how many weights exist, which `{}` changes", R::NAME)
                }
                _ => continue,
            };
            return Err(ParameterError::contradiction("mask.granularity", reason));
        }
        Ok(())
    }
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
            return self.targets.units[layer].weights();
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
        random_mask(&self.targets.units[layer], self.context.seed, layer, count)
    }

    fn choose(&self, network: &mut dyn Untrained) -> Option<Vec<Vec<u32>>> {
        self.rule.choose(network, &self.targets)
    }

    fn samples_to_choose(&self, batches: &[u32]) -> u64 {
        self.rule.samples_to_choose(batches)
    }

    fn rewind(&self) -> Option<u32> {
        self.rule.rewind(self.context.epochs)
    }

    fn phase(&self, epoch: u32, ends_at: u32) -> (u32, u32) {
        let Some(rewind) = self.rewind() else { return (epoch, ends_at) };
        let updates = |epoch: &u32| self.schedule.updates(*epoch, &Spans::never());
        let begin = (0..=epoch).rev().find(updates);
        let end = (epoch + 1..ends_at).find(updates).unwrap_or(ends_at);
        // The first training begins at 0, the others where it was rewound to.
        let skipped = begin.map_or(0, |begin| begin - rewind);
        (epoch - skipped, end.saturating_sub(skipped).max(1))
    }

    fn explores(&self) -> bool {
        R::EXPLORES
    }

    fn explored(&self, layer: usize, epoch: u32, existing: u32) -> u32 {
        let absent = self.targets.units[layer].weights() - existing;
        match self.masked(layer) {
            true => self.rule.explored(self.context.epochs, epoch, existing).min(absent),
            false => 0,
        }
    }

    fn most_needed(&self) -> Needs {
        self.rule.needs()
    }

    fn candidate_count(&self, layer: usize, existing: u32) -> u32 {
        let units = &self.targets.units[layer];
        self.rule.candidate_count(units, existing).min(units.weights() - existing)
    }

    fn candidates(&self, candidates: &Candidates<'_>) -> Vec<u32> {
        self.rule.candidates(candidates)
    }

    fn sampling(&self) -> Sampling {
        self.rule.sampling()
    }

    fn momentum_steps(&self) -> Option<u32> {
        self.rule.momentum_steps()
    }

    fn fixes_signs(&self) -> bool {
        self.rule.fixes_signs()
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
            units: self.targets.units[layer],
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
            if !R::SCHEDULED {
                return MaskDelta::default();
            }
            let kept = rule.count(&Moment { last: true, ..update.moment });
            prune(update, rule.importance(update), kept)
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
