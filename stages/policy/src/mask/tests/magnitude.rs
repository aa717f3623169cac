//! `magnitude` against its description over plain vectors of all weights.

use proptest::prelude::*;

use super::gmp::counts;
use super::layers::{Seen, delta, train};
use super::{perceptron, three_layers};
use crate::Spans;
use crate::mask::{Magnitude, policy};

#[test]
fn a_layer_is_dense_until_its_epoch_and_a_frozen_one_at_its_target() {
    let at = |at: f64, epochs: u32, frozen: &Spans| {
        let policy = policy(Magnitude { at, ..Magnitude::default() }, &perceptron(epochs)).unwrap();
        counts(&*policy, epochs, frozen).iter().take_while(|count| **count == 10_000).count()
    };
    let never = Spans::never();
    // Half of 9 rounds up; 0 is the first epoch after the start.
    assert_eq!(
        [at(0.5, 9, &never), at(0.0, 9, &never), at(0.24, 9, &never), at(0.9, 9, &never)],
        [5, 1, 2, 8]
    );
    // Where nothing can be pruned in time, training begins at the target.
    assert_eq!([at(1.0, 9, &never), at(0.5, 1, &never), at(0.5, 9, &Spans::from(5))], [0, 0, 0]);
    assert_eq!(at(0.5, 9, &Spans::from(6)), 5);
    let mut frozen = Spans::from(2);
    frozen.thaw(4);
    assert_eq!(at(0.5, 9, &frozen), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn magnitude_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        at in 0.0f64..=1.0,
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.97],
        ties in 1u32..12,
    ) {
        let context = three_layers(seed, epochs);
        let policy =
            policy(Magnitude { sparsity, at, dense_last: false, ..Magnitude::default() }, &context).unwrap();
        let pruned = ((at * f64::from(epochs)).round() as u32).max(1);
        let exact = [42.0, 35.0, 20.0].map(|weights| ((1.0 - sparsity) * weights).round() as u32);
        let counts = train(&*policy, &context, ties, |_, _| true, |epoch, seen| {
            assert!(epoch == pruned, "no update at {epoch}");
            let change = |seen: &Seen| {
                let existing = seen.by_magnitude();
                let surplus = existing.len() - exact[seen.layer] as usize;
                delta(existing[..surplus].iter().map(|(_, index)| *index).collect(), Vec::new())
            };
            seen.iter().map(change).collect()
        });
        for (epoch, counts) in (0..).zip(counts) {
            let expected = if epoch < pruned && pruned < epochs { [42, 35, 20] } else { exact };
            prop_assert_eq!(counts, expected, "epoch {}", epoch);
        }
    }
}
