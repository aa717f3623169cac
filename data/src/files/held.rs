//! A run directory that somebody holds, as those see it who write there.

use std::path::Path;
use std::sync::{Arc, Weak};

use super::atomic;
use super::error::Result;
use super::run_directory::RunLock;

/// Whether a run directory is still the one that this process holds. It does not hold it itself.
#[derive(Clone, Debug)]
pub(super) struct Held(Weak<RunLock>);

impl Held {
    /// By this lock.
    pub(super) fn by(lock: &Arc<RunLock>) -> Self {
        Self(Arc::downgrade(lock))
    }

    /// An error if it is another directory by now, or none, or nothing keeps others from it. Whoever lets go of it answers for
    /// those who still write.
    fn check(&self) -> Result<()> {
        self.0.upgrade().map_or(Ok(()), |lock| lock.still_there())
    }
}

/// Creates a directory below `run` for what is to be written there; `run` itself, too, unless it is held: then it has to be there.
pub(super) fn create_directory(held: Option<&Held>, run: &Path, directory: &Path) -> Result<()> {
    match held {
        None => atomic::create_directory(directory),
        Some(held) => held.check().and_then(|()| atomic::create_below(run, directory)),
    }
}
