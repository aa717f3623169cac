//! Mask policies through a driver that applies their deltas to a layer.

mod deep_r;
mod distribution;
mod dsr;
mod every;
mod gmp;
mod granet;
mod granularity;
mod grasp;
mod gse;
mod layers;
mod lottery;
mod magnitude;
mod mest;
mod rigl;
mod schedules;
mod set;
mod snfs;
mod snip;
mod states;
mod synflow;
mod thawing;
mod top_kast;
mod untrained;

use std::sync::Arc;

use spfde_data::parameter::{Parameters, Value};
use spfde_data::random::{Purpose, draw};

use super::*;
use crate::{Registry, example};

/// A policy with some of its keys changed; keys that it does not have are left out.
fn policy(name: &str, context: &MaskContext, changes: &[(&str, Value)]) -> Arc<dyn MaskPolicy> {
    let family = Registry::default().mask;
    let known = (family.find(name).expect("it is registered").parameters)();
    let mut parameters = Parameters::defaults(&known);
    for (key, value) in changes {
        if known.iter().any(|parameter| parameter.key == *key) {
            parameters = parameters.with(&known, key, value.clone()).expect("it is in range");
        }
    }
    family.build(name, &parameters, context).unwrap_or_else(|error| panic!("{error}"))
}

fn perceptron(epochs: u32) -> MaskContext {
    MaskContext { seed: 7, epochs, architecture: example::perceptron(&[100, 100, 10]) }
}

/// Layers of 42, 35 and 20 weights.
fn three_layers(seed: u64, epochs: u32) -> MaskContext {
    MaskContext { seed, epochs, architecture: example::perceptron(&[6, 7, 5, 4]) }
}

/// The update of a layer that no plan freezes at `epoch`; values and gradients are the same.
fn update<'a>(
    policy: &dyn MaskPolicy,
    layer: usize,
    epoch: u32,
    indices: &'a [u32],
    values: &'a [f32],
) -> MaskUpdate<'a> {
    let moment = policy.moment(layer, epoch, &Spans::never());
    MaskUpdate {
        moment,
        freezing: false,
        seed: 7,
        indices,
        values,
        gradients: values,
        dense_gradients: &[],
        candidates: &[],
        candidate_gradients: &[],
        stored: &[],
    }
}

/// What a state without a past decides on one layer.
fn decide(policy: &dyn MaskPolicy, update: &MaskUpdate<'_>) -> MaskDelta {
    let [delta] = policy.start().decide(&[*update]).try_into().expect("one delta for one update");
    delta
}

/// Values with many ties, so that the order of equals matters.
fn values(seed: u64, epoch: u32, indices: &[u32]) -> Vec<f32> {
    let value = |index: &u32| draw(seed, Purpose::User, u64::from(epoch), u64::from(*index)) % 21;
    indices.iter().map(|index| value(index) as f32 - 10.0).collect()
}

/// A dense gradient with many ties.
fn dense_gradients(seed: u64, epoch: u32, weights: u32) -> Vec<f32> {
    values(seed.wrapping_add(1), epoch, &(0..weights).collect::<Vec<_>>())
}

/// The mask after a delta, which is checked on the way: ascending, dropped exist, grown do not, unless
/// `again` says that a dropped weight may grow again.
fn apply(existing: &[u32], delta: &MaskDelta, weights: u32, again: bool) -> Vec<u32> {
    for list in [&delta.dropped, &delta.grown] {
        assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "ascending");
    }
    assert!(delta.dropped.iter().all(|index| existing.contains(index)), "dropped weights existed");
    let absent = |index: &u32| !existing.contains(index) || again && delta.dropped.contains(index);
    assert!(delta.grown.iter().all(|index| absent(index) && *index < weights), "grown were absent");
    let kept = existing.iter().filter(|index| !delta.dropped.contains(index));
    let mut after: Vec<u32> = kept.chain(&delta.grown).copied().collect();
    after.sort_unstable();
    after
}

