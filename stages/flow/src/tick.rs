//! The timestamp of the dataflow, and how far an edge moves it.
//!
//! A decision that a stage takes once it has seen all of epoch `e` leaves at `(e, MAX)`, the close of the
//! epoch. A feedback edge of one epoch ([`Lag::EPOCH`]) carries it to `(e + 1, 0)`: it takes effect at the
//! first step of the next epoch by construction. An edge of a few steps ([`Lag::steps`]) carries stops and
//! faults.

use differential_dataflow::lattice::Lattice;
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::order::{PartialOrder, TotalOrder};
use timely::progress::timestamp::{PathSummary, Refines, Timestamp};

/// A stream of the graph: data, each at its tick.
pub type Flow<'s, D> = StreamVec<'s, Tick, D>;

/// A moment of training: step `step` of epoch `epoch`, both from 0, ordered by epoch, then step.
#[derive(Copy, Clone, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tick {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Step within the epoch, from 0; `u32::MAX` is the close of the epoch.
    pub step: u32,
}

impl Tick {
    /// Step `step` of epoch `epoch`.
    pub const fn new(epoch: u32, step: u32) -> Self {
        Self { epoch, step }
    }

    /// The last moment of `epoch`: here live the decisions that look at all of it.
    pub const fn close_of(epoch: u32) -> Self {
        Self { epoch, step: u32::MAX }
    }
}

/// For people: an epoch, and a step unless it is the close of the epoch, both counted from 1.
impl std::fmt::Display for Tick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {}", u64::from(self.epoch) + 1)?;
        if self.step == u32::MAX { Ok(()) } else { write!(f, ", step {}", self.step + 1) }
    }
}

impl PartialOrder for Tick {
    fn less_equal(&self, other: &Self) -> bool {
        self <= other
    }
}

impl TotalOrder for Tick {}

/// How far an edge advances a [`Tick`]: to step `steps` of the epoch `epochs` later, or, with `epochs` 0, by
/// `steps` steps.
///
/// Steps that would pass the close of an epoch go on in the next one: `(e, MAX)` plus `k` steps is
/// `(e + 1, k − 1)`, so no record is ever dropped.
#[derive(Copy, Clone, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lag {
    /// Whole epochs; above 0 the step starts anew at `steps`.
    pub epochs: u32,
    /// Steps.
    pub steps: u32,
}

impl Lag {
    /// To the first step of the next epoch.
    pub const EPOCH: Lag = Lag { epochs: 1, steps: 0 };

    /// To the first step of the epoch that is `epochs` later.
    pub const fn epochs(epochs: u32) -> Self {
        Self { epochs, steps: 0 }
    }

    /// By `steps` steps.
    pub const fn steps(steps: u32) -> Self {
        Self { epochs: 0, steps }
    }
}

/// `a ≤ b` where no tick is moved further by `a` than by `b`. Some lags are incomparable: two steps move the
/// close of an epoch further than one epoch does, and every other tick less far.
impl PartialOrder for Lag {
    fn less_equal(&self, other: &Self) -> bool {
        match other.epochs.checked_sub(self.epochs) {
            None => false,
            Some(0) => self.steps <= other.steps,
            // A lag of steps crosses the close of at most one epoch, and lands there at step `steps − 1` at
            // most.
            Some(1) if self.epochs == 0 => self.steps.saturating_sub(1) <= other.steps,
            Some(_) => true,
        }
    }
}

impl PathSummary<Tick> for Lag {
    fn results_in(&self, tick: &Tick) -> Option<Tick> {
        if self.epochs > 0 {
            return Some(Tick::new(tick.epoch.checked_add(self.epochs)?, self.steps));
        }
        match tick.step.checked_add(self.steps) {
            Some(step) => Some(Tick::new(tick.epoch, step)),
            None => Some(Tick::new(tick.epoch.checked_add(1)?, tick.step.wrapping_add(self.steps))),
        }
    }

