//! Cuts by class: how a count is apportioned, and the sizes of classes under every policy.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Run, labels, names, policy, right, row};
use crate::rounding::apportion;
use crate::sieve::{Classes, Cut, Decision, SieveContext, SieveRule};

/// The largest remainder from scratch, for counts that fit: every unit that is left after rounding down goes
/// to the class that lacks most of its quota, of equal ones to the first.
pub(super) fn shares(count: u32, weights: &[u32]) -> Vec<u32> {
    let whole: u64 = weights.iter().map(|weight| u64::from(*weight)).sum::<u64>().max(1);
    let quota = |class: usize| u64::from(count) * u64::from(weights[class]);
    let mut shares: Vec<u32> = (0..weights.len()).map(|class| (quota(class) / whole) as u32).collect();
    for _ in shares.iter().sum::<u32>()..count {
        let lacks = |class: &usize| quota(*class) as i64 - i64::from(shares[*class]) * whole as i64;
        let most = (0..shares.len()).rev().max_by_key(lacks).expect("there is a class");
        shares[most] += 1;
    }
    shares
}

proptest! {
    #[test]
    fn an_apportioned_count_is_whole_and_within_every_limit(
        pairs in prop::collection::vec((0u32..50, 0u32..50), 1..12),
        count in 0u32..400,
    ) {
        let (weights, most): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        let given = apportion(count, &weights, &most);
        prop_assert_eq!(given.iter().sum::<u32>(), count.min(most.iter().sum()));
        prop_assert!(given.iter().zip(&most).all(|(given, most)| given <= most));
    }

    #[test]
    fn without_limits_the_largest_remainders_are_rounded_up(
        weights in prop::collection::vec(0u32..1000, 1..12),
        share in 0.0f64..=1.0,
    ) {
        let count = (share * f64::from(weights.iter().sum::<u32>())) as u32;
        let most = vec![u32::MAX; weights.len()];
        prop_assert_eq!(apportion(count, &weights, &most), shares(count, &weights));
    }

    #[test]
    fn no_class_is_emptied_that_can_keep_a_sample(
        sizes in prop::collection::vec(1u32..9, 1..12),
        share in 0.0f64..1.0,
    ) {
        let all: u32 = sizes.iter().sum();
        let labels = (0u16..).zip(&sizes).flat_map(|(class, size)| vec![3 * class; *size as usize]);
        let classes = Classes::new(&labels.collect::<Vec<u16>>());
        prop_assert_eq!(classes.sizes(), &sizes[..]);
        let out = (share * f64::from(all)) as u32;
        let outside = classes.outside(out);
        prop_assert_eq!(outside.iter().sum::<u32>(), out);
        let emptied = outside.iter().zip(&sizes).filter(|(out, size)| out == size).count() as u32;
        prop_assert_eq!(emptied, (sizes.len() as u32).saturating_sub(all - out));
        let exchanged = classes.exchanged(out, &outside);
        let most = outside.iter().zip(&sizes).map(|(out, size)| *out.min(&(size - out)));
        prop_assert!(exchanged.iter().zip(most).all(|(exchanged, most)| *exchanged <= most));
    }
}

