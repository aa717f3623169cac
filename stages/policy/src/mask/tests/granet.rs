//! `granet` against its description over plain vectors of all weights.

use std::f64::consts::PI;

use proptest::prelude::*;

use super::gmp::counts;
use super::layers::{Seen, delta, train};
use super::{perceptron, three_layers};
use crate::Spans;
use crate::mask::{Granet, MaskDelta, Needs, policy};

/// Prunes to `count` weights, drops the share of them, and grows the steepest of all that is not kept.
fn reference(seen: &Seen, count: usize, share: f64) -> MaskDelta {
    let existing: Vec<u32> = seen.by_magnitude().into_iter().map(|(_, index)| index).collect();
    let (_, stays) = existing.split_at(existing.len() - count);
    let regrown = (share * count as f64) as usize;
    let kept = &stays[regrown..];
    let dropped = existing[..existing.len() - kept.len()].to_vec();
    let others = (0..seen.weights.len() as u32).filter(|index| !kept.contains(index));
    delta(dropped, seen.steepest(others, regrown))
}

#[test]
fn density_falls_from_a_sparse_start_to_the_target() {
    let never = Spans::never();
    // 1000 + 4000 · (1 − e / 6)³; the dense gradient is needed at the updates, and then no more.
    let eight = policy(Granet::default(), &perceptron(8)).unwrap();
    assert_eq!(counts(&*eight, 8, &never), [5_000, 3_315, 2_185, 1_500, 1_148, 1_019, 1_000, 1_000]);
    let asked = (0..8).filter(|epoch| eight.needs(0, *epoch, &never) == Needs::DenseGradient);
    assert_eq!(asked.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(counts(&*eight, 8, &Spans::from(4))[2..5], [2_185, 1_000, 1_000]);
    let mut frozen = Spans::from(2);
    frozen.thaw(4);
    assert_eq!(super::simulate(&*eight, &perceptron(8), 0, &frozen)[1..], [1_000; 7]);
    let short = policy(Granet { interval: 9, ..Granet::default() }, &perceptron(8)).unwrap();
    assert_eq!(counts(&*short, 8, &never), [1_000; 8]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn granet_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        interval in 1u32..4,
        until in 0.0f64..=1.0,
        initial_density in 0.0f64..=1.0,
        drop in prop_oneof![Just(0.0), Just(1.0), 0.0f64..1.0],
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.97],
        ties in 1u32..12,
    ) {
        let context = three_layers(seed, epochs);
        let rule = Granet { sparsity, interval, until, initial_density, drop, ..Granet::default() };
        let rule = Granet { dense_last: false, ..rule };
        let policy = policy(rule, &context).unwrap();
        let end = until * f64::from(epochs);
        let due = |epoch: &u32| epoch.is_multiple_of(interval) && f64::from(*epoch) <= end;
        let last = (1..epochs).rfind(due).unwrap_or(0);
        let counts = train(&*policy, &context, ties, |_, _| true, |epoch, seen| {
            let density = 1.0 - sparsity;
            let left = 1.0 - f64::from(epoch) / f64::from(last);
            let curve = density + (initial_density.max(density) - density) * left.powi(3);
            let share = drop / 2.0 * (1.0 + (PI * f64::from(epoch) / end).cos());
            let count = |seen: &Seen| (curve * seen.weights.len() as f64).round() as usize;
            seen.iter().map(|seen| reference(seen, count(seen), share)).collect()
        });
        let exact = [42.0, 35.0, 20.0].map(|weights| ((1.0 - sparsity) * weights).round() as u32);
        prop_assert!(counts.iter().skip(last as usize).all(|counts| *counts == exact));
    }
}
