//! Committing epoch by epoch.

use super::{CHECKPOINTS_KEPT, RunDirectory};
use crate::files::{Manifest, checkpoint, operation};
use crate::{Commit, CompleteEpoch, StorageError, are, counted};

impl Commit for RunDirectory {
    /// Epochs are committed one after the other, each once. The last [`CHECKPOINTS_KEPT`] checkpoints stay;
    /// earlier ones are removed once this one counts. With the
    /// last epoch the best weights get the name that they keep.
    fn commit_epoch(&self, complete: CompleteEpoch) -> Result<(), StorageError> {
        let CompleteEpoch { epoch, segments, checkpoint, best, ended_early, peak_memory_bytes } = complete;
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
        if let Some(file) = checkpoint.iter().chain(&best).find(|file| file.epoch != epoch + 1) {
            return refuse(format!("{} is a checkpoint after epoch {}", file.path, file.epoch));
        }
        let finishes = ended_early.is_some() || epoch + 1 == epochs;
        let mut best: Vec<_> = self.state().best.iter().cloned().chain(best).collect();
        if let Some(last) = best.last().filter(|_| finishes) {
            best = vec![checkpoint::copy_as_best(&self.path, last)?];
        }
        let before = self.manifest();
        self.change(|manifest| {
            manifest.epochs_reached = epoch + 1;
            manifest.peak_memory_bytes = manifest.peak_memory_bytes.max(peak_memory_bytes);
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
                manifest.checkpoints.retain(|file| Some(file.epoch) >= oldest);
            }
            // A run that has no checkpoint would begin again.
            let oldest = manifest.checkpoints.first().map_or(u32::MAX, |file| file.epoch);
            let first = best.iter().rposition(|file| file.epoch <= oldest).unwrap_or(0);
            manifest.best = best.split_off(first);
        })?;
        let now = self.manifest();
        let (before, now) = (before.files(), now.files());
        // Named no more, so that it does no harm should they stay: the end of the run removes them.
        before.difference(&now).for_each(|path| drop(operation::remove_file(&self.path.join(path))));
        Ok(())
    }
}
