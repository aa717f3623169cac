//! What every mask policy promises, over random configurations.

use proptest::prelude::*;
use spfde_data::parameter::Value;

use super::{apply, dense_gradients, perceptron, policy, simulate, update, values};
use crate::mask::{Distribution, MaskContext, MaskUpdate, Needs};
use crate::rounding::share_of;
use crate::{Registry, Spans, example};

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn every_policy_holds_its_schedule_and_ends_at_its_target(
        seed in any::<u64>(),
        epochs in 1u32..26,
        interval in 1i64..6,
        steps in prop_oneof![Just(0i64), 1i64..100],
        sparsity in 0.0f64..0.9,
        soft in 0.0f64..1.0,
        distribution in prop::sample::select(Distribution::NAMES),
        [dense_first, dense_last] in any::<[bool; 2]>(),
        freeze in proptest::option::of(1u32..26),
        which in 0..Registry::default().mask.entries.len(),
    ) {
        let context = MaskContext { seed, epochs, architecture: example::residual(&[3, 4], 1, 6) };
        let changes = [
            ("mask.sparsity", Value::Number(sparsity)),
            ("mask.distribution", Value::Text(distribution.into())),
            ("mask.dense_first", Value::Text(dense_first.to_string())),
            ("mask.dense_last", Value::Text(dense_last.to_string())),
            ("mask.interval_steps", Value::Integer(steps)),
            ("mask.interval", Value::Integer(interval)),
            ("mask.soft", Value::Number(soft)),
        ];
        let policy = policy(Registry::default().mask.entries[which].name, &context, &changes);
        let frozen_at = freeze.filter(|at| *at < epochs);
        let frozen = Spans::from_start(frozen_at);
        for (layer, shape) in context.architecture.layers.iter().enumerate() {
            let weights = shape.weights() as u32;
            let updates = |epoch: u32| policy.needs(layer, epoch, &frozen) != Needs::Nothing;
            if !policy.masked(layer) {
                prop_assert_eq!(policy.moment(layer, 0, &frozen).density, 1.0);
                prop_assert_eq!(policy.nonzero(layer, 0, &frozen), weights);
                prop_assert!(policy.initial(layer, &frozen).is_empty());
                prop_assert!(!(0..epochs + 9).any(updates));
                continue;
            }
            let counts = simulate(&*policy, &context, layer, &frozen);
            let target = share_of(policy.moment(layer, 0, &frozen).density, weights);
            prop_assert_eq!(*counts.last().unwrap(), target);
            prop_assert_eq!(policy.target(layer), target);
            if let Some(at) = frozen_at {
                prop_assert!(counts[at as usize..].iter().all(|count| *count == target));
                prop_assert!(updates(at) && !(at + 1..epochs).any(updates), "frozen for good");
            }
            prop_assert!(!(epochs..epochs + 9).any(updates));
            // Plans rely on it: freezing later never means fewer weights.
            for epoch in 0..epochs {
                let starts = (1..epochs).map(Some).chain([None]).map(Spans::from_start);
                let by_freeze: Vec<u32> = starts.map(|spans| policy.nonzero(layer, epoch, &spans)).collect();
                prop_assert!(by_freeze.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", by_freeze);
            }
        }
    }

    #[test]
    fn an_unplanned_freeze_leaves_a_layer_at_its_target(
        seed in any::<u64>(),
        at in 1u32..12,
        name in prop::sample::select(vec!["mest-ems", "mest-em", "rigl"]),
    ) {
        let context = MaskContext { seed, epochs: 12, ..perceptron(12) };
        let policy = policy(name, &context, &[]);
        // The mask in force at that epoch, whether or not it is a multiple of the interval.
        let count = policy.nonzero(0, at - 1, &Spans::never());
        let indices: Vec<u32> = (0..count).map(|rank| rank * 5 + 1).collect();
        let (values, dense) = (values(seed, at, &indices), dense_gradients(seed, at, 10_000));
        let update = MaskUpdate {
            freezing: true,
            dense_gradients: &dense,
            ..update(&*policy, 0, at, &indices, &values)
        };
        let delta = super::decide(&*policy, &update);
        prop_assert!(delta.grown.is_empty());
        prop_assert_eq!(apply(&indices, &delta, 10_000, false).len(), 1_000);
    }
}

#[test]
fn masks_depend_on_seed_and_layer_only() {
    let context =
        |seed| MaskContext { seed, epochs: 8, architecture: example::perceptron(&[50, 50, 50, 10]) };
    let never = Spans::never();
    let mask = |seed, layer| policy("static", &context(seed), &[]).initial(layer, &never);
    assert_eq!(mask(1, 0), mask(1, 0));
    assert_ne!(mask(1, 0), mask(2, 0));
    assert_ne!(mask(1, 0)[..100], mask(1, 1)[..100]);
    for name in ["mest-em", "rigl"] {
        let other = policy(name, &context(1), &[]);
        assert_eq!(other.initial(0, &never), mask(1, 0), "all policies draw the same initial mask");
    }
}
