//! Where a cut goes through an order: in which class, and at which place exactly.

use serde::{Deserialize, Serialize};

use super::place::{Class, Place};

/// A cut that goes through a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Through {
    /// The class.
    pub(super) class: Class,
    /// How many of it are below the cut: one at least.
    pub(super) taken: u32,
}

/// The last place that a cut takes in, and the slot there: places below it are in, too. `None`: nobody.
pub(super) type Limit = Option<(Place, u32)>;

/// Above everybody.
pub(super) const EVERYBODY: Limit = Some((Place::MAX, u32::MAX));

/// Where the lowest `wanted` end, among classes in ascending order with their sizes. `Err`: a limit that needs no look
/// into a class.
pub(super) fn through(classes: &[(Class, u32)], wanted: u32) -> Result<Through, Limit> {
    if wanted == 0 {
        return Err(None);
    }
    let mut left = wanted;
    for (class, size) in classes {
        match left.checked_sub(*size) {
            Some(0) => return Ok(Through { class: *class, taken: *size }),
            Some(rest) => left = rest,
            None => return Ok(Through { class: *class, taken: left }),
        }
    }
    Err(EVERYBODY)
}

/// Adds up classes of several workers: ascending, each once.
pub(super) fn add_up(counts: impl IntoIterator<Item = Vec<(Class, u32)>>) -> Vec<(Class, u32)> {
    let mut all: Vec<(Class, u32)> = counts.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 += later.1;
        }
        same
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_ends_where_as_many_are_below_it() {
        let classes = [(3, 5), (4, 1), (9, 10)];
        assert_eq!(through(&classes, 0), Err(None));
        for (wanted, class, taken) in [(1, 3, 1), (5, 3, 5), (6, 4, 1), (7, 9, 1), (16, 9, 10)] {
            assert_eq!(through(&classes, wanted), Ok(Through { class, taken }), "{wanted}");
        }
        assert_eq!(through(&classes, 17), Err(EVERYBODY));
    }

    #[test]
    fn counts_of_workers_add_up() {
        let counts = [vec![(1, 2), (5, 1)], vec![], vec![(0, 1), (5, 4)]];
        assert_eq!(add_up(counts), [(0, 1), (1, 2), (5, 5)]);
    }
}