    // At the close of an epoch this may promise less than the two edges one after the other do, never more.
    fn followed_by(&self, other: &Self) -> Option<Self> {
        if other.epochs > 0 {
            Some(Self { epochs: self.epochs.checked_add(other.epochs)?, steps: other.steps })
        } else {
            Some(Self { epochs: self.epochs, steps: self.steps.saturating_add(other.steps) })
        }
    }
}

impl Timestamp for Tick {
    type Summary = Lag;
    fn minimum() -> Self {
        Self::new(0, 0)
    }
}

impl Refines<()> for Tick {
    fn to_inner((): ()) -> Self {
        Self::minimum()
    }
    fn to_outer(self) {}
    fn summarize(_: Lag) {}
}

impl Lattice for Tick {
    fn join(&self, other: &Self) -> Self {
        *self.max(other)
    }
    fn meet(&self, other: &Self) -> Self {
        *self.min(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = u32::MAX;

    fn ticks() -> Vec<Tick> {
        let steps = [0, 1, 2, 7, MAX - 2, MAX - 1, MAX];
        (0..3).flat_map(|epoch| steps.map(|step| Tick::new(epoch, step))).collect()
    }

    fn lags() -> Vec<Lag> {
        let steps = [0, 1, 2, 3, 7, MAX - 1, MAX];
        (0..4).flat_map(|epochs| steps.map(|steps| Lag { epochs, steps })).collect()
    }

    #[test]
    fn a_decision_at_the_close_of_an_epoch_takes_effect_at_the_next_one() {
        assert_eq!(Lag::EPOCH.results_in(&Tick::close_of(4)), Some(Tick::new(5, 0)));
        assert_eq!(Lag::steps(3).results_in(&Tick::close_of(4)), Some(Tick::new(5, 2)));
        assert_eq!(Lag::steps(3).results_in(&Tick::new(4, 9)), Some(Tick::new(4, 12)));
    }

    #[test]
    fn the_default_lag_moves_nothing_and_every_lag_is_monotone() {
        for tick in ticks() {
            assert_eq!(Lag::default().results_in(&tick), Some(tick));
            for lag in lags() {
                assert!(lag.results_in(&tick) >= Some(tick));
                for later in ticks().into_iter().filter(|later| *later >= tick) {
                    assert!(lag.results_in(&tick) <= lag.results_in(&later), "{lag:?} {tick:?} {later:?}");
                }
            }
        }
    }

    #[test]
    fn a_smaller_lag_moves_every_tick_less_far_and_only_then_is_smaller() {
        for (a, b) in lags().into_iter().flat_map(|a| lags().into_iter().map(move |b| (a, b))) {
            let never_further = ticks().iter().all(|tick| a.results_in(tick) <= b.results_in(tick));
            assert_eq!(a.less_equal(&b), never_further, "{a:?} {b:?}");
        }
    }

    #[test]
    fn two_edges_promise_no_more_than_they_keep() {
        for (a, b) in lags().into_iter().flat_map(|a| lags().into_iter().map(move |b| (a, b))) {
            let both = a.followed_by(&b).unwrap();
            for tick in ticks() {
                let kept = a.results_in(&tick).and_then(|tick| b.results_in(&tick)).unwrap();
                assert!(both.results_in(&tick).unwrap() <= kept, "{a:?} {b:?} {tick:?}");
                // Away from the close of an epoch the promise is exact.
                if tick.step < 8 && a.steps < 8 && b.steps < 8 {
                    assert_eq!(both.results_in(&tick), Some(kept));
                }
            }
        }
    }

    #[test]
    fn joins_and_meets_are_the_later_and_the_earlier() {
        let (early, late) = (Tick::new(1, MAX), Tick::new(2, 0));
        assert_eq!((early.join(&late), early.meet(&late)), (late, early));
        assert!(early.less_equal(&late) && !late.less_equal(&early));
    }
}
