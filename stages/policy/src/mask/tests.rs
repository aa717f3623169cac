//! What every mask policy promises, over random configurations, and the schedules of MEST by hand.

use proptest::prelude::*;
use spfde_data::parameter::{Parameters, Value};
use spfde_data::random::{Purpose, draw};

use super::*;
use crate::example;
use crate::rounding::share_of;

fn policy(name: &str, context: &MaskContext, changes: &[(&str, Value)]) -> Box<dyn MaskPolicy> {
    let entry = registry().iter().find(|entry| entry.name == name).expect("it is registered");
    let known = (entry.parameters)();
    let mut parameters = Parameters::defaults(&known);
    for (key, value) in changes {
        if known.iter().any(|parameter| parameter.key == *key) {
            parameters = parameters.with(&known, key, value.clone()).expect("it is in range");
        }
    }
    build(name, &parameters, context).unwrap_or_else(|error| panic!("{error}"))
}

fn perceptron(epochs: u32) -> MaskContext {
    MaskContext { seed: 7, epochs, architecture: example::perceptron(&[100, 100, 10]) }
}

/// Values with many ties, so that the order of equals matters.
fn values(seed: u64, epoch: u32, indices: &[u32]) -> Vec<f32> {
    let value = |index: &u32| draw(seed, Purpose::User, u64::from(epoch), u64::from(*index)) % 21;
    indices.iter().map(|index| value(index) as f32 - 10.0).collect()
}

/// The mask after a delta, which is checked on the way: ascending, dropped exist, grown do not.
fn apply(existing: &[u32], delta: &MaskDelta, weights: u32) -> Vec<u32> {
    for list in [&delta.dropped, &delta.grown] {
        assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "ascending");
    }
    assert!(delta.dropped.iter().all(|index| existing.contains(index)), "dropped weights existed");
    assert!(
        delta.grown.iter().all(|index| !existing.contains(index) && *index < weights),
        "grown were absent"
    );
    let mut after: Vec<u32> =
        existing.iter().chain(&delta.grown).filter(|index| !delta.dropped.contains(index)).copied().collect();
    after.sort_unstable();
    after
}

