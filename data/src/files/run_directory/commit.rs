//! Committing epoch by epoch.

use super::{CHECKPOINTS_KEPT, RunDirectory};
use crate::files::{Manifest, operation};
use crate::{Commit, CompleteEpoch, StorageError, are, counted};

impl Commit for RunDirectory {
    /// Epochs are committed one after the other, each once. The last [`CHECKPOINTS_KEPT`] checkpoints stay;
    /// earlier ones are removed once this one counts.
    fn commit_epoch(&self, complete: CompleteEpoch) -> Result<(), StorageError> {
        let CompleteEpoch { epoch, segments, checkpoint, ended_early } = complete;
        let refuse = |reason: String| {
            let path = self.path.display();
            Err(StorageError(format!("{path}: cannot commit epoch {}: {reason}", u64::from(epoch) + 1)))
        };
        let Manifest { epochs_reached: reached, epochs, .. } = *self.state();
        if epoch != reached || epoch >= epochs {
            let (epochs, are) = (counted(epochs, "epoch"), are(reached));
            return refuse(format!("{reached} of {epochs} {are} committed, in order"));
        }
        if let Some(segment) = segments.iter().find(|segment| segment.epoch != epoch) {
            return refuse(format!("{} is of epoch {}", segment.path, u64::from(segment.epoch) + 1));
        }
        if let Some(file) = checkpoint.iter().find(|file| file.epoch != epoch + 1) {
            return refuse(format!("{} is a checkpoint after epoch {}", file.path, file.epoch));
        }
        let mut dropped = Vec::new();
        self.change(|manifest| {
            manifest.epochs_reached = epoch + 1;
            // With its last epoch: a process that dies now has finished the run, no other goes on with it.
            manifest.finished |= ended_early.is_some();
            manifest.ended_early = ended_early;
            manifest.segments.extend(segments);
            manifest.segments.sort();
            if !checkpoint.is_empty() {
                // Nothing goes on after the last epoch: its weights are all that is wanted.
                let kept = if epoch + 1 == epochs { 1 } else { CHECKPOINTS_KEPT };
                manifest.checkpoints.extend(checkpoint);
                manifest.checkpoints.sort();
                let oldest = manifest.checkpoint_epochs().iter().rev().take(kept).min().copied();
                dropped = manifest.checkpoints.extract_if(.., |file| Some(file.epoch) < oldest).collect();
            }
        })?;
        // Named no more, so that it does no harm should they stay: the end of the run removes them.
        dropped.iter().for_each(|file| drop(operation::remove_file(&self.path.join(&file.path))));
        Ok(())
    }
}