/// Trains a layer to the end, epoch by epoch, and checks each mask against the schedule and each pruning
/// against the values. Returns the number of weights in each epoch.
fn simulate(policy: &dyn MaskPolicy, context: &MaskContext, layer: usize, frozen: &Spans) -> Vec<u32> {
    let weights = context.architecture.layers[layer].weights() as u32;
    let mut existing = policy.initial(layer, frozen);
    assert!(
        existing.windows(2).all(|pair| pair[0] < pair[1]) && existing.iter().all(|index| *index < weights)
    );
    let mut state = policy.start();
    let mut counts = Vec::new();
    for (epoch, window) in (0..context.epochs).flat_map(|epoch| (0..3).map(move |window| (epoch, window))) {
        // At the start of an epoch, then after each of two windows of steps.
        let step = window * policy.steps().map_or(1, NonZeroU32::get);
        let freezing = frozen.freezes_at(epoch) && step == 0;
        let needs = match step {
            0 => policy.needs(layer, epoch, frozen),
            _ => policy.needs_within(layer, epoch, frozen),
        };
        assert!(policy.steps().is_some() || step == 0 || needs == Needs::Nothing, "updates follow epochs");
        if needs != Needs::Nothing {
            assert!(epoch + step > 0 && (freezing || !frozen.is_frozen(epoch)), "no update while frozen");
            let values = values(context.seed, epoch, &existing);
            let gradients = vec![f32::NAN; values.len()];
            let dense_gradients = match needs {
                Needs::DenseGradient => dense_gradients(context.seed, epoch, weights),
                _ => Vec::new(),
            };
            let moment = Moment { step, ..policy.moment(layer, epoch, frozen) };
            let asked = Candidates {
                seed: context.seed,
                layer,
                tick: (epoch, step),
                units: moment.units,
                indices: &existing,
                sums: [&[]; 2],
            };
            let candidates = match needs {
                Needs::Candidates => policy.candidates(&asked),
                _ => Vec::new(),
            };
            let candidate_gradients = super::tests::values(context.seed, epoch, &candidates);
            let stored = match policy.explores() {
                true => super::tests::values(context.seed, epoch, &(0..weights).collect::<Vec<u32>>()),
                false => Vec::new(),
            };
            let update = MaskUpdate {
                moment,
                freezing,
                seed: context.seed,
                indices: &existing,
                values: &values,
                gradients: &gradients,
                dense_gradients: &dense_gradients,
                candidates: &candidates,
                candidate_gradients: &candidate_gradients,
                stored: &stored,
            };
            let [delta] = state.decide(&[update]).try_into().unwrap();
            if state.columns().is_empty() {
                assert_eq!(delta, decide(policy, &update), "the same question has the same answer");
            }
            assert!(
                !freezing || delta == MaskDelta::default(),
                "a planned freeze finds the layer at its target"
            );
            let rank = |index: &u32| (values[existing.binary_search(index).unwrap()].abs(), *index);
            let kept = existing.iter().filter(|index| !delta.dropped.contains(index));
            let least_kept = kept.map(rank).min_by(|a, b| a.partial_cmp(b).unwrap());
            // Where signs decide, the least need not go; where a store does, ties go the other way.
            let by_magnitude = !["deep-r", "top-kast"].contains(&policy.name());
            if let Some(least_kept) = least_kept.filter(|_| by_magnitude) {
                assert!(
                    delta.dropped.iter().map(rank).all(|dropped| dropped < least_kept),
                    "the least are pruned"
                );
            }
            existing = apply(&existing, &delta, weights, ["rigl", "granet"].contains(&policy.name()));
        }
        if policy.steps().is_none() || step > 0 {
            let promised = policy.nonzero(layer, epoch, frozen);
            assert_eq!(existing.len() as u32, promised, "epoch {epoch}, {step}, {frozen:?}");
        }
        counts.extend((window == 2).then_some(existing.len() as u32));
    }
    counts
}
