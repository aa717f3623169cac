//! What rules share that decide for all layers together: the number of weights is that of all of them.

use super::MaskUpdate;
use super::selection::{lowest, order_of};

/// A weight of one of several layers: the place of the layer, and the index.
pub(super) type Weight = (u32, u32);

/// The `count` lowest of `keyed` weights of so many layers: a list for each, ascending.
pub(super) fn lowest_of_all(
    keyed: impl IntoIterator<Item = (u64, Weight)>,
    count: usize,
    layers: usize,
) -> Vec<Vec<u32>> {
    let all: Vec<(u64, Weight)> = keyed.into_iter().collect();
    let mut lists = vec![Vec::new(); layers];
    // Ties go by layer, then by index, in which order they come.
    for at in lowest(all.iter().enumerate().map(|(at, (key, _))| (*key, at as u32)), count) {
        let (_, (layer, index)) = all[at as usize];
        lists[layer as usize].push(index);
    }
    lists
}

/// The existing weights of all layers by magnitude, but for the greatest of each: no layer is left without
/// any.
pub(super) fn spared<'a>(updates: &'a [MaskUpdate<'_>]) -> impl Iterator<Item = (u64, Weight)> + 'a {
    (0..).zip(updates).flat_map(|(layer, update)| {
        let keys = || update.values.iter().map(|value| order_of(f64::from(*value))).zip(update.indices);
        let greatest = keys().max().map(|(_, index)| *index);
        keys()
            .filter(move |(_, index)| Some(**index) != greatest)
            .map(move |(key, index)| (key, (layer, *index)))
    })
}

/// How many weights of each layer are absent.
pub(super) fn absent(updates: &[MaskUpdate<'_>]) -> Vec<u32> {
    updates.iter().map(|update| update.moment.units.weights() - update.indices.len() as u32).collect()
}
