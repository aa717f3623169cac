//! A run directory that goes away while it is written: somebody removes it, or the lock that keeps others from it.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use spfde_data::files::DataError;
use spfde_flow::{Cause, Stop};

/// How often somebody looks: a run without a directory ends after the step in flight, not after the epoch.
const LOOK: Duration = Duration::from_millis(250);

/// Looks after a run directory as long as the run is written.
pub(crate) struct Watch {
    /// Dropped, it ends the thread.
    end: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Looks from now on. What `look` finds wrong stops the run, but for what cannot be looked at: whoever writes next says so.
    pub(crate) fn begin(look: impl Fn() -> Result<(), DataError> + Send + 'static, stop: Stop) -> Self {
        let (end, ended) = mpsc::channel();
        let watch = move || {
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if let Err(gone @ (DataError::RunGone { .. } | DataError::LockGone { .. })) = look() {
                    stop.because(Cause::Storage(gone.to_string()));
                    return;
                }
            }
        };
        // Without a thread a run that goes away is noticed when an epoch is committed.
        let thread = std::thread::Builder::new().name("spfde:watch".to_owned()).spawn(watch).ok();
        Self { end, thread }
    }

    /// Nobody looks any more.
    pub(crate) fn end(self) {
        drop(self.end);
        self.thread.map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Why a run stops whose directory is looked at until `until` looks have been taken, each of which finds `found`.
    fn watched(found: fn() -> Result<(), DataError>, until: u32) -> Option<Cause> {
        let (stop, looks) = (Stop::default(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&looks);
        let look = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            found()
        };
        let watch = Watch::begin(look, stop.clone());
        while looks.load(Ordering::Relaxed) < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        watch.end();
        stop.cause()
    }

    #[test]
    fn a_directory_that_goes_away_stops_the_run() {
        let told = |cause: Option<Cause>, start: &str| match cause {
            Some(Cause::Storage(what)) => assert!(what.starts_with(start), "{what}"),
            other => panic!("{other:?}"),
        };
        told(
            watched(|| Err(DataError::RunGone { path: PathBuf::from("run") }), 1),
            "run: was removed, moved",
        );
        let lock = || Err(DataError::LockGone { path: PathBuf::from("run/lock") });
        told(watched(lock, 1), "run/lock: was removed or replaced");
    }

    #[test]
    fn what_is_there_or_cannot_be_looked_at_does_not() {
        assert_eq!(watched(|| Ok(()), 2), None);
        let unknown = || {
            let source = std::io::ErrorKind::PermissionDenied.into();
            Err(DataError::Io { path: PathBuf::from("run"), action: "look", source })
        };
        assert_eq!(watched(unknown, 2), None);
    }
}
