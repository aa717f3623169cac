//! The exponential function, for loops over numbers that the compiler turns into vectors.

/// e to a power that is not above 0: 2 to a whole number, times a polynomial for the rest (Taylor, whose
/// error is that of a few roundings). NaN stays.
#[inline(always)]
pub(super) fn exponential(power: f32) -> f32 {
    // Adding it leaves whole numbers only.
    const ROUND: f32 = 12_582_912.0;
    // Below this there is no normal number.
    let power = if power < -87.0 { -87.0 } else { power };
    let whole = power * std::f32::consts::LOG2_E + ROUND;
    let bits = whole.to_bits();
    let whole = whole - ROUND;
    // The logarithm of 2 in two parts, the first of few bits.
    let rest = power - whole * (355.0 / 512.0) + whole * 2.121_944_4e-4;
    let [c2, c3, c4, c5, c6] = [0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0];
    let sum = 1.0 + rest * (1.0 + rest * (c2 + rest * (c3 + rest * (c4 + rest * (c5 + rest * c6)))));
    // The lowest bits of the rounded number are its whole part.
    sum * f32::from_bits(bits.wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_right_to_a_few_bits_and_nan_stays() {
        for step in 0..87_000 {
            let power = -step as f32 / 1000.0;
            let expected = f64::from(power).exp();
            let error = (f64::from(exponential(power)) - expected).abs();
            assert!(error < 4e-7 * expected, "e^{power}: off by {:.1e}", error / expected);
        }
        assert_eq!(exponential(0.0), 1.0);
        assert!(exponential(f32::NEG_INFINITY) < 1e-37 && exponential(f32::NAN).is_nan());
    }
}
