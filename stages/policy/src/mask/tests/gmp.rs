//! `gmp` by hand, and against its description over plain vectors of all weights.

use proptest::prelude::*;

use super::layers::{delta, train};
use super::{perceptron, three_layers};
use crate::Spans;
use crate::mask::{Gmp, MaskPolicy, policy};

pub(super) fn counts(policy: &dyn MaskPolicy, epochs: u32, frozen: &Spans) -> Vec<u32> {
    (0..epochs).map(|epoch| policy.nonzero(0, epoch, frozen)).collect()
}

#[test]
fn density_falls_along_the_cubic_curve_and_the_last_update_sets_the_target() {
    let never = Spans::never();
    // Updates at 1 to 6; 1000 + 9000 · (5/6, 2/3, 1/2, 1/3, 1/6)³.
    let eight = policy(Gmp::default(), &perceptron(8)).unwrap();
    assert_eq!(counts(&*eight, 8, &never), [10_000, 6_208, 3_667, 2_125, 1_333, 1_042, 1_000, 1_000]);
    // Every third epoch of 14, until 10.5: at 3, 6 and 9; 500 + 1500 · (2/3, 1/3)³.
    let rule = Gmp { sparsity: 0.95, interval: 3, initial_density: 0.2, ..Gmp::default() };
    let some = policy(rule, &perceptron(14)).unwrap();
    let expected: Vec<u32> = [(2000, 3), (944, 3), (556, 3), (500, 5)]
        .iter()
        .flat_map(|(count, epochs)| vec![*count; *epochs])
        .collect();
    assert_eq!(counts(&*some, 14, &never), expected);
    // The end of the updates is an update itself.
    let closed = policy(Gmp { interval: 4, ..Gmp::default() }, &perceptron(16)).unwrap();
    assert_eq!(counts(&*closed, 16, &never)[11..13], [1_333, 1_000]);
    // A start below the target is the target.
    let low = policy(Gmp { sparsity: 0.5, initial_density: 0.1, ..Gmp::default() }, &perceptron(8)).unwrap();
    assert_eq!(counts(&*low, 8, &never), [5_000; 8]);
}

#[test]
fn a_layer_without_an_update_begins_at_its_target() {
    let target = |rule: Gmp, epochs: u32, frozen: &Spans| {
        let policy = policy(rule, &perceptron(epochs)).unwrap();
        counts(&*policy, epochs, frozen).iter().all(|count| *count == 1_000)
            && policy.initial(0, frozen).len() == 1_000
    };
    assert!(target(Gmp::default(), 1, &Spans::never()));
    assert!(target(Gmp { until: 0.0, ..Gmp::default() }, 9, &Spans::never()));
    assert!(target(Gmp { interval: 7, ..Gmp::default() }, 9, &Spans::never()));
    assert!(target(Gmp { interval: 3, ..Gmp::default() }, 9, &Spans::from(3)));
    assert!(!target(Gmp { interval: 3, ..Gmp::default() }, 9, &Spans::from(4)));
}

#[test]
fn a_layer_that_freezes_is_at_its_target_and_stays_there_when_it_thaws() {
    let rule = policy(Gmp::default(), &perceptron(8)).unwrap();
    // The update at 3 is the last before the freeze.
    assert_eq!(counts(&*rule, 8, &Spans::from(4))[1..5], [6_208, 3_667, 1_000, 1_000]);
    let mut frozen = Spans::from(2);
    frozen.thaw(4);
    assert_eq!(counts(&*rule, 8, &frozen), [10_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000]);
    assert_eq!(super::simulate(&*rule, &perceptron(8), 0, &frozen), counts(&*rule, 8, &frozen));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn gmp_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        interval in 1u32..4,
        until in 0.0f64..=1.0,
        initial_density in 0.0f64..=1.0,
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.97],
        ties in 1u32..12,
    ) {
        let context = three_layers(seed, epochs);
        let rule = Gmp { sparsity, interval, until, initial_density, dense_last: false, ..Gmp::default() };
        let policy = policy(rule, &context).unwrap();
        let due: Vec<u32> = (1..epochs)
            .filter(|epoch| epoch.is_multiple_of(interval) && f64::from(*epoch) <= until * f64::from(epochs))
            .collect();
        let last = due.last().copied();
        let counts = train(&*policy, &context, ties, |_, _| true, |epoch, seen| {
            assert!(due.contains(&epoch), "no update at {epoch}");
            let change = |seen: &super::layers::Seen| {
                let density = 1.0 - sparsity;
                let left = 1.0 - f64::from(epoch) / f64::from(last.unwrap());
                let curve = density + (initial_density.max(density) - density) * left.powi(3);
                let existing = seen.by_magnitude();
                let surplus = existing.len() - (curve * seen.weights.len() as f64).round() as usize;
                delta(existing[..surplus].iter().map(|(_, index)| *index).collect(), Vec::new())
            };
            seen.iter().map(change).collect()
        });
        let exact = [42.0, 35.0, 20.0].map(|weights| ((1.0 - sparsity) * weights).round() as u32);
        prop_assert!(counts.iter().skip(last.unwrap_or(0) as usize).all(|counts| *counts == exact));
    }
}
