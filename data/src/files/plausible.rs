//! How much the numbers of a manifest may claim: a replay keeps something for every sample, and for
//! every row of an epoch that is in hand, and a few bytes of Parquet can stand for any number of rows.
//!
//! What is proportional to the bytes that are really there, or to what a run of this size has, is believed.
//! So memory is bounded by some hundred times the bytes of a run, beside what a small run takes, and what a
//! replay claims of its samples: the numbers of all of them, in a row, take no room in its files.

use std::collections::BTreeMap;
use std::path::Path;

use super::{DataError, MANIFEST_NAME, Manifest, Result};
use crate::{CensoredRow, CostRow, EpochRow, LayerRow, Row, ScoreRow, Segment, SieveRow};

/// Samples of a recorded run. A data set is held in memory, and has at most 4 GiB of pixels: 64 for each of
/// so many images.
pub const SAMPLES_LIMIT: u64 = 1 << 26;

/// Samples for each byte of scores that were recorded. The order in which samples are presented is a draw,
/// which nothing compresses: in the files of a run a score takes nine bytes. So this leaves room for sieves
/// that keep one sample in hundreds.
const SAMPLES_PER_BYTE: u64 = 128;

/// Samples, or rows of a stream, that cost too little memory and time to ask what there is of them.
const FEW: u64 = 1 << 20;

/// Rows for each byte of the segments of a stream. The densest rows that a run records are the masks of
/// layers all of whose weights exist: their indices count up, so that little but the header of a page of 20
/// 000 rows is left of them, some forty rows a byte. (Of sieves a run records every sample once; what comes
/// later is a choice among them.)
const ROWS_PER_BYTE: u64 = 256;

/// Rows of an epoch that belong to a layer each: layers are numbered by `u16`.
const LAYERS_LIMIT: u64 = 1 << 16;

/// Rows for each byte of bare score files. The densest that common programs make of recorded scores has
/// 58: no losses, the samples in ascending order and written as their differences, all of them right, so
/// that headers of pages are what is left (pyarrow, Zstandard; 47 if one in a thousand is wrong; DuckDB 21).
/// In a drawn order a row takes four to five bytes, with losses eight. A replay keeps four bytes
/// of every row while its epoch is gathered, and up to sixty if each has a step of its own. (There are no
/// more samples than rows.)
const SCORE_ROWS_PER_BYTE: u64 = 128;

/// Rows that bare score files of so many bytes can have.
pub(super) fn score_rows_limit(bytes: u64) -> u64 {
    bytes.saturating_mul(SCORE_ROWS_PER_BYTE).saturating_add(FEW)
}

/// Bytes of the names that samples have in bare score files of so many bytes, each name once: those that
/// count up compress well.
pub(super) fn score_names_limit(bytes: u64) -> u64 {
    bytes.saturating_mul(64).saturating_add(64 << 20)
}

/// Samples that scores of so many bytes can be about.
fn samples_limit(bytes: u64) -> u64 {
    bytes.saturating_mul(SAMPLES_PER_BYTE).saturating_add(FEW)
}

/// Refuses a manifest that names more rows than there can be: in an epoch of scores about as many as samples,
/// of sieves twice as many, of layers as many as they have numbers, one that sums the epoch up; of every
/// stream by the bytes of its segments. Looks at no file.
///
/// # Errors
/// If one of the numbers is above its limit.
pub fn rows(run: &Path, manifest: &Manifest) -> Result<()> {
    let samples = manifest.data_set.train_rows;
    limit(run, "data_set.train_rows", samples, SAMPLES_LIMIT)?;
    // The rows of each epoch of a stream; the rows and the bytes of the whole stream.
    let mut epochs: BTreeMap<(&str, u32), u64> = BTreeMap::new();
    let mut streams: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for Segment { stream, epoch, rows, bytes, .. } in &manifest.segments {
        let of_epoch = epochs.entry((stream, *epoch)).or_default();
        *of_epoch = of_epoch.saturating_add(*rows);
        let of_stream = streams.entry(stream).or_default();
        *of_stream = (of_stream.0.saturating_add(*rows), of_stream.1.saturating_add(*bytes));
    }
    let is_replay = manifest.replay_of.is_some();
    for ((name, epoch), rows) in epochs {
        let most = match name {
            ScoreRow::STREAM => samples.saturating_add(FEW),
            // Where only the weight of a sample changes there are two.
            SieveRow::STREAM => samples.saturating_mul(2).saturating_add(FEW),
            LayerRow::STREAM => LAYERS_LIMIT,
            EpochRow::STREAM => 1,
            // In a run that trains, streams of the user may have these names.
            CostRow::STREAM if is_replay => LAYERS_LIMIT,
            CensoredRow::STREAM if is_replay => 1,
            _ => continue,
        };
        let field = format!("number of rows of stream {name} in epoch {}", u64::from(epoch) + 1);
        limit(run, &field, rows, most)?;
    }
    for (name, (rows, bytes)) in streams {
        let free = if name == SieveRow::STREAM { samples.saturating_add(FEW) } else { FEW };
        let most = bytes.saturating_mul(ROWS_PER_BYTE).saturating_add(free);
        limit(run, &format!("number of rows of stream {name}"), rows, most)?;
    }
    Ok(())
}

