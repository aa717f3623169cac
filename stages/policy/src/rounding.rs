//! Shares of a whole, rounded to nearest: the one rule by which counts follow from fractions.

/// `share` of `whole`, rounded to the nearest count (halves up), at most `whole`.
pub fn share_of(share: f64, whole: u32) -> u32 {
    debug_assert!(share >= 0.0, "a share is not negative: {share}");
    // The cast saturates; the product lies between 0 and 2^32, where f64 is exact to far less than one half.
    ((share * f64::from(whole)).round() as u32).min(whole)
}

#[cfg(test)]
mod tests {
    use super::share_of;

    #[test]
    fn counts_round_to_the_nearest_and_stay_within_the_whole() {
        assert_eq!(share_of(2.0 / 3.0, 9), 6);
        assert_eq!(share_of(2.0 / 3.0, 4), 3);
        assert_eq!(share_of(2.0 / 3.0, 2), 1);
        assert_eq!(share_of(0.5, 5), 3);
        assert_eq!(share_of(1.5, 5), 5);
        assert_eq!(share_of(1.0, u32::MAX), u32::MAX);
    }
}
