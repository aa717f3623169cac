//! Selections by a total order: the lowest so many (top-k of the opposite order), ties by index.

use spfde_data::{Purpose, draw};

use super::MaskUpdate;
use super::granularity::Granularity;

/// The indices of the `count` lowest of `keyed` (key, then index), ascending by index. It takes room for
/// those and a quarter more, however many there are to choose from.
pub fn lowest<K: Ord>(keyed: impl IntoIterator<Item = (K, u32)>, count: usize) -> Vec<u32> {
    let Some(last) = count.checked_sub(1) else { return Vec::new() };
    let most = count.saturating_add(count / 4).saturating_add(1024);
    let (mut kept, mut bounded) = (Vec::new(), false);
    let cut = |kept: &mut Vec<(K, u32)>| {
        kept.select_nth_unstable(last);
        kept.truncate(count);
    };
    for item in keyed {
        // Once some have been cut off, the greatest of those that stayed is the last of the first `count`.
        if bounded && item > kept[last] {
            continue;
        }
        kept.push(item);
        if kept.len() == most {
            cut(&mut kept);
            bounded = true;
        }
    }
    if kept.len() > count {
        cut(&mut kept);
    }
    let mut chosen: Vec<u32> = kept.into_iter().map(|(_, index)| index).collect();
    chosen.sort_unstable();
    chosen
}

/// A random mask of `count` of a layer's `weights`, ascending. A smaller mask is part of every larger one.
pub fn random_mask(units: &dyn Granularity, seed: u64, layer: usize, weights: u32, count: u32) -> Vec<u32> {
    let key = |index: u32| draw(seed, Purpose::Mask, layer as u64, u64::from(index));
    units.lowest(&mut (0..weights).map(|index| (key(index), index)), count as usize)
}

/// A key by which floating-point numbers that are not negative sort like the numbers, NaN last.
pub fn order_of(score: f64) -> u64 {
    score.abs().to_bits()
}

/// The existing weights by magnitude.
pub fn magnitudes(update: &MaskUpdate<'_>) -> Vec<(u64, u32)> {
    let keys = update.values.iter().map(|value| order_of(f64::from(value.abs())));
    keys.zip(update.indices.iter().copied()).collect()
}

/// The absent weights by a draw keyed by (seed, epoch, step, layer, index): the lowest are a random choice.
pub fn absent_by_draw(update: &MaskUpdate<'_>) -> impl Iterator<Item = (u64, u32)> {
    let (moment, seed) = (update.moment, update.seed);
    let key = u64::from(moment.epoch) << 32 | moment.layer as u64;
    let mut existing = update.indices.iter().copied().peekable();
    let absent = (0..moment.weights).filter(move |index| existing.next_if_eq(index).is_none());
    let place = move |index: u32| u64::from(moment.step) << 32 | u64::from(index);
    absent.map(move |index| (draw(seed, Purpose::Grow, key, place(index)), index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::granularity::Unstructured;

    #[test]
    fn the_lowest_are_taken_and_ties_go_by_index() {
        let keyed = vec![(3, 0), (1, 5), (1, 2), (2, 9), (1, 7)];
        assert_eq!(lowest(keyed.clone(), 2), [2, 5]);
        assert_eq!(lowest(keyed.clone(), 4), [2, 5, 7, 9]);
        assert_eq!(lowest(keyed.clone(), 99), [0, 2, 5, 7, 9]);
        assert_eq!(lowest(keyed, 0), [0; 0]);
    }

    #[test]
    fn many_are_chosen_from_as_if_all_were_sorted() {
        // Few keys, so that ties are cut through, and as good as none.
        for (keys, count) in [(5, 3000), (5, 1), (u64::MAX, 3000), (u64::MAX, 15_000), (u64::MAX, 40_000)] {
            let key = |index: u32| draw(1, Purpose::User, 0, u64::from(index)) % keys;
            let keyed = || (0..30_000).map(|index| (key(index), index));
            let mut sorted: Vec<(u64, u32)> = keyed().collect();
            sorted.sort_unstable();
            let mut expected: Vec<u32> = sorted.into_iter().take(count).map(|(_, index)| index).collect();
            expected.sort_unstable();
            assert_eq!(lowest(keyed(), count), expected, "{keys}, {count}");
        }
    }

    #[test]
    fn a_random_mask_is_fair_and_nested() {
        let mask = |layer: usize, count: u32| random_mask(&Unstructured, 3, layer, 10_000, count);
        let (small, large) = (mask(1, 1_000), mask(1, 1_500));
        assert_eq!((small.len(), large.len()), (1_000, 1_500));
        assert!(small.iter().all(|index| large.binary_search(index).is_ok()));
        assert_ne!(small, mask(2, 1_000));
        // Mean index of a uniform subset: 5 000 ± five standard errors of 10 000 / √12 / √1000.
        let mean = small.iter().map(|index| f64::from(*index)).sum::<f64>() / 1_000.0;
        assert!((mean - 5_000.0).abs() < 5.0 * 10_000.0 / 12f64.sqrt() / 1_000f64.sqrt(), "{mean}");
    }

    #[test]
    fn scores_sort_like_numbers_with_nan_last() {
        let scores = [0.0, f64::MIN_POSITIVE, 0.5, 1.0, 1e300, f64::INFINITY, f64::NAN];
        assert!(scores.windows(2).all(|pair| order_of(pair[0]) < order_of(pair[1])));
        assert_eq!(order_of(-0.0), order_of(0.0));
    }
}