/// Refuses a manifest that names more samples than the recorded scores can be about; `stored` tells how many
/// bytes of a segment there are. Of a replay, and before the first epoch, there are no scores to ask.
///
/// # Errors
/// If there are too many samples; whatever `stored` finds.
pub fn samples(run: &Path, manifest: &Manifest, stored: impl Fn(&Segment) -> Result<u64>) -> Result<()> {
    if manifest.replay_of.is_some() || manifest.epochs_reached == 0 {
        return Ok(());
    }
    let samples = manifest.data_set.train_rows;
    let mut bytes: u64 = 0;
    for segment in manifest.segments.iter().filter(|segment| segment.stream == ScoreRow::STREAM) {
        if samples <= samples_limit(bytes) {
            break;
        }
        bytes = bytes.saturating_add(stored(segment)?);
    }
    limit(run, "data_set.train_rows", samples, samples_limit(bytes))
}

fn limit(run: &Path, field: &str, found: u64, limit: u64) -> Result<()> {
    DataError::limit(&run.join(MANIFEST_NAME), field, found, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::data_set;
    use crate::files::manifest::ReplayOf;
    use crate::images::Images;

    /// A run of one sample and one epoch, with a segment of so many rows and bytes.
    fn manifest(stream: &str, rows: u64, bytes: u64) -> Manifest {
        let images = Images { channels: 1, height: 1, width: 1, pixels: vec![1_u8].into(), labels: vec![0] };
        let mut manifest = Manifest::new(&data_set::assemble("tiny", 1, images.clone(), images), 1);
        manifest.epochs_reached = 1;
        let segment = |worker| Segment {
            stream: stream.to_owned(),
            epoch: 0,
            worker,
            path: format!("trace/{stream}/e00000-w{worker:02}.parquet"),
            rows,
            bytes,
            blake3: "ab".repeat(32),
        };
        manifest.segments = vec![segment(0), segment(1)];
        manifest
    }

    #[test]
    fn rows_are_limited_by_samples_layers_or_bytes() {
        let run = Path::new("run");
        let samples = |rows: u64| manifest("scores", rows, 1 << 40);
        assert!(rows(run, &samples(FEW / 2)).is_ok());
        assert!(rows(run, &manifest("sieves", FEW / 2, 0)).is_ok());
        // One sample, of which only the weight changes.
        assert!(rows(run, &manifest("sieves", FEW / 2 + 1, 1 << 40)).is_ok());
        assert!(rows(run, &manifest("sieves", FEW / 2 + 2, 1 << 40)).is_err());
        assert!(rows(run, &manifest("scores", FEW / 2 + 1, 0)).is_err());
        // Two segments of the same epoch count together.
        assert_eq!(
            rows(run, &samples(FEW / 2 + 1)).unwrap_err().to_string(),
            "run/manifest.json: number of rows of stream scores in epoch 1 is 1048578, above the limit of \
             1048577; \
             the file is damaged or not meant for spfde"
        );
        assert!(rows(run, &manifest("layers", 1 << 15, 1 << 40)).is_ok());
        assert!(rows(run, &manifest("layers", (1 << 15) + 1, 1 << 40)).is_err());
        assert!(rows(run, &manifest("epochs", 0, 1 << 40)).is_ok());
        assert!(rows(run, &manifest("epochs", 1, 1 << 40)).is_err());
        // A stream of the user, or one of a replay.
        assert!(rows(run, &manifest("censored", 1, 1)).is_ok());
        let mut replay = manifest("censored", 1, 1);
        let (path, manifest_blake3) = ("run".to_owned(), "ab".repeat(32));
        let densities = crate::segment::Densities::Recorded;
        replay.replay_of = Some(ReplayOf { path, manifest: manifest_blake3, epochs: 1, densities });
        assert!(rows(run, &replay).is_err());
        assert!(rows(run, &manifest("masks", FEW / 2 + 256 * 1000, 1000)).is_ok());
        assert!(rows(run, &manifest("masks", FEW / 2 + 256 * 1000 + 1, 1000)).is_err());
        assert!(rows(run, &manifest("masks", u64::MAX, u64::MAX)).is_ok());
        let many = |train_rows| {
            let mut manifest = manifest("sieves", 1, 1);
            manifest.data_set.train_rows = train_rows;
            rows(run, &manifest)
        };
        assert!(many(SAMPLES_LIMIT).is_ok());
        assert!(many(SAMPLES_LIMIT + 1).unwrap_err().to_string().contains("data_set.train_rows is 67108865"));
    }

    #[test]
    fn limits_of_scores_saturate() {
        assert_eq!(score_rows_limit(0), FEW);
        assert_eq!(score_rows_limit(1000), FEW + 128_000);
        assert_eq!((score_rows_limit(u64::MAX), samples_limit(u64::MAX)), (u64::MAX, u64::MAX));
    }

    #[test]
    fn samples_are_limited_by_the_bytes_of_scores() {
        let check = |samples, bytes, epochs_reached| {
            let mut manifest = manifest("scores", 1, bytes);
            (manifest.data_set.train_rows, manifest.epochs_reached) = (samples, epochs_reached);
            super::samples(Path::new("run"), &manifest, |segment| Ok(segment.bytes)).is_ok()
        };
        assert!(check(FEW, 0, 1));
        assert!(!check(FEW + 1, 0, 1));
        assert!(check(FEW + 2 * 128 * 1000, 1000, 1));
        assert!(!check(FEW + 2 * 128 * 1000 + 1, 1000, 1));
        // There is nothing to compare with yet.
        assert!(check(SAMPLES_LIMIT, 0, 0));
    }
}
