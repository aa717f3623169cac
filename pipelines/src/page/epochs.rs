//! Which epochs a page shows: of a long run evenly spaced ones, so that a page stays small.

/// Epochs that are shown at most.
pub(super) const SHOWN: u32 = 160;

/// The epochs of a run in groups of as many, each of which is shown by its last epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epochs {
    count: u32,
    every: u32,
}

impl Epochs {
    /// The groups of so many epochs.
    pub(super) fn new(count: u32) -> Self {
        Self { count, every: count.div_ceil(SHOWN).max(1) }
    }

    /// The first epoch of the group of an epoch.
    pub(super) fn first(self, epoch: u32) -> u32 {
        epoch / self.every * self.every
    }

    /// The last epoch of each group.
    pub(super) fn shown(self) -> impl Iterator<Item = u32> + Clone {
        (0..self.count).step_by(self.every as usize).map(move |first| self.last(first))
    }

    /// The last epoch of the group of an epoch.
    pub(super) fn last(self, epoch: u32) -> u32 {
        self.first(epoch).saturating_add(self.every).min(self.count.max(1)) - 1
    }

    /// In SQL: the number of the last epoch of the group of `epoch`, from 1.
    pub(super) fn number(self) -> String {
        match self.every {
            1 => "epoch + 1".to_owned(),
            every => format!("least((epoch // {every} + 1) * {every}, {})", self.count),
        }
    }

    /// In SQL: whether `epoch` is shown.
    pub(super) fn is_shown(self) -> String {
        match self.every {
            1 => "true".to_owned(),
            every => format!("((epoch + 1) % {every} = 0 OR epoch + 1 = {})", self.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_shown_by_evenly_spaced_epochs_and_its_last() {
        assert_eq!(Epochs::new(3).shown().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(Epochs::new(0).shown().count(), 0);
        let epochs = Epochs::new(401);
        let shown: Vec<u32> = epochs.shown().collect();
        assert_eq!((shown.len(), shown[0], shown[1], shown[133]), (134, 2, 5, 400));
        assert_eq!([0, 2, 3, 400].map(|epoch| epochs.last(epoch)), [2, 2, 5, 400]);
        assert_eq!([0, 2, 3, 400].map(|epoch| epochs.first(epoch)), [0, 0, 3, 399]);
    }
}
