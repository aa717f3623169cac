//! Requests to end a run before its last epoch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::Cause;

/// Whether a run is to end after the step in flight, and why. All clones are of the same request.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    because: Arc<OnceLock<Cause>>,
}

impl Stop {
    /// The run ends when `asked` is set: it is interrupted then.
    pub fn when(asked: Arc<AtomicBool>) -> Self {
        Self { asked, ..Self::default() }
    }

    /// The run is to end for this reason; the first that is given counts, also before an interruption.
    pub fn because(&self, cause: Cause) {
        // The first reason counts.
        let _ = self.because.set(cause);
    }

    /// Why the run is to end, if it is.
    pub fn cause(&self) -> Option<Cause> {
        let asked = || self.asked.load(Ordering::Relaxed).then_some(Cause::Interrupted);
        self.because.get().cloned().or_else(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_stopped_by_whoever_asks_and_for_the_first_reason() {
        let asked = Arc::new(AtomicBool::new(false));
        let stop = Stop::when(Arc::clone(&asked));
        let seen = stop.clone();
        assert!(seen.cause().is_none());
        asked.store(true, Ordering::Relaxed);
        assert!(seen.cause() == Some(Cause::Interrupted));
        stop.because(Cause::Storage("a".into()));
        stop.because(Cause::Storage("b".into()));
        assert!(seen.cause() == Some(Cause::Storage("a".into())));
        let stop = Stop::default();
        stop.because(Cause::Storage("a".into()));
        assert!(stop.cause().is_some());
    }
}
