//! Selections by a total order: the lowest so many (top-k of the opposite order), ties by index.

use spfde_data::{Purpose, draw};

use super::{MaskDelta, MaskUpdate, Units};

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

/// A random mask of `count` of a layer's weights, ascending. A smaller mask is part of every larger one.
pub fn random_mask(units: &Units, seed: u64, layer: usize, count: u32) -> Vec<u32> {
    if count == units.weights() {
        return (0..count).collect();
    }
    let key = |index: u32| draw(seed, Purpose::Mask, layer as u64, u64::from(index));
    units.drawn(&[], (0..units.weights()).map(|index| (key(index), index)), count as usize)
}

/// A key by which floating-point numbers that are not negative sort like the numbers, NaN last.
pub fn order_of(score: f64) -> u64 {
    score.abs().to_bits()
}

/// The existing weights with their magnitudes.
pub fn magnitudes(update: &MaskUpdate<'_>) -> Vec<(f64, u32)> {
    let magnitudes = update.values.iter().map(|value| f64::from(value.abs()));
    magnitudes.zip(update.indices.iter().copied()).collect()
}

/// Drops the least of the scored existing weights, so that `count` stay, or all if there are no more.
pub fn prune(update: &MaskUpdate<'_>, scored: Vec<(f64, u32)>, count: u32) -> MaskDelta {
    let surplus = update.indices.len().saturating_sub(count as usize);
    let dropped = update.moment.units.least(scored.into_iter(), surplus);
    MaskDelta { dropped, grown: Vec::new() }
}

/// Drops so many of the least existing weights, and grows so many of all that are absent then, where the
/// dense gradient is greatest.
pub fn exchange(update: &MaskUpdate<'_>, dropped: usize, grown: usize) -> MaskDelta {
    let units = update.moment.units;
    let dropped = units.least(magnitudes(update).into_iter(), dropped);
    let kept = without(update.indices, &dropped);
    let grown = units.greatest(&kept, dense_gradients(update, &kept), grown);
    MaskDelta { dropped, grown }
}

/// What stays of the existing weights without the `dropped` ones; both lists ascend.
pub fn without(existing: &[u32], dropped: &[u32]) -> Vec<u32> {
    let mut dropped = dropped.iter().copied().peekable();
    existing.iter().copied().filter(|index| dropped.next_if_eq(index).is_none()).collect()
}

/// All weights but the `kept` ones, with the magnitudes of their dense gradients.
pub fn dense_gradients<'a>(
    update: &'a MaskUpdate<'_>,
    kept: &'a [u32],
) -> impl Iterator<Item = (f64, u32)> + 'a {
    let mut kept = kept.iter().copied().peekable();
    let gradients = (0..).zip(update.dense_gradients);
    let absent = gradients.filter(move |(index, _)| kept.next_if_eq(index).is_none());
    absent.map(|(index, gradient)| (f64::from(gradient.abs()), index))
}

/// The absent weights by a draw keyed by (seed, epoch, step, layer, index): the lowest are a random choice.
pub fn absent_by_draw(update: &MaskUpdate<'_>) -> impl Iterator<Item = (u64, u32)> {
    let (moment, seed) = (update.moment, update.seed);
    let key = u64::from(moment.epoch) << 32 | moment.layer as u64;
    let mut existing = update.indices.iter().copied().peekable();
    let absent = (0..moment.units.weights()).filter(move |index| existing.next_if_eq(index).is_none());
    let place = move |index: u32| u64::from(moment.step) << 32 | u64::from(index);
    absent.map(move |index| (draw(seed, Purpose::Grow, key, place(index)), index))
}

/// The sign that a weight has for good, where a rule fixes signs.
pub fn sign(seed: u64, layer: usize, index: u32) -> f32 {
    if draw(seed, Purpose::Sign, layer as u64, u64::from(index)) >> 63 == 0 { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Granularity;

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
        let network = crate::example::perceptron(&[100, 100, 10]);
        let units = Granularity::Unstructured.units(&network.layers[0]);
        let mask = |layer: usize, count: u32| random_mask(&units, 3, layer, count);
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
