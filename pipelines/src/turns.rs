//! Whether a worker of this process is at one piece of work for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long one piece of work may take until that is said: longer than a worker that only waits sleeps.
const WHILE: Duration = Duration::from_secs(1);

/// How often each worker has looked what there is to do.
#[derive(Debug)]
pub(crate) struct Turns(Vec<AtomicU64>);

impl Turns {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| AtomicU64::new(0)).collect())
    }

    /// Worker `worker` looks what there is to do.
    pub(crate) fn take(&self, worker: usize) {
        self.0[worker].fetch_add(1, Ordering::Relaxed);
    }

    /// Worker `worker` has ended.
    pub(crate) fn end(&self, worker: usize) {
        self.0[worker].store(u64::MAX, Ordering::Relaxed);
    }
}

/// Watches turns.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Of each worker, how many turns it had taken when that was last seen to change, and when that was.
    workers: Vec<(u64, Instant)>,
    /// The worker that has been at one piece of work for longest, if one has for a while, and its turns.
    longest: Option<(usize, u64)>,
    /// How often that has changed.
    piece: u8,
}

impl Pace {
    /// Of so many workers, from `now` on.
    pub(crate) fn new(workers: usize, now: Instant) -> Self {
        Self { workers: vec![(0, now); workers], longest: None, piece: 0 }
    }

    /// If one of the workers has not looked for a while what there is to do: a number for the piece of work that it is at, which
    /// stays the same as long as that takes, and is another than that of the one before.
    pub(crate) fn piece(&mut self, turns: &Turns, now: Instant) -> Option<u8> {
        for ((seen, since), turns) in self.workers.iter_mut().zip(&turns.0) {
            let taken = turns.load(Ordering::Relaxed);
            if taken != *seen || taken == u64::MAX {
                (*seen, *since) = (taken, now);
            }
        }
        let at_work = self.workers.iter().enumerate();
        let at_work = at_work.filter(|(_, (_, since))| now.duration_since(*since) >= WHILE);
        let longest = at_work.min_by_key(|(_, (_, since))| *since).map(|(worker, (seen, _))| (worker, *seen));
        if longest.is_some() && longest != self.longest {
            self.piece = self.piece.wrapping_add(1);
        }
        self.longest = longest;
        longest.map(|_| self.piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_no_turns_is_at_work_until_it_ends() {
        let (turns, start) = (Turns::new(2), Instant::now());
        let mut pace = Pace::new(2, start);
        let mut at = |second: u64| pace.piece(&turns, start + Duration::from_secs(second));
        turns.take(0);
        turns.take(1);
        assert_eq!(at(0), None);
        turns.take(0);
        assert_eq!(at(1), Some(1));
        turns.take(1);
        assert_eq!(at(1), None);
        turns.take(1);
        assert_eq!((at(2), at(3), at(100)), (Some(2), Some(2), Some(2)));
        // The other has been at its piece for as long.
        turns.take(0);
        assert_eq!((at(101), at(200)), (Some(3), Some(3)));
        turns.end(0);
        assert_eq!(at(201), Some(3));
        turns.end(1);
        assert_eq!((at(202), at(300)), (None, None));
    }

    #[test]
    fn one_piece_of_work_after_the_other_is_not_one() {
        let (turns, start) = (Turns::new(1), Instant::now());
        let mut pace = Pace::new(1, start);
        let mut last = None;
        for second in 1..1000 {
            // As it is seen if a piece of 1.9 s follows the other, and nobody looks in between.
            let piece = pace.piece(&turns, start + Duration::from_secs(2 * second));
            assert!(piece != last && piece.is_some());
            last = piece;
            turns.take(0);
            assert_eq!(pace.piece(&turns, start + Duration::from_secs(2 * second)), None);
        }
    }
}
