//! Whether the fields of a manifest can be true, as far as that can be said without other files.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use spfde_parquet_guard::FILE_LIMIT;

use super::{CHECKPOINT_LIMIT, Checkpoint, Manifest, ReplayOf};
use crate::files::error::{DataError, Result};
use crate::files::layout::{is_path_of, is_stream_name, segment_path, table_path, weights_path};
use crate::segment::Segment;

/// Rows of a segment: samples are numbered by `u32`, steps of an epoch as well.
const ROWS_LIMIT: u64 = 1 << 40;

/// Checks the fields; `path` is for messages.
pub(super) fn check(path: &Path, manifest: &Manifest) -> Result<()> {
    let replayed = manifest.replay_of.as_ref().map(|ReplayOf { manifest, .. }| manifest);
    let hashes = [
        ("data_set.fingerprint", Some(&manifest.data_set.fingerprint)),
        ("configuration", manifest.configuration.as_ref()),
        ("architecture", manifest.architecture.as_ref()),
        ("replay_of.manifest", replayed),
    ];
    for (field, hash) in hashes {
        hash.map_or(Ok(()), |hash| check_hash(path, field, hash))?;
    }
    let (reached, epochs) = (u64::from(manifest.epochs_reached), u64::from(manifest.epochs));
    DataError::limit(path, "epochs_reached", reached, epochs)?;
    if let Some(reason) = manifest.ended_early.as_ref().filter(|_| !manifest.finished) {
        return Err(DataError::value(path, "ended_early", reason, "nothing, of a run that is not finished"));
    }
    let mut paths = BTreeSet::new();
    for (index, segment) in manifest.segments.iter().enumerate() {
        check_segment(path, |name| format!("segments[{index}].{name}"), segment, manifest.epochs_reached)?;
        check_once(path, "segments", &segment.path, &mut paths)?;
    }
    for (index, file) in manifest.checkpoints.iter().enumerate() {
        check_checkpoint(path, |name| format!("checkpoints[{index}].{name}"), file, manifest.epochs_reached)?;
        check_once(path, "checkpoints", &file.path, &mut paths)?;
    }
    Ok(())
}

/// Every file is named once.
fn check_once<'a>(path: &Path, field: &str, file: &'a str, paths: &mut BTreeSet<&'a str>) -> Result<()> {
    if paths.insert(file) {
        return Ok(());
    }
    let remedy = "the manifest was changed or is damaged";
    Err(DataError::refused(path, format!("{field} names {file} twice"), remedy))
}

fn check_segment(path: &Path, field: impl Fn(&str) -> String, segment: &Segment, reached: u32) -> Result<()> {
    check_path(path, field("path"), &segment.path)?;
    let expected = segment_path(&segment.stream, segment.epoch, segment.worker);
    if !is_stream_name(&segment.stream) || segment.path != expected {
        return Err(DataError::value(path, field("path"), &segment.path, expected));
    }
    if segment.epoch >= reached {
        let expected = format!("an epoch below epochs_reached = {reached}");
        return Err(DataError::value(path, field("epoch"), &segment.epoch.to_string(), expected));
    }
    DataError::limit(path, &field("rows"), segment.rows, ROWS_LIMIT)?;
    DataError::limit(path, &field("bytes"), segment.bytes, FILE_LIMIT)?;
    check_hash(path, field("blake3"), &segment.blake3)
}

fn check_checkpoint(
    path: &Path,
    field: impl Fn(&str) -> String,
    file: &Checkpoint,
    reached: u32,
) -> Result<()> {
    check_path(path, field("path"), &file.path)?;
    DataError::limit(path, &field("epoch"), u64::from(file.epoch), u64::from(reached))?;
    // A checkpoint that is dropped is removed: nothing else may be called one.
    if !is_path_of(file) {
        let expected = match file.rows {
            None => weights_path(file.epoch),
            Some(_) => table_path("<table>", file.epoch, 0),
        };
        return Err(DataError::value(path, field("path"), &file.path, expected));
    }
    DataError::limit(path, &field("bytes"), file.bytes, CHECKPOINT_LIMIT)?;
    DataError::limit(path, &field("rows"), file.rows.unwrap_or(0), ROWS_LIMIT)?;
    check_hash(path, field("blake3"), &file.blake3)
}

/// A path in a manifest stays within the run directory, on every operating system.
fn check_path(manifest: &Path, field: String, path: &str) -> Result<()> {
    let inside = !path.is_empty()
        && !path.contains(['\\', ':', '\0'])
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && PathBuf::from(path).components().all(|part| matches!(part, Component::Normal(_)));
    if inside {
        return Ok(());
    }
    let remedy = "paths must be relative, without .. and with / between their parts";
    Err(DataError::unfit(manifest, field, format_args!("{path:?}"), "", remedy))
}

fn check_hash(manifest: &Path, field: impl Into<String>, hash: &str) -> Result<()> {
    if hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(DataError::value(manifest, field, hash, "64 lowercase hexadecimal digits"))
}
