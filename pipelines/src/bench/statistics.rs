//! Order statistics of repeated measurements.

/// The value below which the share `at` of the values lies, between neighbours in proportion; 0 without
/// values.
pub(super) fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = at * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// The middle value, or the mean of the two in the middle; 0 without values.
pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|at| quantile(&values, at)), [1.0, 1.75, 2.5, 3.25, 4.0]);
        assert_eq!(median(&[7.0, 5.0, 9.0]), 7.0);
        assert_eq!((median(&[3.0]), median(&[])), (3.0, 0.0));
    }
}
