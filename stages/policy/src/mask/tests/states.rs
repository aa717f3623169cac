//! Rules with a state for each layer: saved and restored in the midst of a run they decide as they would
//! have.

use proptest::prelude::*;
use spfde_data::architecture::Architecture;
use spfde_data::parameter::ParameterError;
use spfde_data::table::Columns;

use super::{apply, values};
use crate::mask::selection::magnitudes;
use crate::mask::{
    Distribution, MaskContext, MaskDelta, MaskPolicy, MaskRule, MaskState, MaskUpdate, Schedule, Targets,
    policy,
};
use crate::{Spans, example};

spfde_data::state! {
    /// What a test rule keeps of a layer.
    struct Past {
        /// Updates so far.
        updates: u32 = 0,
        /// The sum of the magnitudes that it saw.
        sum: f64 = 1.0,
        /// The same of its latest update alone.
        latest: Option<f64> = None,
    }
}

impl Past {
    fn see(&mut self, update: &MaskUpdate<'_>) {
        let sum: f64 = update.values.iter().map(|value| f64::from(value.abs())).sum();
        self.updates += 1;
        self.sum += sum * 0.1;
        self.latest = Some(sum);
    }

    /// A number that depends on all of it.
    fn count(&self) -> usize {
        (self.sum + self.latest.unwrap_or(0.0)) as usize % 7 + self.updates as usize
    }
}

/// Drops the `count` least weights and grows so many of the lowest absent indices.
fn exchange(update: &MaskUpdate<'_>, drop: usize, grow: usize) -> MaskDelta {
    let absent =
        (0..update.moment.units.weights()).filter(|index| update.indices.binary_search(index).is_err());
    let dropped = update.moment.units.least(magnitudes(update).into_iter(), drop);
    MaskDelta { dropped, grown: absent.take(grow).collect() }
}

spfde_data::parameters! {
    /// Exchanges as many weights of a layer as its past says.
    struct Remembering in "mask" {
        /// epochs between two updates
        interval: u32 = 1, 1..;
    }
}

impl MaskRule for Remembering {
    const NAME: &'static str = "remembering";
    const SUMMARY: &'static str = "a rule with a state";
    type State = Past;

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        Targets::new(architecture, Distribution::Uniform, 0.5)
    }

    fn schedule(&self, epochs: u32) -> Schedule {
        Schedule::every(self.interval, epochs)
    }

    fn update(&self, update: &MaskUpdate<'_>, past: &mut Past) -> MaskDelta {
        past.see(update);
        exchange(update, past.count(), past.count())
    }
}

spfde_data::parameters! {
    /// Moves weights from the layer with the least past to the one with the most.
    struct Redistributing in "mask" {}
}

impl MaskRule for Redistributing {
    const NAME: &'static str = "redistributing";
    const SUMMARY: &'static str = "a rule that sees all layers at once";
    const REDISTRIBUTES: bool = true;
    const SCHEDULED: bool = false;
    type State = Past;

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        Targets::new(architecture, Distribution::Uniform, 0.5)
    }

    fn schedule(&self, epochs: u32) -> Schedule {
        Schedule::every(1, epochs)
    }

    fn update(&self, _: &MaskUpdate<'_>, _: &mut Past) -> MaskDelta {
        unreachable!("layers are decided together")
    }

    fn update_all(&self, updates: &[MaskUpdate<'_>], pasts: &mut [&mut Past]) -> Vec<MaskDelta> {
        assert_eq!(updates.len(), pasts.len());
        updates.iter().zip(&mut *pasts).for_each(|(update, past)| past.see(update));
        let by_past = |at: &usize| pasts[*at].count();
        let (least, most) = ((0..updates.len()).min_by_key(by_past), (0..updates.len()).max_by_key(by_past));
        let delta = |(at, update)| match (Some(at) == least, Some(at) == most) {
            (true, false) => exchange(update, 2, 1),
            (false, true) => exchange(update, 1, 2),
            _ => MaskDelta::default(),
        };
        updates.iter().enumerate().map(delta).collect()
    }
}

fn context() -> MaskContext {
    MaskContext { seed: 3, epochs: 30, architecture: example::perceptron(&[8, 9, 10, 11, 4]) }
}

/// What a host does at an epoch: the masked layers but `frozen` are updated, `freezing` freezes.
fn turn(
    policy: &dyn MaskPolicy,
    states: &mut [(&[usize], &mut dyn MaskState)],
    masks: &mut [Vec<u32>],
    epoch: u32,
    freezing: Option<usize>,
) -> Vec<(usize, MaskDelta)> {
    let seen: Vec<Vec<f32>> = masks.iter().map(|mask| values(3, epoch, mask)).collect();
    let mut deltas = Vec::new();
    for (layers, state) in states {
        let update = |layer: &usize| MaskUpdate {
            moment: policy.moment(*layer, epoch, &Spans::never()),
            freezing: freezing == Some(*layer),
            seed: 3,
            indices: &masks[*layer],
            values: &seen[*layer],
            gradients: &[],
            dense_gradients: &[],
            candidates: &[],
            candidate_gradients: &[],
            stored: &[],
        };
        let updates: Vec<MaskUpdate<'_>> = layers.iter().map(update).collect();
        deltas.extend(layers.iter().copied().zip(state.decide(&updates)));
    }
    for (layer, delta) in &deltas {
        let weights = policy.moment(*layer, 0, &Spans::never()).units.weights();
        masks[*layer] = apply(&masks[*layer], delta, weights, false);
    }
    deltas
}

