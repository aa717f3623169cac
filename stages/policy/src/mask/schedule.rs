//! When masks change: at every multiple of an interval, of epochs or of steps, until a share of the run is
//! over, never while frozen.

use crate::Spans;

/// A share that falls along a cosine, from `start` at progress 0 to 0 at 1 (RigL, section 3).
pub fn cosine(start: f64, progress: f64) -> f64 {
    start / 2.0 * (1.0 + (std::f64::consts::PI * progress).cos())
}

/// The distance between two updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// So many epochs; 0: there are no updates.
    Epochs(u32),
    /// So many steps, counted anew in every epoch; 0: there are no updates. The last step of an epoch is
    /// followed by no update. An epoch with no more steps than that has none: the number of weights must then
    /// stay the same from epoch to epoch, because the plan counts on an update in each.
    Steps(u32),
}

/// When the masks of a run change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The distance between two updates.
    pub every: Window,
    /// The share of the run from which on there are no more, from 0 to 1.
    pub until: f64,
    /// Whether there may be one at that very moment, to which the number of weights falls. It never rises: a
    /// layer that was frozen, and so is at its target, stays there.
    pub closed: bool,
    /// Epochs of the run.
    pub epochs: u32,
}

impl Schedule {
    /// No updates.
    pub fn never(epochs: u32) -> Self {
        Self::every(0, epochs)
    }

    /// An update at every multiple of `interval` epochs.
    pub fn every(interval: u32, epochs: u32) -> Self {
        Self { every: Window::Epochs(interval), until: 1.0, closed: false, epochs }
    }

    /// An update after every `interval` steps of an epoch.
    pub fn every_steps(interval: u32, epochs: u32) -> Self {
        Self { every: Window::Steps(interval), ..Self::never(epochs) }
    }

    /// Epochs between two changes of the number of weights.
    fn interval(&self) -> u32 {
        match self.every {
            Window::Epochs(interval) => interval,
            Window::Steps(_) => 1,
        }
    }

    /// The epoch before which, or at which, the last update is at the latest.
    pub fn end(&self) -> f64 {
        self.until * f64::from(self.epochs)
    }

    /// Whether an update at `epoch` would come too late.
    fn is_over(&self, epoch: u32) -> bool {
        let (epoch, end) = (f64::from(epoch), self.end());
        if self.closed { epoch > end } else { epoch >= end }
    }

    /// The last epoch with an update, or with updates within it, of a layer that never freezes; 0 if there is
    /// none.
    pub fn last(&self) -> u32 {
        let Some(turns) = self.epochs.saturating_sub(1).checked_div(self.interval()) else { return 0 };
        (0..=turns).rev().map(|turn| turn * self.interval()).find(|epoch| !self.is_over(*epoch)).unwrap_or(0)
    }

    /// How far `epoch` lies on the way from the start to the end of updates, from 0 to 1.
    pub fn progress(&self, epoch: u32) -> f64 {
        (f64::from(epoch) / self.end()).min(1.0)
    }

    /// Whether a layer that is `frozen` then is updated at `(epoch, 0)`.
    pub fn updates(&self, epoch: u32, frozen: &Spans) -> bool {
        let is_due = match self.every {
            Window::Epochs(interval) => 0 < epoch && 0 < interval && epoch.is_multiple_of(interval),
            Window::Steps(_) => false,
        };
        // A layer that has just begun to train again has no gradient yet.
        is_due && self.allows(epoch, frozen) && !frozen.thaws_at(epoch)
    }

    /// Whether a layer that is `frozen` then is updated within `epoch`, after steps.
    pub fn updates_within(&self, epoch: u32, frozen: &Spans) -> bool {
        matches!(self.every, Window::Steps(1..)) && self.allows(epoch, frozen)
    }

    fn allows(&self, epoch: u32, frozen: &Spans) -> bool {
        epoch < self.epochs && !self.is_over(epoch) && !frozen.is_frozen(epoch)
    }

    /// Whether the update at `epoch`, or the mask from the start if it is 0, is the last one before the layer
    /// freezes, the updates end, or the run does.
    pub fn is_last(&self, epoch: u32, frozen: &Spans) -> bool {
        let Some(next) = epoch.checked_add(self.interval()) else { return true };
        let end = frozen.next_freeze(epoch).unwrap_or(self.epochs).min(self.epochs);
        let frozen_at_once = epoch == 0 && frozen.is_frozen(0);
        let stays = frozen_at_once || self.closed && frozen.latest(epoch).is_some();
        self.interval() == 0 || next >= end || self.is_over(next) || stays
    }

    /// The start of the mask in force during `epoch`: 0 or its latest update; of updates after steps the
    /// latest epoch that has some.
    pub fn in_force(&self, epoch: u32, frozen: &Spans) -> u32 {
        let Some(turns) = epoch.checked_div(self.interval()) else { return 0 };
        let updates = (1..=turns).rev().map(|turn| turn * self.interval());
        updates
            .into_iter()
            .find(|update| self.updates(*update, frozen) || self.updates_within(*update, frozen))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_pause_while_frozen_and_end_with_their_share_of_the_run() {
        let mut frozen = Spans::from(4);
        frozen.thaw(7);
        let schedule = Schedule { until: 0.75, ..Schedule::every(2, 20) };
        let updates: Vec<u32> = (0..20).filter(|epoch| schedule.updates(*epoch, &frozen)).collect();
        assert_eq!(updates, [2, 8, 10, 12, 14]);
        let last: Vec<u32> = updates.into_iter().filter(|epoch| schedule.is_last(*epoch, &frozen)).collect();
        assert_eq!(last, [2, 14]);
        let in_force: Vec<u32> = (0..10).map(|epoch| schedule.in_force(epoch, &frozen)).collect();
        assert_eq!(in_force, [0, 0, 2, 2, 2, 2, 2, 2, 8, 8]);
        let never = Schedule::never(20);
        assert!(never.is_last(0, &frozen) && (0..20).all(|epoch| !never.updates(epoch, &frozen)));
        assert_eq!(never.in_force(19, &frozen), 0);
    }
}
