//! When a block is frozen: intervals of epochs, so that a block may thaw and freeze again.

/// The epochs during which a block is frozen, as intervals in ascending order that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<(u32, u32)>);

/// Where an interval ends that nothing ends.
const OPEN: u32 = u32::MAX;

impl Spans {
    /// Never frozen.
    pub const fn never() -> Self {
        Self(Vec::new())
    }

    /// Never frozen, for the classifier.
    pub(crate) const NONE: &'static Self = &Self::never();

    /// Frozen from the first step of `epoch` to the end of the run.
    pub fn from(epoch: u32) -> Self {
        Self(vec![(epoch, OPEN)])
    }

    /// As [`Spans::from`], or never.
    pub fn from_start(epoch: Option<u32>) -> Self {
        epoch.map_or_else(Self::never, Self::from)
    }

    /// The intervals: the first frozen epoch, and the first one that trains again, if one does.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Option<u32>)> + '_ {
        self.0.iter().map(|(from, until)| (*from, (*until != OPEN).then_some(*until)))
    }

    /// Freezes from `epoch` on.
    ///
    /// # Panics
    /// If it is frozen then, or an interval begins later.
    pub fn freeze(&mut self, epoch: u32) {
        assert!(self.0.last().is_none_or(|(_, until)| *until < epoch), "{self:?} freezes at {epoch}");
        self.0.push((epoch, OPEN));
    }

    /// Trains again from `epoch` on.
    ///
    /// # Panics
    /// If it is not frozen then.
    pub fn thaw(&mut self, epoch: u32) {
        let last = self.0.last_mut().filter(|(from, until)| *until == OPEN && *from < epoch);
        last.expect("only what is frozen thaws").1 = epoch;
    }

    /// The latest interval that began by `epoch`: its first epoch, and the one that trains again if that has
    /// come.
    pub fn latest(&self, epoch: u32) -> Option<(u32, Option<u32>)> {
        let (from, until) = self.0.iter().rfind(|(from, _)| *from <= epoch)?;
        Some((*from, (*until <= epoch).then_some(*until)))
    }

    /// Whether it is frozen during `epoch`.
    pub fn is_frozen(&self, epoch: u32) -> bool {
        self.since(epoch).is_some()
    }

    /// Since when it is frozen during `epoch`, if it is.
    pub fn since(&self, epoch: u32) -> Option<u32> {
        self.latest(epoch).and_then(|(from, until)| until.is_none().then_some(from))
    }

    /// Whether an interval begins at `epoch`.
    pub fn freezes_at(&self, epoch: u32) -> bool {
        self.0.iter().any(|(from, _)| *from == epoch)
    }

    /// Whether an interval ends at `epoch`.
    pub fn thaws_at(&self, epoch: u32) -> bool {
        self.0.iter().any(|(_, until)| *until == epoch && epoch != OPEN)
    }

    /// The first epoch after `epoch` at which it freezes, if there is one.
    pub fn next_freeze(&self, epoch: u32) -> Option<u32> {
        self.0.iter().map(|(from, _)| *from).find(|from| *from > epoch)
    }

    /// When its training ends for good, if an interval goes on to the end and is the only one: then its
    /// learning rate falls to 0 there. A block that trains again follows the schedule of one that never
    /// freezes.
    pub fn ends_at(&self) -> Option<u32> {
        match self.0[..] {
            [(from, OPEN)] => Some(from),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_frozen_within_its_intervals_only() {
        let mut spans = Spans::from(2);
        spans.thaw(5);
        spans.freeze(9);
        let frozen: Vec<u32> = (0..12).filter(|epoch| spans.is_frozen(*epoch)).collect();
        assert_eq!(frozen, [2, 3, 4, 9, 10, 11]);
        assert_eq!(spans.iter().collect::<Vec<_>>(), [(2, Some(5)), (9, None)]);
        assert_eq!((spans.since(4), spans.since(5), spans.since(30)), (Some(2), None, Some(9)));
        assert_eq!((spans.latest(1), spans.latest(4)), (None, Some((2, None))));
        assert_eq!((spans.latest(8), spans.latest(9)), (Some((2, Some(5))), Some((9, None))));
        assert_eq!((spans.next_freeze(2), spans.next_freeze(9)), (Some(9), None));
        assert!(spans.freezes_at(9) && spans.thaws_at(5) && !spans.thaws_at(9));
        assert_eq!(
            (spans.ends_at(), Spans::from(3).ends_at(), Spans::never().ends_at()),
            (None, Some(3), None)
        );
    }

    #[test]
    #[should_panic(expected = "freezes at 4")]
    fn a_block_cannot_freeze_twice() {
        Spans::from(2).freeze(4);
    }
}
