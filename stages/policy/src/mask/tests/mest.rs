//! The schedules of MEST by hand, and what its updates prune and grow.

use spfde_data::parameter::Value;
use spfde_data::random::{Purpose, draw};

use super::{decide, perceptron, policy, simulate, update, values};
use crate::mask::{MaskContext, MaskDelta, MaskUpdate, Needs};
use crate::{Spans, example};

#[test]
fn the_soft_bound_follows_the_schedule_of_mest() {
    // 160 epochs, an update every 5: 15 % of the weights for 90 epochs, 12.5 % for 30, then 10 %.
    let context = perceptron(160);
    let policy = policy("mest-ems", &context, &[("mask.interval", Value::Integer(5))]);
    let counts = simulate(&*policy, &context, 0, &Spans::never());
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
    let counts: Vec<u32> = (0..16).map(|epoch| policy.nonzero(0, epoch, &Spans::never())).collect();
    let expected: Vec<u32> =
        [(1500, 10), (1250, 5), (1000, 1)].iter().flat_map(|(count, epochs)| vec![*count; *epochs]).collect();
    assert_eq!(counts, expected);
}

#[test]
fn the_last_update_before_freezing_or_the_end_grows_nothing() {
    let context = perceptron(20);
    let ems = policy("mest-ems", &context, &[]);
    let counts = |frozen_at, epochs: std::ops::Range<u32>| -> Vec<u32> {
        epochs.map(|epoch| ems.nonzero(0, epoch, &Spans::from(frozen_at))).collect()
    };
    // Updates at 2, 4 and 6 before epoch 7; at 2 and 4 before epoch 6; none before epoch 2.
    assert_eq!(counts(7, 0..9), [1500, 1500, 1500, 1500, 1500, 1500, 1000, 1000, 1000]);
    assert_eq!(counts(6, 0..7), [1500, 1500, 1500, 1500, 1000, 1000, 1000]);
    assert_eq!(counts(2, 0..3), [1000, 1000, 1000]);
    assert_eq!(ems.initial(0, &Spans::from(2)).len(), 1000);
    let every = policy("mest-ems", &context, &[("mask.interval", Value::Integer(1))]);
    let two: Vec<u32> = (0..3).map(|epoch| every.nonzero(0, epoch, &Spans::from(2))).collect();
    assert_eq!(two, [1500, 1000, 1000]);
    assert_eq!(every.nonzero(0, 0, &Spans::from(1)), 1000);
    // Epoch 4 is the last update; at 6 the layer freezes, and changes no more.
    let needs = [4, 5, 6, 8].map(|epoch| ems.needs(0, epoch, &Spans::from(6)));
    assert_eq!(needs, [Needs::Weights, Needs::Nothing, Needs::Weights, Needs::Nothing]);
    assert!(ems.moment(0, 4, &Spans::from(6)).last && !ems.moment(0, 2, &Spans::from(6)).last);
    // Six epochs, updates at 2 and 4: the last comes before 3/4 of the run has passed, and still grows
    // nothing.
    let short = policy("mest-ems", &perceptron(6), &[]);
    assert_eq!(
        (0..6).map(|epoch| short.nonzero(0, epoch, &Spans::never())).collect::<Vec<_>>(),
        [1500, 1500, 1500, 1500, 1000, 1000]
    );
    // Two epochs: no update, so that nothing could prune what starts beyond the target.
    assert_eq!(policy("mest-ems", &perceptron(2), &[]).initial(0, &Spans::never()).len(), 1000);
}

#[test]
fn growth_takes_the_lowest_draws_among_the_absent() {
    let context = perceptron(20);
    let policy = policy("mest-ems", &context, &[]);
    let indices = policy.initial(0, &Spans::never());
    let values = values(7, 2, &indices);
    let delta = decide(&*policy, &update(&*policy, 0, 2, &indices, &values));
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
    let asked = |weight: f64| {
        // Target 4 of 20 weights, no soft part: one is pruned, none grows.
        let changes = [
            ("mask.sparsity", Value::Number(0.8)),
            ("mask.soft", Value::Number(0.0)),
            ("mask.gradient_weight", Value::Number(weight)),
        ];
        let policy = policy("mest-ems", &context, &changes);
        let update = MaskUpdate { gradients: &gradients, ..update(&*policy, 0, 2, &indices, &values) };
        (policy.needs(0, 2, &Spans::never()), decide(&*policy, &update))
    };
    assert_eq!(asked(0.0), (Needs::Weights, MaskDelta { dropped: vec![0], grown: vec![] }));
    assert_eq!(asked(0.1), (Needs::Gradient, MaskDelta { dropped: vec![4], grown: vec![] }));
}

#[test]
fn fewer_are_pruned_where_too_few_are_absent_to_grow() {
    // d = 0.6 and d + p = 0.9 of 20 weights: 18 exist, 2 are absent, 6 should go and come.
    let context = MaskContext { seed: 1, epochs: 20, architecture: example::perceptron(&[4, 5, 5]) };
    let policy = policy("mest-ems", &context, &[("mask.sparsity", Value::Number(0.4))]);
    let indices = policy.initial(0, &Spans::never());
    assert_eq!(indices.len(), 18);
    let values: Vec<f32> = (1..=18).map(|value| value as f32).collect();
    let delta = decide(&*policy, &update(&*policy, 0, 2, &indices, &values));
    assert_eq!(delta.dropped, indices[..2]);
    assert_eq!(delta.grown, (0..20).filter(|index| !indices.contains(index)).collect::<Vec<u32>>());
}
