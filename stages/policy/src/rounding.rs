//! Shares of a whole: the rules by which counts follow from fractions.

use std::cmp::Reverse;

/// `share` of `whole`, rounded to the nearest count (halves up), at most `whole`.
pub fn share_of(share: f64, whole: u32) -> u32 {
    debug_assert!(share >= 0.0, "a share is not negative: {share}");
    // The cast saturates; the product lies between 0 and 2^32, where f64 is exact to far less than one half.
    ((share * f64::from(whole)).round() as u32).min(whole)
}

/// Apportions `count` by the `weights`, to each at most what `most` says of it; all that there may be if
/// `count` is more. Each has its quota rounded down, and the largest remainders one more; of equal ones the
/// first. What does not fit is apportioned in the same way over the others.
///
/// # Panics
/// If `weights` and `most` have different lengths.
pub(crate) fn apportion(count: u32, weights: &[u32], most: &[u32]) -> Vec<u32> {
    assert_eq!(weights.len(), most.len(), "every weight has its limit");
    let mut given = vec![0; weights.len()];
    let room = most.iter().map(|most| u64::from(*most)).sum::<u64>();
    let mut left = room.min(count.into());
    let mut open: Vec<usize> = (0..weights.len()).filter(|at| most[*at] > 0).collect();
    while left > 0 {
        let whole = open.iter().map(|at| u64::from(weights[*at])).sum::<u64>().max(1);
        // Below 2^32 times 2^32.
        let quota = |at: usize| left * u64::from(weights[at]);
        let mut rest = left;
        for at in &open {
            let floor = (quota(*at) / whole).min(u64::from(most[*at] - given[*at]));
            given[*at] += floor as u32;
            rest -= floor;
        }
        open.retain(|at| given[*at] < most[*at]);
        open.sort_by_key(|at| (Reverse(quota(*at) % whole), *at));
        let raised = open.iter().take(rest as usize);
        raised.for_each(|at| given[*at] += 1);
        left = rest.saturating_sub(open.len() as u64);
        open.retain(|at| given[*at] < most[*at]);
    }
    given
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{apportion, share_of};

    #[test]
    fn counts_round_to_the_nearest_and_stay_within_the_whole() {
        assert_eq!(share_of(2.0 / 3.0, 9), 6);
        assert_eq!(share_of(2.0 / 3.0, 4), 3);
        assert_eq!(share_of(2.0 / 3.0, 2), 1);
        assert_eq!(share_of(0.5, 5), 3);
        assert_eq!(share_of(1.5, 5), 5);
        assert_eq!(share_of(1.0, u32::MAX), u32::MAX);
    }

    #[test]
    fn quotas_are_rounded_by_the_largest_remainder_and_what_does_not_fit_is_dealt_anew() {
        // Quotas of 10 by 5, 3 and 1 of 9: 5.56, 3.33 and 1.11.
        assert_eq!(apportion(10, &[5, 3, 1], &[10, 10, 10]), [6, 3, 1]);
        assert_eq!(apportion(1, &[1, 1], &[9, 9]), [1, 0], "of equal ones the first");
        // The first takes 2 of its 5.56; of the other 8 the quotas are 6 and 2.
        assert_eq!(apportion(10, &[5, 3, 1], &[2, 10, 10]), [2, 6, 2]);
        assert_eq!(apportion(4, &[0, 0], &[1, 9]), [1, 3], "without weights one each in turn");
        assert_eq!(apportion(9, &[5, 3], &[2, 4]), [2, 4], "no more than there may be");
        // 8 by 29 and 23 are 4.46 and 3.54: what has no room takes no part.
        assert_eq!(apportion(8, &[29, 23, 19], &[9, 9, 0]), [4, 4, 0]);
    }

    proptest! {
        #[test]
        fn all_is_apportioned_and_no_quota_is_missed_by_one(
            count in 0u32..1000,
            shares in prop::collection::vec((0u32..50, 0u32..200), 1..6),
        ) {
            let (weights, most): (Vec<u32>, Vec<u32>) = shares.into_iter().unzip();
            let given = apportion(count, &weights, &most);
            prop_assert_eq!(given.iter().sum::<u32>(), count.min(most.iter().sum()));
            prop_assert!(given.iter().zip(&most).all(|(given, most)| given <= most));
            let whole: u32 = weights.iter().sum();
            let free = apportion(count, &weights, &vec![count; weights.len()]);
            for (given, weight) in free.iter().zip(&weights).filter(|_| whole > 0) {
                let quota = f64::from(count) * f64::from(*weight) / f64::from(whole);
                prop_assert!((f64::from(*given) - quota).abs() < 1.0, "{} of {}", given, quota);
            }
        }
    }
}
