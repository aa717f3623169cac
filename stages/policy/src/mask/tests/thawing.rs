//! Masks of layers that freeze, train again, and freeze again.

use proptest::prelude::*;
use spfde_data::parameter::Value;

use super::{perceptron, policy, simulate};
use crate::mask::{MaskContext, Needs};
use crate::{Spans, example};

/// Frozen from the first epoch to the second, from the third to the fourth, and so on.
fn spans(turns: &[u32]) -> Spans {
    let mut spans = Spans::never();
    for (turn, epoch) in turns.iter().enumerate() {
        if turn % 2 == 0 { spans.freeze(*epoch) } else { spans.thaw(*epoch) }
    }
    spans
}

#[test]
fn a_layer_that_thaws_goes_on_with_the_soft_part_of_its_epoch() {
    let context = perceptron(20);
    let policy = policy("mest-ems", &context, &[]);
    // The update at 4 is the last before the freeze at 6. Half the soft part holds from 11.25 on, none from
    // 15 on.
    let counts = |turns: &[u32]| simulate(&*policy, &context, 0, &spans(turns));
    let expected = |runs: &[(u32, usize)]| -> Vec<u32> {
        runs.iter().flat_map(|(count, epochs)| vec![*count; *epochs]).collect()
    };
    assert_eq!(counts(&[6, 11]), expected(&[(1500, 4), (1000, 8), (1250, 4), (1000, 4)]));
    assert_eq!(counts(&[6, 8]), expected(&[(1500, 4), (1000, 6), (1500, 2), (1250, 4), (1000, 4)]));
    // It freezes again at 13, before it could be pruned: nothing grows at 12.
    assert_eq!(counts(&[6, 11, 13]), expected(&[(1500, 4), (1000, 16)]));
    // Frozen from the start it begins at its target, and grows once it trains.
    assert_eq!(counts(&[0, 5]), expected(&[(1000, 6), (1500, 6), (1250, 4), (1000, 4)]));
}

#[test]
fn updates_pause_while_a_layer_is_frozen() {
    let context = perceptron(20);
    let frozen = spans(&[6, 8, 13]);
    for (name, needs) in
        [("mest-em", Needs::Weights), ("rigl", Needs::DenseGradient), ("static", Needs::Nothing)]
    {
        let policy = policy(name, &context, &[]);
        let asked: Vec<u32> =
            (0..20).filter(|epoch| policy.needs(0, *epoch, &frozen) != Needs::Nothing).collect();
        // At 6 and 13 it freezes; at 8 it has just thawed, and no step has been trained.
        let expected: &[u32] = if name == "static" { &[6, 13] } else { &[2, 4, 6, 10, 12, 13] };
        assert_eq!(asked, expected, "{name}");
        let when = |epoch: u32| policy.needs(0, epoch, &frozen);
        assert_eq!((when(10), when(6)), (needs, policy.needs_to_freeze()), "{name}");
        assert!(policy.needs_to_freeze() < Needs::DenseGradient, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_frozen_layer_stays_at_its_target_however_often_it_thaws(
        seed in any::<u64>(),
        turns in prop::collection::btree_set(0u32..24, 0..8),
        interval in 1i64..5,
        name in prop::sample::select(vec!["static", "mest-em", "mest-ems", "rigl"]),
    ) {
        let context = MaskContext { seed, epochs: 24, architecture: example::perceptron(&[20, 20, 10]) };
        let policy = policy(name, &context, &[("mask.interval", Value::Integer(interval))]);
        let turns: Vec<u32> = turns.into_iter().collect();
        let frozen = spans(&turns);
        let counts = simulate(&*policy, &context, 0, &frozen);
        for (epoch, count) in (0..24).zip(counts) {
            prop_assert!(!frozen.is_frozen(epoch) || count == 40, "{} at {} of {:?}", count, epoch, frozen);
        }
        // Counted from the turns themselves: after an odd number of them it is frozen.
        for epoch in 0..24 {
            let passed = turns.iter().filter(|turn| **turn <= epoch).count();
            prop_assert_eq!(frozen.is_frozen(epoch), passed % 2 == 1);
        }
    }
}
