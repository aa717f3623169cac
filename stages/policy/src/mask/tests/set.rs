//! `set` against its description over plain vectors of all weights.

use proptest::prelude::*;

use super::layers::{Seen, delta, train};
use super::{perceptron, three_layers, values};
use crate::Spans;
use crate::mask::{MaskUpdate, Moment, Needs, Set, policy};

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn set_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        interval in 1u32..4,
        drop in prop_oneof![Just(0.0), Just(1.0), 0.0f64..1.0],
        until in 0.0f64..=1.0,
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.97],
        ties in 1u32..12,
    ) {
        let context = three_layers(seed, epochs);
        let rule = Set { sparsity, interval, drop, until, dense_last: false, ..Set::default() };
        let policy = policy(rule, &context).unwrap();
        prop_assert_eq!(policy.most_needed(), Needs::Weights, "no gradient is looked at");
        let mut asked = Vec::new();
        train(&*policy, &context, ties, |_, _| true, |epoch, seen| {
            let change = |seen: &Seen| {
                let (existing, absent) = (seen.by_magnitude(), seen.by_draw(seed, epoch));
                let count = ((drop * existing.len() as f64) as usize).min(absent.len());
                let dropped = existing[..count].iter().map(|(_, index)| *index).collect();
                delta(dropped, absent[..count].iter().map(|(_, index)| *index).collect())
            };
            asked.push(epoch);
            seen.iter().map(change).collect()
        });
        let end = until * f64::from(epochs);
        let due = |epoch: &u32| epoch.is_multiple_of(interval) && f64::from(*epoch) < end;
        prop_assert_eq!(asked, (1..epochs).filter(due).collect::<Vec<_>>());
    }
}

#[test]
fn every_update_within_an_epoch_grows_others() {
    let policy = policy(Set { interval_steps: 5, ..Set::default() }, &perceptron(8)).unwrap();
    let indices = policy.initial(0, &Spans::never());
    let values = values(7, 2, &indices);
    let grown = |step: u32| {
        let update = super::update(&*policy, 0, 2, &indices, &values);
        let moment = Moment { step, ..update.moment };
        super::decide(&*policy, &MaskUpdate { moment, ..update }).grown
    };
    // 300 of 9 000 absent ones: two draws share ten or so.
    let (first, second) = (grown(5), grown(10));
    let shared = first.iter().filter(|index| second.contains(index)).count();
    assert!(first.len() == 300 && second.len() == 300 && shared < 40, "{shared}");
}
