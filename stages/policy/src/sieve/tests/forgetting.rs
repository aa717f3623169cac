//! `forgetting` against one sort of the whole history.

use proptest::prelude::*;
use spfde_data::random::{Purpose, draw};

use super::{drive, key, policy, right, row};
use crate::sieve::{Cut, Rank, SieveContext};

#[test]
fn events_of_the_whole_run_count_across_decisions() {
    let context = SieveContext { seed: 1, samples: 5, epochs: 20 };
    let policy = policy("forgetting", &context, 0.2, 1).unwrap();
    let sequences = ["rwrwrw", "wwwwww", "wwwwwr", "rrrrrr", ""];
    let expected = [3, u32::MAX, 0, 0, u32::MAX];
    let mut state = policy.start(5);
    for epoch in 0..6 {
        for (slot, sequence) in sequences.iter().enumerate() {
            if let Some(letter) = sequence.chars().nth(epoch) {
                state.observe(slot, &row(epoch as u32, slot as u32, letter == 'r'));
            }
        }
        state.clear();
    }
    assert_eq!([0, 1, 2, 3, 4].map(|slot| state.key(slot)), expected);
    assert!(policy.initially_outside().is_empty());
    assert_eq!(
        [policy.decision(0).cut, policy.decision(3).cut],
        [Cut::Outside { out: 0 }, Cut::Outside { out: 1 }]
    );
    let rank = |key| policy.rank(3, 1, 2, key);
    assert!(rank(0) < rank(3) && rank(3) < rank(u32::MAX), "what was never right comes last");
    assert_eq!(rank(3), Rank { key: 3, since: 0, hash: draw(1, Purpose::Tie, 0, 1) });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn forgetting_is_one_sort_of_the_whole_history(
        seed in any::<u64>(),
        samples in 1u32..120,
        fraction in 0.0f64..0.9,
        interval in 1u32..5,
        epochs in 1u32..20,
    ) {
        let context = SieveContext { seed, samples, epochs };
        let out = (fraction * f64::from(samples)).round() as usize;
        prop_assume!(out < samples as usize);
        let policy = policy("forgetting", &context, fraction, interval).unwrap();
        let mut shown: Vec<Vec<bool>> = vec![Vec::new(); samples as usize];
        let mut expected: Vec<u32> = (0..samples).collect();
        drive(&*policy, &context, interval, |epoch, active, _| {
            if epoch > 0 && epoch.is_multiple_of(interval) {
                let mut all: Vec<u32> = (0..samples).collect();
                let tie = |sample: u32| draw(seed, Purpose::Tie, 0, u64::from(sample));
                all.sort_by_key(|sample| (key(&shown[*sample as usize]), tie(*sample)));
                expected = all.split_off(out);
                expected.sort_unstable();
            }
            assert_eq!(active, expected, "epoch {epoch}");
            active.iter().for_each(|sample| shown[*sample as usize].push(right(seed, epoch, *sample)));
        });
    }
}