/// Trains a layer to the end, epoch by epoch, and checks each mask against the schedule and each pruning against
/// the values. Returns the number of weights in each epoch.
fn simulate(
    policy: &dyn MaskPolicy,
    context: &MaskContext,
    layer: usize,
    frozen_at: Option<u32>,
) -> Vec<u32> {
    let weights = context.architecture.layers[layer].weights() as u32;
    let mut existing = policy.initial(layer, frozen_at);
    assert!(
        existing.windows(2).all(|pair| pair[0] < pair[1]) && existing.iter().all(|index| *index < weights)
    );
    let mut counts = Vec::new();
    for epoch in 0..context.epochs {
        let freezing = frozen_at == Some(epoch);
        if policy.updates(layer, epoch, frozen_at) || freezing {
            assert!(epoch > 0 && frozen_at.is_none_or(|at| epoch < at || freezing), "no update once frozen");
            let values = values(context.seed, epoch, &existing);
            let gradients = vec![f32::NAN; values.len()];
            let (indices, values, gradients) = (&existing[..], &values[..], &gradients[..]);
            let update = MaskUpdate { layer, epoch, frozen_at, freezing, indices, values, gradients };
            let delta = policy.decide(&update);
            assert_eq!(delta, policy.decide(&update), "the same question has the same answer");
            assert!(
                !freezing || delta == MaskDelta::default(),
                "a planned freeze finds the layer at its target"
            );
            let rank = |index: &u32| (values[indices.binary_search(index).unwrap()].abs(), *index);
            let kept = indices.iter().filter(|index| !delta.dropped.contains(index));
            let least_kept = kept.map(rank).min_by(|a, b| a.partial_cmp(b).unwrap());
            if let Some(least_kept) = least_kept {
                assert!(
                    delta.dropped.iter().map(rank).all(|dropped| dropped < least_kept),
                    "the least are pruned"
                );
            }
            existing = apply(indices, &delta, weights);
        }
        assert_eq!(
            existing.len() as u32,
            policy.nonzero(layer, epoch, frozen_at),
            "epoch {epoch}, {frozen_at:?}"
        );
        counts.push(existing.len() as u32);
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_policy_holds_its_schedule_and_ends_at_its_target(
        seed in any::<u64>(),
        epochs in 1u32..26,
        interval in 1i64..6,
        sparsity in 0.0f64..0.9,
        soft in 0.0f64..1.0,
        erk in any::<bool>(),
        freeze in proptest::option::of(1u32..26),
        which in 0usize..4,
    ) {
        let context = MaskContext { seed, epochs, architecture: example::residual(&[3, 4], 1, 6) };
        let distribution = Value::Text(if erk { "erk" } else { "uniform" }.into());
        let changes = [
            ("mask.sparsity", Value::Number(sparsity)),
            ("mask.distribution", distribution),
            ("mask.interval", Value::Integer(interval)),
            ("mask.soft", Value::Number(soft)),
        ];
        let policy = policy(registry()[which].name, &context, &changes);
        let frozen_at = freeze.filter(|at| *at < epochs);
        for (layer, shape) in context.architecture.layers.iter().enumerate() {
            let weights = shape.weights() as u32;
            if !policy.masked(layer) {
                prop_assert_eq!(policy.density(layer), 1.0);
                prop_assert_eq!(policy.nonzero(layer, 0, frozen_at), weights);
                prop_assert!(policy.initial(layer, frozen_at).is_empty());
                prop_assert!((0..epochs + 9).all(|epoch| !policy.updates(layer, epoch, frozen_at)));
                continue;
            }
            let counts = simulate(&*policy, &context, layer, frozen_at);
            let target = share_of(policy.density(layer), weights);
            prop_assert_eq!(*counts.last().unwrap(), target);
            if let Some(at) = frozen_at {
                prop_assert!(counts[at as usize..].iter().all(|count| *count == target));
            }
            prop_assert!((epochs..epochs + 9).all(|epoch| !policy.updates(layer, epoch, frozen_at)));
            // Plans rely on it: freezing later never means fewer weights.
            for epoch in 0..epochs {
                let by_freeze = (1..epochs).map(Some).chain([None]).map(|at| policy.nonzero(layer, epoch, at));
                let by_freeze: Vec<u32> = by_freeze.collect();
                prop_assert!(by_freeze.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", by_freeze);
            }
        }
    }

    #[test]
    fn an_unplanned_freeze_leaves_a_layer_at_its_target(seed in any::<u64>(), at in 1u32..12, ems in any::<bool>()) {
        let context = MaskContext { seed, epochs: 12, ..perceptron(12) };
        let policy = policy(if ems { "mest-ems" } else { "mest-em" }, &context, &[]);
        // The mask in force at that epoch, whether or not it is a multiple of the interval.
        let indices: Vec<u32> = (0..policy.nonzero(0, at - 1, None)).map(|rank| rank * 5 + 1).collect();
        let values = values(seed, at, &indices);
        let update = MaskUpdate {
            layer: 0, epoch: at, frozen_at: None, freezing: true,
            indices: &indices, values: &values, gradients: &values,
        };
        let delta = policy.decide(&update);
        prop_assert!(delta.grown.is_empty());
        prop_assert_eq!(apply(&indices, &delta, 10_000).len(), 1_000);
    }
}

#[test]
fn the_soft_bound_follows_the_schedule_of_mest() {
    // 160 epochs, an update every 5: 15 % of the weights for 90 epochs, 12.5 % for 30, then 10 %.
    let context = perceptron(160);
    let policy = policy("mest-ems", &context, &[("mask.interval", Value::Integer(5))]);
    let counts = simulate(&*policy, &context, 0, None);
    let expected: Vec<u32> = [(1500, 90), (1250, 30), (1000, 40)]
        .iter()
        .flat_map(|(count, epochs)| vec![*count; *epochs])
        .collect();
    assert_eq!(counts, expected);
}

#[test]
fn the_schedule_is_read_at_updates_only() {
    // 9/16 of 16 epochs is 9, 3/4 is 12; with updates every 5 epochs they count at 10 and 15.
    let context = perceptron(16);
    let policy = policy("mest-ems", &context, &[("mask.interval", Value::Integer(5))]);
    let counts: Vec<u32> = (0..16).map(|epoch| policy.nonzero(0, epoch, None)).collect();
    let expected: Vec<u32> =
        [(1500, 10), (1250, 5), (1000, 1)].iter().flat_map(|(count, epochs)| vec![*count; *epochs]).collect();
    assert_eq!(counts, expected);
}

#[test]
fn the_last_update_before_freezing_or_the_end_grows_nothing() {
    let context = perceptron(20);
    let policy = policy("mest-ems", &context, &[]);
    let counts = |frozen_at, epochs: std::ops::Range<u32>| -> Vec<u32> {
        epochs.map(|epoch| policy.nonzero(0, epoch, frozen_at)).collect()
    };
    // Updates at 2, 4 and 6 before epoch 7; at 2 and 4 before epoch 6; none before epoch 2.
    assert_eq!(counts(Some(7), 0..9), [1500, 1500, 1500, 1500, 1500, 1500, 1000, 1000, 1000]);
    assert_eq!(counts(Some(6), 0..7), [1500, 1500, 1500, 1500, 1000, 1000, 1000]);
    assert_eq!(counts(Some(2), 0..3), [1000, 1000, 1000]);
    assert_eq!(policy.initial(0, Some(2)).len(), 1000);
    let every = super::tests::policy("mest-ems", &context, &[("mask.interval", Value::Integer(1))]);
    assert_eq!((0..3).map(|epoch| every.nonzero(0, epoch, Some(2))).collect::<Vec<_>>(), [1500, 1000, 1000]);
    assert_eq!(every.nonzero(0, 0, Some(1)), 1000);
    assert!(policy.updates(0, 4, Some(6)) && !policy.updates(0, 6, Some(6)));
    // Six epochs, updates at 2 and 4: the last comes before 3/4 of the run has passed, and still grows nothing.
    let short = perceptron(6);
    let short =
        super::build("mest-ems", &defaults("mest-ems"), &short).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (0..6).map(|epoch| short.nonzero(0, epoch, None)).collect::<Vec<_>>(),
        [1500, 1500, 1500, 1500, 1000, 1000]
    );
    // Two epochs: no update, so that nothing could prune what starts beyond the target.
    let shortest = super::build("mest-ems", &defaults("mest-ems"), &perceptron(2));
    assert_eq!(shortest.unwrap_or_else(|error| panic!("{error}")).initial(0, None).len(), 1000);
}

fn defaults(name: &str) -> Parameters {
    let entry = registry().iter().find(|entry| entry.name == name).expect("it is registered");
    Parameters::defaults(&(entry.parameters)())
}

#[test]
fn growth_takes_the_lowest_draws_among_the_absent() {
    let context = perceptron(20);
    let policy = policy("mest-ems", &context, &[]);
    let indices = policy.initial(0, None);
    let values = values(7, 2, &indices);
    let (layer, epoch, frozen_at, freezing) = (0, 2, None, false);
    let update = MaskUpdate {
        layer,
        epoch,
        frozen_at,
        freezing,
        indices: &indices,
        values: &values,
        gradients: &values,
    };
    let delta = policy.decide(&update);
    assert_eq!((delta.dropped.len(), delta.grown.len()), (500, 500));
    let mut absent: Vec<u32> = (0..10_000).filter(|index| indices.binary_search(index).is_err()).collect();
    absent.sort_by_key(|index| draw(7, Purpose::Grow, 2 << 32, u64::from(*index)));
    absent.truncate(500);
    absent.sort_unstable();
    assert_eq!(delta.grown, absent);
}

#[test]
fn the_gradient_counts_as_much_as_its_weight_says() {
    let context = MaskContext { seed: 1, epochs: 20, architecture: example::perceptron(&[4, 5, 5]) };
    let indices = [0, 4, 8, 12, 16];
    let (values, gradients) = ([0.1, -0.2, 0.3, -0.4, 0.5], [-9.0, 0.0, 0.0, 2.0, f32::INFINITY]);
    let dropped = |weight: f64| {
        // Target 4 of 20 weights, no soft part: one is pruned, none grows.
        let changes = [
            ("mask.sparsity", Value::Number(0.8)),
            ("mask.soft", Value::Number(0.0)),
            ("mask.gradient_weight", Value::Number(weight)),
        ];
        let update = MaskUpdate {
            layer: 0,
            epoch: 2,
            frozen_at: None,
            freezing: false,
            indices: &indices,
            values: &values,
            gradients: &gradients,
        };
        policy("mest-ems", &context, &changes).decide(&update)
    };
    assert_eq!(dropped(0.0), MaskDelta { dropped: vec![0], grown: vec![] });
    assert_eq!(dropped(0.1), MaskDelta { dropped: vec![4], grown: vec![] });
}

#[test]
fn fewer_are_pruned_where_too_few_are_absent_to_grow() {
    // d = 0.6 and d + p = 0.9 of 20 weights: 18 exist, 2 are absent, 6 should go and come.
    let context = MaskContext { seed: 1, epochs: 20, architecture: example::perceptron(&[4, 5, 5]) };
    let policy = policy("mest-ems", &context, &[("mask.sparsity", Value::Number(0.4))]);
    let indices = policy.initial(0, None);
    assert_eq!(indices.len(), 18);
    let values: Vec<f32> = (1..=18).map(|value| value as f32).collect();
    let (layer, epoch, frozen_at, freezing) = (0, 2, None, false);
    let update = MaskUpdate {
        layer,
        epoch,
        frozen_at,
        freezing,
        indices: &indices,
        values: &values,
        gradients: &values,
    };
    let delta = policy.decide(&update);
    assert_eq!(delta.dropped, indices[..2]);
    assert_eq!(delta.grown, (0..20).filter(|index| !indices.contains(index)).collect::<Vec<u32>>());
}

#[test]
fn masks_depend_on_seed_and_layer_only() {
    let context =
        |seed| MaskContext { seed, epochs: 8, architecture: example::perceptron(&[50, 50, 50, 10]) };
    let mask = |seed, layer| policy("static", &context(seed), &[]).initial(layer, None);
    assert_eq!(mask(1, 0), mask(1, 0));
    assert_ne!(mask(1, 0), mask(2, 0));
    assert_ne!(mask(1, 0)[..100], mask(1, 1)[..100]);
    let em = policy("mest-em", &context(1), &[]);
    assert_eq!(em.initial(0, None), mask(1, 0), "all policies draw the same initial mask");
}
