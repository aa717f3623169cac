//! The exact mean against a sum of big integers, and cuts at it.

use proptest::prelude::*;

use super::Decision;
use crate::sieve::{Cut, ExactMean, InfoBatch, SieveContext, policy};

/// The mean by one big integer: the sum in units of the least positive number, 2⁻¹⁴⁹, in digits of 32 bits.
fn reference(values: &[f32]) -> f64 {
    let mut digits = [0u64; 12];
    for value in values {
        let bits = value.to_bits();
        let (exponent, fraction) = (bits >> 23, u128::from(bits & 0x7F_FFFF));
        let (mantissa, shift) =
            if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 23, exponent - 1) };
        let mut carry = mantissa << (shift % 32);
        for digit in &mut digits[shift as usize / 32..] {
            carry += u128::from(*digit);
            *digit = (carry & 0xFFFF_FFFF) as u64;
            carry >>= 32;
        }
        assert_eq!(carry, 0);
    }
    let scaled = digits.iter().enumerate().map(|(at, digit)| *digit as f64 * 2f64.powi(32 * at as i32 - 149));
    scaled.sum::<f64>() / values.len() as f64
}

fn exact(values: &[f32]) -> ExactMean {
    let mut mean = ExactMean::default();
    values.iter().for_each(|value| mean.add(*value));
    mean
}

proptest! {
    #[test]
    fn the_exact_mean_is_that_of_big_integers_for_any_partition(
        bits in prop::collection::vec(0u32..0x7F80_0000, 1..400),
        owners in prop::collection::vec(0usize..4, 400),
    ) {
        let values: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let whole = exact(&values);
        let (mean, expected) = (whole.mean(), reference(&values));
        prop_assert!((mean - expected).abs() <= 1e-13 * expected, "{} {}", mean, expected);
        let mut parts = vec![ExactMean::default(); 4];
        values.iter().zip(owners).for_each(|(value, owner)| parts[owner].add(*value));
        let mut merged = ExactMean::default();
        parts.iter().rev().for_each(|part| merged.merge(part));
        prop_assert_eq!(merged.mean().to_bits(), mean.to_bits());
        prop_assert_eq!(merged, whole);
    }

    #[test]
    fn what_lies_at_the_mean_is_never_cut(
        losses in prop::collection::vec(0u8..6, 1..60),
        kept in 0.0f64..=1.0,
    ) {
        let context = SieveContext { seed: 3, epochs: 9, samples: losses.len() as u32 };
        let policy = policy(InfoBatch::default(), &context).unwrap();
        let keys: Vec<u32> = losses.iter().map(|loss| f32::from(*loss).to_bits()).collect();
        let mean = Decision::mean(keys.iter().copied()).mean();
        let total: u32 = losses.iter().map(|loss| u32::from(*loss)).sum();
        for (cut, sign) in [(Cut::BelowMean { kept }, -1), (Cut::AboveMean { kept }, 1)] {
            prop_assert!(cut.is_at_mean());
            let decision = Decision { cut, weight: 2.5 };
            for (sample, loss) in (0..).zip(&losses) {
                // Compared in integers: the loss of one, so many times, with the sum of all.
                let side = (u32::from(*loss) * losses.len() as u32).cmp(&total) as i32;
                let expected = match side == sign {
                    true => policy.keeps(4, sample, kept).then_some(2.5),
                    false => Some(1.0),
                };
                prop_assert_eq!(decision.at_mean(&*policy, 4, sample, keys[sample as usize], mean), expected);
            }
        }
    }
}

#[test]
fn a_share_of_all_keeps_all_and_one_of_none_keeps_none() {
    let context = SieveContext { seed: 3, epochs: 9, samples: 1 };
    let policy = policy(InfoBatch::default(), &context).unwrap();
    assert!((0..1000).all(|sample| policy.keeps(1, sample, 1.0) && !policy.keeps(1, sample, 0.0)));
    let kept = |share: f64| (0..1000).filter(|sample| policy.keeps(1, *sample, share)).collect::<Vec<u32>>();
    let (few, many) = (kept(0.2), kept(0.6));
    assert!(few.iter().all(|sample| many.contains(sample)), "a smaller share is part of every larger one");
}
