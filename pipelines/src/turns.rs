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
pub(crate) struct Pace(Vec<(u64, Instant)>);

impl Pace {
    /// Of so many workers, from now on.
    pub(crate) fn new(workers: usize) -> Self {
        Self(vec![(0, Instant::now()); workers])
    }

    /// Whether one of the workers has not looked for a while what there is to do.
    pub(crate) fn is_working(&mut self, turns: &Turns) -> bool {
        let now = Instant::now();
        let mut working = false;
        for ((seen, since), turns) in self.0.iter_mut().zip(&turns.0) {
            let taken = turns.load(Ordering::Relaxed);
            if taken != *seen || taken == u64::MAX {
                (*seen, *since) = (taken, now);
            }
            working |= now.duration_since(*since) >= WHILE;
        }
        working
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_no_turns_is_at_work_until_it_ends() {
        let turns = Turns::new(2);
        let mut pace = Pace::new(2);
        turns.take(0);
        turns.take(1);
        assert!(!pace.is_working(&turns));
        // As if it had been a while ago.
        pace.0[1].1 = Instant::now().checked_sub(WHILE).unwrap();
        assert!(pace.is_working(&turns));
        turns.take(1);
        assert!(!pace.is_working(&turns));
        pace.0[0].1 = Instant::now().checked_sub(WHILE).unwrap();
        assert!(pace.is_working(&turns));
        turns.end(0);
        assert!(!pace.is_working(&turns));
    }
}
