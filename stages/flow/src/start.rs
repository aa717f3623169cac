//! Where a run begins with weights of its own choice: which weights exist then.

use spfde_data::{Purpose, draw};
use spfde_policy::mask::selection::{lowest, order_of};

/// The initial mask of `count` of a layer's `weights`, made of one that was taken over, `mask`, with the
/// `values` of the dense layer. Of too many weights those go whose values are smallest. To too few come those
/// of the absent ones that a draw keyed by (seed, layer, index) makes the lowest, as at a mask update. Ties
/// go by index.
pub(crate) fn carried(
    mask: &[u32],
    values: &[f32],
    (seed, layer): (u64, usize),
    weights: u32,
    count: usize,
) -> Vec<u32> {
    if mask.len() >= count {
        let greatest_first = |index: u32| !order_of(f64::from(values[index as usize]));
        return lowest(mask.iter().map(|index| (greatest_first(*index), *index)), count);
    }
    let mut existing = mask.iter().copied().peekable();
    let absent = (0..weights).filter(move |index| existing.next_if_eq(index).is_none());
    let key = |index: u32| draw(seed, Purpose::Grow, layer as u64, u64::from(index));
    let grown = lowest(absent.map(|index| (key(index), index)), count - mask.len());
    let mut all = [mask, &grown].concat();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_go_and_some_of_the_absent_come() {
        let values = [0.5, 0.0, -3.0, 0.1, 0.0, -0.5];
        let carried = |mask: &[u32], count| carried(mask, &values, (7, 2), 6, count);
        assert_eq!(carried(&[0, 2, 3, 5], 4), [0, 2, 3, 5]);
        // 0 and 5 are equally large: the lower index stays.
        assert_eq!(carried(&[0, 2, 3, 5], 2), [0, 2]);
        let more = carried(&[0, 2], 4);
        assert_eq!(more.len(), 4);
        assert!(more.contains(&0) && more.contains(&2) && more.is_sorted());
        assert_eq!(carried(&[0, 2], 6), [0, 1, 2, 3, 4, 5]);
    }
}
