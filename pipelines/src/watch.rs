//! A run directory that goes away while it is written: somebody removes it, or the lock that keeps others from it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use spfde_data::files::DataError;

/// How often somebody looks: a run without a directory ends after the step in flight, not after the epoch.
const LOOK: Duration = Duration::from_millis(250);

/// Looks after a run directory as long as the run is written.
pub(crate) struct Watch {
    /// Dropped, it ends the thread.
    end: Sender<()>,
    thread: Option<JoinHandle<Option<DataError>>>,
}

impl Watch {
    /// Looks from now on. What `look` finds wrong sets `stop`, but for what cannot be looked at: whoever writes next says so.
    pub(crate) fn begin(
        look: impl Fn() -> Result<(), DataError> + Send + 'static,
        stop: std::sync::Arc<AtomicBool>,
    ) -> Self {
        let (end, ended) = mpsc::channel();
        let watch = move || {
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if let Err(gone @ (DataError::RunGone { .. } | DataError::LockGone { .. })) = look() {
                    stop.store(true, Ordering::Relaxed);
                    return Some(gone);
                }
            }
            None
        };
        // Without a thread a run that goes away is noticed when an epoch is committed.
        let thread = std::thread::Builder::new().name("spfde:watch".to_owned()).spawn(watch).ok();
        Self { end, thread }
    }

    /// What was found wrong, if anything was. Nobody looks any more.
    pub(crate) fn end(self) -> Option<DataError> {
        drop(self.end);
        self.thread.and_then(|thread| thread.join().ok().flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// What comes of a run whose directory is looked at until `until` looks have been taken, each of which finds `found`.
    fn watched(found: fn() -> Result<(), DataError>, until: u32) -> (Option<DataError>, bool) {
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&looks);
        let look = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            found()
        };
        let watch = Watch::begin(look, Arc::clone(&stop));
        while looks.load(Ordering::Relaxed) < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        (watch.end(), stop.load(Ordering::Relaxed))
    }

    #[test]
    fn a_directory_that_goes_away_stops_the_run() {
        let gone = || Err(DataError::RunGone { path: PathBuf::from("run") });
        assert!(matches!(watched(gone, 1), (Some(DataError::RunGone { .. }), true)));
        let lock = || Err(DataError::LockGone { path: PathBuf::from("run/lock") });
        assert!(matches!(watched(lock, 1), (Some(DataError::LockGone { .. }), true)));
    }

    #[test]
    fn what_is_there_or_cannot_be_looked_at_does_not() {
        assert!(matches!(watched(|| Ok(()), 2), (None, false)));
        let unknown = || {
            let source = std::io::ErrorKind::PermissionDenied.into();
            Err(DataError::Io { path: PathBuf::from("run"), action: "look", source })
        };
        assert!(matches!(watched(unknown, 2), (None, false)));
    }
}
