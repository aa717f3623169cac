//! `lottery` against its description over plain vectors of all weights.

use proptest::prelude::*;

use super::layers::{Seen, delta, train};
use super::{perceptron, three_layers};
use crate::mask::{Lottery, policy};
use crate::{Cosine, LearningRate};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn lottery_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        rounds in 1u32..9,
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.97],
        ties in 1u32..12,
    ) {
        let context = three_layers(seed, epochs);
        let rule = Lottery { sparsity, rounds, dense_last: false, ..Lottery::default() };
        let policy = policy(rule, &context).unwrap();
        // As many rounds as there are epochs after the first.
        let rounds = rounds.min(epochs - 1);
        let phase = epochs / (rounds + 1);
        let density = |pruned: u32| match rounds {
            0 => 1.0 - sparsity,
            _ => (1.0 - sparsity).powf(f64::from(pruned) / f64::from(rounds)),
        };
        let exact =
            |pruned: u32| [42.0, 35.0, 20.0].map(|weights| (density(pruned) * weights).round() as u32);
        let counts = train(&*policy, &context, ties, |_, _| true, |epoch, seen| {
            let pruned = epoch / phase;
            assert!(epoch % phase == 0 && (1..=rounds).contains(&pruned), "no update at {epoch}");
            let change = |seen: &Seen| {
                let existing = seen.by_magnitude();
                let surplus = existing.len() - exact(pruned)[seen.layer] as usize;
                delta(existing[..surplus].iter().map(|(_, index)| *index).collect(), Vec::new())
            };
            seen.iter().map(change).collect()
        });
        for (epoch, counts) in (0..).zip(counts) {
            prop_assert_eq!(counts, exact((epoch / phase).min(rounds)), "epoch {}", epoch);
        }
    }
}

#[test]
fn every_phase_is_a_training_of_its_own_from_the_epoch_of_the_rewinding_on() {
    let policy = policy(Lottery { rounds: 3, rewind: 1, ..Lottery::default() }, &perceptron(14)).unwrap();
    // Phases of three epochs, and the last of five: updates at 3, 6 and 9.
    let phases: Vec<(u32, u32)> = (0..14).map(|epoch| policy.phase(epoch, 14)).collect();
    let later = [(1, 4), (2, 4), (3, 4)];
    let last = [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6)];
    assert_eq!(phases, [&[(0, 3), (1, 3), (2, 3)][..], &later, &later, &last].concat());
    // A block that freezes at 11 ends its last training there.
    assert_eq!((policy.phase(8, 11), policy.phase(10, 11)), ((3, 4), (2, 3)));
    let rate = |epoch: u32| {
        let (epoch, ends_at) = policy.phase(epoch, 14);
        Cosine.rate(1.0, epoch, 0, 10, ends_at)
    };
    assert!((rate(3) - 0.5 * (1.0 + (std::f64::consts::PI / 4.0).cos())).abs() < 1e-12);
    assert_eq!(rate(3), rate(6));
    let short = crate::mask::policy(Lottery { rewind: 9, ..Lottery::default() }, &perceptron(4)).unwrap();
    // Four epochs: three rounds, phases of one epoch, and nothing to go back to but the start.
    assert_eq!((short.rewind(), short.phase(2, 4)), (Some(0), (0, 1)));
    let one = crate::mask::policy(Lottery::default(), &perceptron(1)).unwrap();
    assert_eq!((one.rewind(), one.phase(0, 1)), (None, (0, 1)));
}
