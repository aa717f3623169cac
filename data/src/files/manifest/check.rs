//! Whether the fields of a manifest can be true, as far as that can be said without other files.

use std::collections::BTreeSet;
use std::path::Path;

use spfde_parquet_guard::FILE_LIMIT;

use super::{CHECKPOINT_LIMIT, Checkpoint, DataSetRecord, Manifest, ReplayOf};
use crate::files::layout::{
    BEST_PATH, CHECKPOINT, is_path_of, is_stream_name, path_below, segment_path, weights_path,
};
use crate::files::{DataError, Result};
use crate::{Normalization, Segment, counted};

/// Rows of a segment: samples are numbered by `u32`, steps of an epoch as well.
const ROWS_LIMIT: u64 = 1 << 40;

/// Checks the fields; `path` is for messages.
pub(super) fn check(path: &Path, manifest: &Manifest) -> Result<()> {
    let replayed = manifest.replay_of.as_ref().map(|ReplayOf { manifest, .. }| manifest);
    let start = manifest.started_from.as_ref();
    let hashes = [
        ("data_set.fingerprint", Some(&manifest.data_set.fingerprint)),
        ("configuration", manifest.configuration.as_ref()),
        ("architecture", manifest.architecture.as_ref()),
        ("replay_of.manifest", replayed),
        ("started_from.weights", start.map(|start| &start.weights)),
        ("started_from.manifest", start.and_then(|start| start.manifest.as_ref())),
    ];
    for (field, hash) in hashes {
        hash.map_or(Ok(()), |hash| check_hash(path, field, hash))?;
    }
    let wrong =
        |field: String, found: &str, expected: String| Err(DataError::value(path, field, found, expected));
    if let Some(Normalization { scale, shift }) = &manifest.data_set.normalization {
        let DataSetRecord { channels, height, width, .. } = manifest.data_set;
        // A table has one channel, and may have a number for each column.
        let counts = [channels, if (channels, height) == (1, 1) { width } else { channels }];
        let fits =
            |list: &[f32]| counts.contains(&list.len()) && list.iter().all(|number| number.is_finite());
        let mut lists = [("scale", scale), ("shift", shift)].into_iter();
        if let Some((name, list)) = lists.find(|(_, list)| !fits(list)) {
            let found = format!("{list:?}");
            let expected = format!("{}, one for each channel", counted(channels, "finite number"));
            return wrong(format!("data_set.normalization.{name}"), &found, expected);
        }
    }
    let (reached, epochs) = (u64::from(manifest.epochs_reached), u64::from(manifest.epochs));
    DataError::limit(path, "epochs_reached", reached, epochs)?;
    if let Some(reason) = manifest.ended_early.as_ref().filter(|_| !manifest.finished) {
        let expected = "nothing, of a run that is not finished";
        return wrong("ended_early".to_owned(), reason, expected.to_owned());
    }
    for (index, segment) in manifest.segments.iter().enumerate() {
        let Segment { stream, epoch, worker, path: file, rows, bytes, blake3 } = segment;
        let field = |name: &str| format!("segments[{index}].{name}");
        // The paths are those of the program's own making, so that none leads out of the run directory.
        if !is_stream_name(stream) {
            return wrong(field("stream"), stream, "lowercase letters, digits, _ and -".to_owned());
        }
        let expected = segment_path(stream, *epoch, *worker);
        if *file != expected {
            return wrong(field("path"), file, expected);
        }
        if *epoch >= manifest.epochs_reached {
            let expected = format!("an epoch below epochs_reached = {reached}");
            return wrong(field("epoch"), &epoch.to_string(), expected);
        }
        DataError::limit(path, &field("bytes"), *bytes, FILE_LIMIT)?;
        check_file(path, field, *rows, blake3)?;
    }
    for (index, checkpoint) in manifest.checkpoints.iter().enumerate() {
        let Checkpoint { epoch, path: file, bytes, blake3, rows } = checkpoint;
        let field = |name: &str| format!("checkpoints[{index}].{name}");
        DataError::limit(path, &field("epoch"), u64::from(*epoch), reached)?;
        // A checkpoint that is dropped is removed: nothing else may be called one.
        if !is_path_of(checkpoint) {
            let expected = match rows {
                None => weights_path(*epoch),
                Some(_) => path_below(CHECKPOINT, "<table>", *epoch, 0),
            };
            return wrong(field("path"), file, expected);
        }
        DataError::limit(path, &field("bytes"), *bytes, CHECKPOINT_LIMIT)?;
        check_file(path, field, rows.unwrap_or(0), blake3)?;
    }
    for (index, file) in manifest.best.iter().enumerate() {
        let field = |name: &str| format!("best[{index}].{name}");
        DataError::limit(path, &field("epoch"), u64::from(file.epoch), reached)?;
        let expected = weights_path(file.epoch);
        if file.rows.is_some() || ![&*expected, BEST_PATH].contains(&&*file.path) {
            return wrong(field("path"), &file.path, format!("{expected} or {BEST_PATH}"));
        }
        if index > 0 && manifest.best[index - 1].epoch >= file.epoch {
            return wrong(field("epoch"), &file.epoch.to_string(), "epochs that rise".to_owned());
        }
        DataError::limit(path, &field("bytes"), file.bytes, CHECKPOINT_LIMIT)?;
        check_file(path, field, 0, &file.blake3)?;
    }
    let segments = manifest.segments.iter().map(|segment| ("segments", &segment.path));
    let checkpoints = manifest.checkpoints.iter().map(|checkpoint| ("checkpoints", &checkpoint.path));
    let mut paths = BTreeSet::new();
    if let Some((list, file)) = segments.chain(checkpoints).find(|(_, file)| !paths.insert(*file)) {
        let remedy = "the manifest was changed or is damaged";
        return Err(DataError::refused(path, format!("{list} names {file} twice"), remedy));
    }
    Ok(())
}

fn check_file(path: &Path, field: impl Fn(&str) -> String, rows: u64, blake3: &str) -> Result<()> {
    DataError::limit(path, &field("rows"), rows, ROWS_LIMIT)?;
    check_hash(path, field("blake3"), blake3)
}

fn check_hash(manifest: &Path, field: impl Into<String>, hash: &str) -> Result<()> {
    if hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(DataError::value(manifest, field, hash, "64 lowercase hexadecimal digits"))
}