fn initial(policy: &dyn MaskPolicy) -> Vec<Vec<u32>> {
    (0..3).map(|layer| policy.initial(layer, &Spans::never())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_state_takes_the_same_decisions(
        cut in 1u32..30,
        freezing in prop::option::of((1u32..30, 0usize..3)),
        together in any::<bool>(),
    ) {
        let policy = match together {
            true => policy(Redistributing {}, &context()).unwrap(),
            false => policy(Remembering::default(), &context()).unwrap(),
        };
        prop_assert_eq!(policy.redistributes(), together);
        prop_assert_eq!(policy.is_scheduled(), !together);
        // The layers that train in an epoch, and the one that freezes then.
        let trains = |epoch: u32| -> Vec<usize> {
            let trains = |layer: &usize| freezing.is_none_or(|(at, frozen)| frozen != *layer || epoch <= at);
            (0..3).filter(trains).collect()
        };
        let freezes = |epoch: u32| freezing.filter(|(at, _)| *at == epoch).map(|(_, layer)| layer);
        let (mut whole, mut masks) = (policy.start(), initial(&*policy));
        for epoch in 1..cut {
            turn(&*policy, &mut [(&trains(epoch), &mut *whole)], &mut masks, epoch, freezes(epoch));
        }
        let saved = whole.save(cut);
        prop_assert_eq!(saved.cells.len(), whole.columns().len());
        let (mut restored, mut others) = (policy.start(), masks.clone());
        restored.restore(&saved).unwrap();
        prop_assert_eq!(restored.save(cut), saved);
        for epoch in cut..30 {
            let (layers, freezing) = (trains(epoch), freezes(epoch));
            let one = turn(&*policy, &mut [(&layers, &mut *whole)], &mut masks, epoch, freezing);
            let other = turn(&*policy, &mut [(&layers, &mut *restored)], &mut others, epoch, freezing);
            prop_assert_eq!(&one, &other, "epoch {}", epoch);
            prop_assert!(one.iter().any(|(_, delta)| *delta != MaskDelta::default()), "it decides");
        }
        prop_assert_eq!(whole.save(30), restored.save(30));
    }

    #[test]
    fn owners_of_some_layers_decide_as_one_owner_of_all(cut in 1u32..30) {
        let policy = policy(Remembering::default(), &context()).unwrap();
        let (mut all, mut masks) = (policy.start(), initial(&*policy));
        let (mut some, mut rest, mut others) = (policy.start(), policy.start(), masks.clone());
        for epoch in 1..30 {
            if epoch == cut {
                // The layers are dealt anew.
                let rows = [some.save(epoch), rest.save(epoch)];
                some = policy.start();
                rows.iter().for_each(|rows| some.restore(rows).unwrap());
            }
            let one = turn(&*policy, &mut [(&[0, 1, 2], &mut *all)], &mut masks, epoch, None);
            let mut dealt: Vec<(&[usize], &mut dyn MaskState)> = match epoch < cut {
                true => vec![(&[0, 2], &mut *some), (&[1], &mut *rest)],
                false => vec![(&[0, 1, 2], &mut *some)],
            };
            let mut parts = turn(&*policy, &mut dealt, &mut others, epoch, None);
            parts.sort_by_key(|(layer, _)| *layer);
            prop_assert_eq!(one, parts, "epoch {}", epoch);
        }
    }
}

#[test]
fn a_layer_that_freezes_keeps_its_weights_and_is_not_redistributed() {
    let policy = policy(Redistributing {}, &context()).unwrap();
    let (mut state, mut masks) = (policy.start(), initial(&*policy));
    // Two weights too many of layer 1 alone.
    masks[1] = (0..policy.target(1) + 2).collect();
    let deltas = turn(&*policy, &mut [(&[0, 1, 2], &mut *state)], &mut masks, 4, Some(1));
    assert_eq!(deltas[1].1, MaskDelta::default());
    assert_eq!(masks[1].len() as u32, policy.target(1) + 2);
    let sizes = [0, 2].map(|layer| masks[layer].len() as i64 - i64::from(policy.target(layer)));
    assert_eq!((sizes[0].abs(), sizes[0] + sizes[1]), (1, 0), "one weight moves");
    assert_eq!(state.save(4).rows, 2, "nothing is known of a layer that was not asked about");
}

#[test]
fn rows_of_layers_that_do_not_exist_or_twice_are_refused() {
    let policy = policy(Remembering::default(), &context()).unwrap();
    let (mut state, mut masks) = (policy.start(), initial(&*policy));
    turn(&*policy, &mut [(&[0, 2], &mut *state)], &mut masks, 1, None);
    let saved = state.save(2);
    assert_eq!((saved.rows, saved.cells.len()), (2, 5));
    let refused = state.restore(&saved).unwrap_err();
    assert_eq!(refused, "layer is 0; expected each of 4 once at most, from 0");
    let mut wrong: Columns = saved.clone();
    wrong.cells[1] = spfde_data::table::Cells::U32(vec![1, 4]);
    let refused = policy.start().restore(&wrong).unwrap_err();
    assert_eq!(refused, "layer is 4; expected each of 4 once at most, from 0");
}

#[test]
fn a_rule_without_a_state_saves_nothing() {
    let policy = policy(crate::mask::MestEms::default(), &context()).unwrap();
    let (mut state, mut masks) = (policy.start(), initial(&*policy));
    turn(&*policy, &mut [(&[0, 1, 2], &mut *state)], &mut masks, 2, None);
    let saved = state.save(3);
    assert!(state.columns().is_empty() && saved.cells.is_empty() && saved.rows == 0);
    assert_eq!(policy.start().restore(&saved), Ok(()));
}
