//! What a process may do in the run directory: process 0 commits, all write their segments.

use std::path::Path;
use std::sync::Arc;

use spfde_data::files::run_directory::Member;
use spfde_data::files::{DataError, Manifest, RunDirectory};
use spfde_data::{Commit, CompleteEpoch, StorageError};

use crate::Reached;

/// The run directory, as a process of the run has it. It is held as long as a worker may write there, be it
/// one that is left behind: each has it to commit.
pub(crate) enum Place {
    /// The process that holds it, and commits.
    Held(Arc<RunDirectory>),
    /// Another one, which only writes its own segments there.
    Joined(Member),
}

impl Place {
    /// The run directory, if this process holds it: whatever concerns the whole run is then for it to do.
    pub(crate) fn held(&self) -> Option<&RunDirectory> {
        if let Place::Held(directory) = self { Some(directory) } else { None }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Held(directory) => directory.path(),
            Place::Joined(member) => member.run(),
        }
    }

    /// How far the run has come, and the epoch of its last checkpoint; `None` if this process cannot tell. In
    /// a shared file system a process that has joined may see it late.
    pub(crate) fn reached(&self) -> Option<Reached> {
        let manifest = match self {
            Place::Held(directory) => directory.manifest(),
            Place::Joined(member) => Manifest::read(member.run()).ok()?,
        };
        Some(Reached { epochs: manifest.epochs_reached, checkpoint: manifest.last_checkpoint() })
    }

    /// Ends the work on the run; the manifest is process 0's.
    pub(crate) fn finish(&self, stopped: Option<String>) -> Result<(), DataError> {
        self.held().map_or(Ok(()), |directory| directory.finish(stopped))
    }
}

/// Worker 0 commits, which belongs to process 0; the others have nothing to commit.
impl Commit for Place {
    fn commit_epoch(&self, complete: CompleteEpoch) -> Result<(), StorageError> {
        self.held().map_or(Ok(()), |directory| directory.commit_epoch(complete))
    }
}

#[cfg(test)]
mod tests {
    use spfde_data::files::Kind;

    use super::*;

    #[test]
    fn a_process_works_on_its_run_as_long_as_one_of_its_workers_may() {
        let directory = tempfile::tempdir().unwrap();
        let place = Arc::new(Place::Joined(Member::join(directory.path(), 1).unwrap()));
        let left_behind = Arc::clone(&place) as Arc<dyn Commit>;
        drop(place);
        let error = Member::join(directory.path(), 1).unwrap_err();
        assert!(error.is(Kind::Locked), "{error}");
        drop(left_behind);
        Member::join(directory.path(), 1).unwrap();
    }
}
