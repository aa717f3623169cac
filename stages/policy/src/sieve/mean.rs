//! The mean of many numbers, exact before its last rounding, so that it does not depend on their order.

use serde::{Deserialize, Serialize};

/// Exponents of numbers that are not negative.
const EXPONENTS: usize = 256;

/// A sum of `f32` numbers that are not negative, kept exactly: by exponent, the sum of the mantissas, which
/// are integers of 24 bits. Sums of parts, on several workers, add up to that of the whole in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactMean {
    mantissas: Vec<u64>,
    count: u64,
}

impl Default for ExactMean {
    fn default() -> Self {
        Self { mantissas: vec![0; EXPONENTS], count: 0 }
    }
}

impl ExactMean {
    /// Adds one number; its sign does not count, and one that is not a number counts as infinity.
    pub fn add(&mut self, value: f32) {
        let bits = value.to_bits() & 0x7FFF_FFFF;
        let (exponent, fraction) = ((bits >> 23) as usize, u64::from(bits & 0x7F_FFFF));
        // 2^32 mantissas of 24 bits stay below 2^56.
        self.mantissas[exponent] += if exponent == 0 { fraction } else { fraction | 1 << 23 };
        self.count += 1;
    }

    /// Adds the numbers of another part.
    pub fn merge(&mut self, other: &Self) {
        self.mantissas.iter_mut().zip(&other.mantissas).for_each(|(sum, part)| *sum += part);
        self.count += other.count;
    }

    /// The mean, to within 1e-13 of itself; 0 if there are no numbers.
    pub fn mean(&self) -> f64 {
        let scaled = |(exponent, sum): (usize, &u64)| match (exponent, *sum) {
            (_, 0) => 0.0,
            (255, _) => f64::INFINITY,
            (exponent, sum) => sum as f64 * 2f64.powi(exponent.max(1) as i32 - 150),
        };
        // The smallest first: every rounding is then of the size of the result.
        let sum: f64 = self.mantissas.iter().enumerate().map(scaled).sum();
        if self.count == 0 { 0.0 } else { sum / self.count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_any_order_have_the_mean_of_the_whole() {
        let values: Vec<f32> = (0..10_000u32)
            .map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761) % 0x7F00_0000))
            .chain([0.0, f32::MIN_POSITIVE / 4.0, 1.0, 3.5])
            .filter(|value| *value < 1e6)
            .collect();
        let of = |values: &[f32]| {
            let mut mean = ExactMean::default();
            values.iter().for_each(|value| mean.add(*value));
            mean
        };
        let whole = of(&values);
        let expected = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        assert!((whole.mean() / expected - 1.0).abs() < 1e-12, "{} {expected}", whole.mean());
        let mut backwards = values.clone();
        backwards.reverse();
        let (front, back) = backwards.split_at(1234);
        let mut parts = of(back);
        parts.merge(&of(front));
        assert_eq!(parts, whole);
    }

    #[test]
    fn tiny_and_infinite_numbers_count() {
        let mut tiny = ExactMean::default();
        (0..4).for_each(|_| tiny.add(f32::from_bits(1)));
        assert_eq!(tiny.mean(), f64::from(f32::from_bits(1)));
        tiny.add(f32::INFINITY);
        assert_eq!(tiny.mean(), f64::INFINITY);
        assert_eq!(ExactMean::default().mean(), 0.0);
    }
}
