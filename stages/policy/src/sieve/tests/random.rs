//! `random` against draws of its own.

use spfde_data::random::{Purpose, draw};

use super::{drive, policy};
use crate::sieve::{Rank, SieveContext};

#[test]
fn a_random_subset_is_drawn_anew_at_every_interval() {
    let context = SieveContext { seed: 9, samples: 400, epochs: 200 };
    let policy = policy("random", &context, 0.25, 1).unwrap();
    let hash = draw(9, Purpose::Subset, 3, 5);
    assert_eq!(policy.rank(3, 5, 2, 7), Rank { key: (hash >> 32) as u32, since: 0, hash });
    let mut outside = vec![0u32; 400];
    let mut previous = Vec::new();
    drive(&*policy, &context, 1, |epoch, active, _| {
        let mut drawn: Vec<u32> = (0..400).collect();
        drawn.sort_by_key(|sample| draw(9, Purpose::Subset, u64::from(epoch), u64::from(*sample)));
        let mut expected = drawn[100..].to_vec();
        expected.sort_unstable();
        assert_eq!(active, expected);
        assert_ne!(active, previous);
        drawn[..100].iter().for_each(|sample| outside[*sample as usize] += 1);
        previous = active.to_vec();
    });
    // 200 subsets, each sample out of a quarter: 50 ± five standard deviations of a binomial.
    assert!(outside.iter().all(|out| (f64::from(*out) - 50.0).abs() < 5.0 * 37.5f64.sqrt()), "{outside:?}");
}
