//! Mask policies through a driver that applies their deltas to a layer.

mod every;
mod granularity;
mod mest;
mod rigl;
mod states;
mod thawing;

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

/// The update of a layer that no plan freezes at `epoch`; values and gradients are the same.
fn update<'a>(
    policy: &dyn MaskPolicy,
    layer: usize,
    epoch: u32,
    indices: &'a [u32],
    values: &'a [f32],
) -> MaskUpdate<'a> {
    let moment = policy.moment(layer, epoch, &Spans::never());
    let (freezing, seed) = (false, 7);
    MaskUpdate { moment, freezing, seed, indices, values, gradients: values, dense_gradients: &[] }
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
    for epoch in 0..context.epochs {
        let freezing = frozen.freezes_at(epoch);
        let needs = policy.needs(layer, epoch, frozen);
        if needs != Needs::Nothing {
            assert!(epoch > 0 && (freezing || !frozen.is_frozen(epoch)), "no update while frozen");
            let values = values(context.seed, epoch, &existing);
            let gradients = vec![f32::NAN; values.len()];
            let dense_gradients = match needs {
                Needs::DenseGradient => dense_gradients(context.seed, epoch, weights),
                _ => Vec::new(),
            };
            let update = MaskUpdate {
                moment: policy.moment(layer, epoch, frozen),
                freezing,
                seed: context.seed,
                indices: &existing,
                values: &values,
                gradients: &gradients,
                dense_gradients: &dense_gradients,
            };
            let [delta] = state.decide(&[update]).try_into().unwrap();
            assert_eq!(delta, decide(policy, &update), "the same question has the same answer");
            assert!(
                !freezing || delta == MaskDelta::default(),
                "a planned freeze finds the layer at its target"
            );
            let rank = |index: &u32| (values[existing.binary_search(index).unwrap()].abs(), *index);
            let kept = existing.iter().filter(|index| !delta.dropped.contains(index));
            let least_kept = kept.map(rank).min_by(|a, b| a.partial_cmp(b).unwrap());
            if let Some(least_kept) = least_kept {
                assert!(
                    delta.dropped.iter().map(rank).all(|dropped| dropped < least_kept),
                    "the least are pruned"
                );
            }
            existing = apply(&existing, &delta, weights, policy.name() == "rigl");
        }
        assert_eq!(existing.len() as u32, policy.nonzero(layer, epoch, frozen), "epoch {epoch}, {frozen:?}");
        counts.push(existing.len() as u32);
    }
    counts
}