#[test]
fn equal_remainders_go_to_the_lower_class_and_what_does_not_fit_to_the_others() {
    assert_eq!(apportion(2, &[1, 1, 1], &[9, 9, 9]), [1, 1, 0]);
    assert_eq!(apportion(7, &[1, 1, 2], &[0, 9, 9]), [0, 2, 5]);
    assert_eq!(apportion(9, &[5, 5], &[2, 3]), [2, 3]);
    assert_eq!(apportion(u32::MAX, &[u32::MAX, u32::MAX], &[u32::MAX, u32::MAX]), [1 << 31, (1 << 31) - 1]);
    assert_eq!(Classes::new(&[5, 5, 1]).outside(2), [1, 1]);
    // 5.5 and 2.5 of 48; of 49 they would be 5.39 and 2.45.
    let labels = [vec![0; 33], vec![1; 15], vec![2]].concat();
    assert_eq!(Classes::new(&labels).outside(8), [6, 2, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_sieve_cuts_every_class_by_the_same_share_at_every_window(
        seed in any::<u64>(),
        samples in 40u32..200,
        epochs in 2u32..20,
        interval in 2u32..5,
        fraction in 0.0f64..0.8,
        which in 0..names().len(),
        count in 1u64..6,
    ) {
        let context = SieveContext { seed, samples, epochs };
        let labels = labels(seed, samples, count);
        let classes = Arc::new(Classes::new(&labels));
        let plain = policy(names()[which], &context, fraction, interval).unwrap();
        let policy = plain.stratified(&classes).unwrap();
        let mut run = Run::new(&*policy, &context);
        for epoch in 0..epochs {
            prop_assert_eq!(policy.active_samples(epoch), plain.active_samples(epoch));
            run.decide(epoch);
            let mut outside = vec![0; classes.sizes().len()];
            run.of(false).iter().for_each(|sample| outside[usize::from(classes.of(*sample))] += 1);
            match names()[which] {
                // Its sizes follow from losses.
                "infobatch" => {
                    prop_assert!(outside.iter().zip(classes.sizes()).all(|(out, size)| out < size));
                }
                _ => {
                    let out = samples - plain.active_samples(epoch);
                    prop_assert_eq!(outside.iter().sum::<u32>(), out);
                    // The only sample of a class stays, and counts for no share.
                    let sizes = classes.sizes().iter().map(|size| if *size > 1 { *size } else { 0 });
                    let expected = shares(out, &sizes.collect::<Vec<u32>>());
                    if expected.iter().zip(classes.sizes()).all(|(out, size)| out < size) {
                        prop_assert_eq!(outside, expected, "epoch {}", epoch);
                    }
                }
            }
            run.train(epoch, |sample| row(epoch, sample, right(seed, epoch, sample)));
        }
    }
}

spfde_data::parameters! {
    /// Cuts at the mean, then exchanges.
    struct Mixed in "sieve" {}
}

impl SieveRule for Mixed {
    const NAME: &'static str = "mixed";
    const SUMMARY: &'static str = "cuts at the mean, then exchanges";
    type State = ();

    fn decides(&self, _: &SieveContext, _: u32) -> bool {
        true
    }

    fn decision(&self, _: &SieveContext, epoch: u32) -> Decision {
        if epoch == 1 { Cut::BelowMean { kept: 0.5 }.into() } else { Cut::Exchange { count: 1 }.into() }
    }
}

spfde_data::parameters! {
    /// One sample is outside, of which its sizes say nothing.
    struct Miscounts in "sieve" {}
}

impl SieveRule for Miscounts {
    const NAME: &'static str = "miscounts";
    const SUMMARY: &'static str = "one sample is outside";
    type State = ();

    fn initially_outside(&self, _: &SieveContext) -> Vec<u32> {
        vec![0]
    }

    fn decides(&self, _: &SieveContext, _: u32) -> bool {
        false
    }

    fn decision(&self, _: &SieveContext, _: u32) -> Decision {
        Cut::Outside { out: 1 }.into()
    }
}

#[test]
fn a_rule_that_starts_with_other_sizes_than_it_says_is_not_cut_by_class() {
    let (classes, run) = (Classes::new(&[0, 1, 1]), SieveContext { seed: 1, epochs: 2, samples: 3 });
    let policy = crate::sieve::policy(Miscounts {}, &run).unwrap();
    let error = policy.stratified(&Arc::new(classes)).err().unwrap().to_string();
    assert_eq!(error, "`sieve.stratify`: miscounts has 1 outside and 3 active of 3 samples");
}

#[test]
fn classes_whose_sizes_would_follow_from_scores_are_not_exchanged() {
    let classes = Arc::new(Classes::new(&[0, 1, 1]));
    let of = |epochs| crate::sieve::policy(Mixed {}, &SieveContext { seed: 1, epochs, samples: 3 }).unwrap();
    assert!(of(2).stratified(&classes).is_ok());
    let error = of(3).stratified(&classes).err().unwrap().to_string();
    let expected = "`sieve.stratify`: mixed cuts at the mean and exchanges samples, too; set it to false";
    assert_eq!(error, expected);
}
