//! Whether the fields of a manifest can be true, as far as that can be said without other files.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{CHECKPOINT_LIMIT, Checkpoint, Manifest, ReplayOf};
use crate::files::checkpoint;
use crate::files::error::{DataError, Result};
use crate::files::parquet_file;
use crate::files::parquet_store::{is_stream_name, segment_path};
use crate::segment::Segment;

/// Rows of a segment: samples are numbered by `u32`, steps of an epoch as well.
const ROWS_LIMIT: u64 = 1 << 40;

/// Checks the fields; `path` is for messages.
pub(super) fn check(path: &Path, manifest: &Manifest) -> Result<()> {
    check_hash(path, || "data_set.fingerprint".to_owned(), &manifest.data_set.fingerprint)?;
    if let Some(hash) = &manifest.configuration {
        check_hash(path, || "configuration".to_owned(), hash)?;
    }
    let (reached, epochs) = (u64::from(manifest.epochs_reached), u64::from(manifest.epochs));
    DataError::limit(path, "epochs_reached", reached, epochs)?;
    if let Some(ReplayOf { manifest, .. }) = &manifest.replay_of {
        check_hash(path, || "replay_of.manifest".to_owned(), manifest)?;
    }
    let mut paths = BTreeSet::new();
    for (index, segment) in manifest.segments.iter().enumerate() {
        check_segment(path, |name| format!("segments[{index}].{name}"), segment, manifest.epochs_reached)?;
        if !paths.insert(&segment.path) {
            let (path, found) = (path.to_owned(), segment.path.clone());
            return Err(DataError::Twice { path, field: "segments", found });
        }
    }
    for (index, file) in manifest.checkpoints.iter().enumerate() {
        check_checkpoint(path, |name| format!("checkpoints[{index}].{name}"), file, manifest.epochs_reached)?;
        if !paths.insert(&file.path) {
            let (path, found) = (path.to_owned(), file.path.clone());
            return Err(DataError::Twice { path, field: "checkpoints", found });
        }
    }
    Ok(())
}

fn check_segment(path: &Path, field: impl Fn(&str) -> String, segment: &Segment, reached: u32) -> Result<()> {
    check_path(path, || field("path"), &segment.path)?;
    let expected = segment_path(&segment.stream, segment.epoch, segment.worker);
    if !is_stream_name(&segment.stream) || segment.path != expected {
        let (path, found) = (path.to_owned(), segment.path.clone());
        return Err(DataError::Value { path, field: field("path"), found, expected });
    }
    if segment.epoch >= reached {
        let expected = format!("an epoch below epochs_reached = {reached}");
        let (path, found) = (path.to_owned(), segment.epoch.to_string());
        return Err(DataError::Value { path, field: field("epoch"), found, expected });
    }
    DataError::limit(path, &field("rows"), segment.rows, ROWS_LIMIT)?;
    DataError::limit(path, &field("bytes"), segment.bytes, parquet_file::FILE_LIMIT)?;
    check_hash(path, || field("blake3"), &segment.blake3)
}

fn check_checkpoint(
    path: &Path,
    field: impl Fn(&str) -> String,
    file: &Checkpoint,
    reached: u32,
) -> Result<()> {
    check_path(path, || field("path"), &file.path)?;
    DataError::limit(path, &field("epoch"), u64::from(file.epoch), u64::from(reached))?;
    // A checkpoint that is dropped is removed: nothing else may be called one.
    if !checkpoint::is_path_of(file) {
        let expected = match file.rows {
            None => checkpoint::weights_path(file.epoch),
            Some(_) => checkpoint::table_path("<table>", file.epoch, 0),
        };
        let (path, found) = (path.to_owned(), file.path.clone());
        return Err(DataError::Value { path, field: field("path"), found, expected });
    }
    DataError::limit(path, &field("bytes"), file.bytes, CHECKPOINT_LIMIT)?;
    DataError::limit(path, &field("rows"), file.rows.unwrap_or(0), ROWS_LIMIT)?;
    check_hash(path, || field("blake3"), &file.blake3)
}

/// A path in a manifest stays within the run directory, on every operating system.
fn check_path(manifest: &Path, field: impl Fn() -> String, path: &str) -> Result<()> {
    let inside = !path.is_empty()
        && !path.contains(['\\', ':', '\0'])
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && PathBuf::from(path).components().all(|part| matches!(part, Component::Normal(_)));
    if inside {
        return Ok(());
    }
    Err(DataError::UnsafePath { path: manifest.to_owned(), field: field(), found: path.to_owned() })
}

fn check_hash(manifest: &Path, field: impl Fn() -> String, hash: &str) -> Result<()> {
    if hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(DataError::Value {
        path: manifest.to_owned(),
        field: field(),
        found: hash.to_owned(),
        expected: "64 lowercase hexadecimal digits".to_owned(),
    })
}
