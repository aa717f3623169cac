//! How far a run has come, of what is sound.

use std::path::Path;

use spfde_data::files::{DataError, Manifest, RecordedRun, checkpoint, verify};
use spfde_flow::Snapshot;

use crate::checkpoint::read;
use crate::{Error, Experiment, Result};

/// What to do where files of a run that are needed are not what they were.
const LOST: &str =
    "restore what is damaged from a copy, or start another run with the config.toml of this one";

/// Where a run can go on.
pub(super) enum Latest {
    /// All epochs are committed and the final weights are there: only the last word is missing.
    Finished,
    Beginning,
    Snapshot(Box<Snapshot>),
}

/// Whether the run in `directory` has come to its end, although `manifest` does not say so.
pub(super) fn is_at_its_end(directory: &Path, manifest: &Manifest) -> bool {
    let last = manifest.last_checkpoint() == Some(manifest.epochs);
    last && checkpoint::check(directory, manifest, manifest.epochs).is_ok()
}

/// Reads the latest checkpoint that is sound; notes those that are not.
pub(super) fn latest(
    directory: &Path,
    manifest: &Manifest,
    experiment: &Experiment,
    notes: &mut Vec<String>,
) -> Result<Latest> {
    let mut reasons = Vec::new();
    for epoch in manifest.checkpoint_epochs().into_iter().rev() {
        let read = match epoch == manifest.epochs {
            true => checkpoint::check(directory, manifest, epoch).map(|()| Latest::Finished),
            false => read(directory, manifest, epoch, experiment.settings())
                .map(|snapshot| Latest::Snapshot(Box::new(snapshot))),
        };
        match read {
            Ok(latest) => return Ok(latest),
            Err(error) => {
                notes.push(format!("the checkpoint after epoch {epoch} cannot be used: {error}"));
                reasons.push(error.to_string());
            }
        }
    }
    if reasons.is_empty() {
        return Ok(Latest::Beginning);
    }
    // To train everything again is not what the user asked for.
    let what = format!("none of its checkpoints can be used: {}", reasons.join("; "));
    Err(DataError::refused(directory, what, LOST).into())
}

/// That every file of a run that has come to its end is what it was.
pub(super) fn check_finished(directory: &Path, run: &RecordedRun) -> Result<()> {
    let findings = crate::verify::files(run);
    let Some(first) = findings.first() else { return Ok(()) };
    Err(Error::finished_unsound(directory, findings.len(), &first.to_string()))
}

/// That the trace before `start`, which is kept, is sound.
pub(super) fn check_trace(directory: &Path, mut kept: Manifest, start: u32) -> Result<()> {
    kept.epochs_reached = start;
    kept.segments.retain(|segment| segment.epoch < start);
    kept.checkpoints.clear();
    verify::segments(directory, &kept).first().map_or(Ok(()), |reason| {
        let what = format!("its trace cannot be used: {reason}");
        Err(DataError::refused(directory, what, LOST).into())
    })
}
