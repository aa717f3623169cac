//! What a process may do in the run directory: process 0 commits, all write their segments.

use std::path::Path;
use std::sync::Arc;

use spfde_data::files::DataError;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::ParquetStore;
use spfde_data::files::run_directory::{Member, RunDirectory};
use spfde_data::segment::{Commit, Segment, StorageError};

use crate::checkpoint::CheckpointFiles;
use crate::error::Reached;

/// The run directory, as a process of the run has it.
pub(crate) enum Place {
    /// The process that holds it, and commits.
    Held(Arc<RunDirectory>),
    /// Another one, which only writes its own segments there.
    Joined(Arc<Member>),
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Held(directory) => directory.path(),
            Place::Joined(member) => member.run(),
        }
    }

    pub(crate) fn store(&self) -> ParquetStore {
        match self {
            Place::Held(directory) => directory.store(),
            Place::Joined(member) => member.store(),
        }
    }

    pub(crate) fn checkpoints(&self) -> CheckpointFiles {
        CheckpointFiles(match self {
            Place::Held(directory) => directory.checkpoints(),
            Place::Joined(member) => member.checkpoints(),
        })
    }

    pub(crate) fn commit(&self) -> Arc<dyn Commit> {
        match self {
            Place::Held(directory) => Arc::clone(directory) as Arc<dyn Commit>,
            Place::Joined(member) => Arc::new(Elsewhere { _member: Arc::clone(member) }),
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
        match self {
            Place::Held(directory) => directory.finish(stopped),
            Place::Joined(_) => Ok(()),
        }
    }
}

/// Commits nothing: worker 0 does that, which belongs to process 0. Holds the process's part in the run as
/// long as one of its workers may write there, be it one that is left behind.
struct Elsewhere {
    _member: Arc<Member>,
}

impl Commit for Elsewhere {
    fn commit(&self, _: u32, _: Vec<Segment>) -> Result<(), StorageError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_works_on_its_run_as_long_as_one_of_its_workers_may() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::Joined(Arc::new(Member::join(directory.path(), 1).unwrap()));
        let left_behind = place.commit();
        drop(place);
        let error = Member::join(directory.path(), 1).unwrap_err();
        assert!(matches!(error, DataError::Locked { .. }), "{error}");
        drop(left_behind);
        Member::join(directory.path(), 1).unwrap();
    }
}
