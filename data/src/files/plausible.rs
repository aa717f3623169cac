//! How much the numbers of a manifest may claim: whoever reads a run keeps something for every sample, and for every row of
//! an epoch that is in hand, and a few bytes of Parquet can stand for any number of rows.
//!
//! What is proportional to the bytes that are really there, or to what a run of this size has, is believed. So memory is
//! bounded by some hundred times the bytes of a run, beside what a small run takes.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{DataError, Result};
use super::manifest::{MANIFEST_NAME, Manifest};
use crate::rows::{CensoredRow, CostRow, EpochRow, LayerRow, ScoreRow, SieveRow};
use crate::segment::Segment;
use crate::table::Row;

/// Samples of a recorded run. A data set is held in memory, and has at most 4 GiB of pixels: 64 for each of so many images.
pub const SAMPLES_LIMIT: u64 = 1 << 26;

/// Samples for each byte of scores that were recorded. The order in which samples are presented is a draw, which nothing
/// compresses: in the files of a run a score takes nine bytes. So this leaves room for sieves that keep one sample in
/// hundreds.
const SAMPLES_PER_BYTE: u64 = 128;

/// Samples, or rows of an epoch, that cost too little memory to ask what there is of them.
const FEW: u64 = 1 << 20;

/// Rows for each byte of a segment. The densest rows of a run are the masks of layers of which almost all weights exist: four
/// or five a byte.
const ROWS_PER_BYTE: u64 = 256;

/// Rows of an epoch that belong to a layer each: layers are numbered by `u16`.
const LAYERS_LIMIT: u64 = 1 << 16;

/// Samples that scores of so many bytes can be about.
pub(super) fn samples_limit(bytes: u64) -> u64 {
    bytes.saturating_mul(SAMPLES_PER_BYTE).saturating_add(FEW)
}

/// Refuses a manifest that names more rows of an epoch than there can be: of scores and sieves about as many as samples, of
/// layers as many as they have numbers, one that sums the epoch up, of others by the bytes of their segments. Looks at no
/// file.
///
/// # Errors
/// If one of the numbers is above its limit.
pub fn rows(run: &Path, manifest: &Manifest) -> Result<()> {
    let samples = manifest.data_set.train_rows;
    limit(run, "data_set.train_rows", samples, SAMPLES_LIMIT)?;
    let mut epochs: BTreeMap<(&str, u32), (u64, u64)> = BTreeMap::new();
    for Segment { stream, epoch, rows, bytes, .. } in &manifest.segments {
        let (all, stored) = epochs.entry((stream, *epoch)).or_default();
        (*all, *stored) = (all.saturating_add(*rows), stored.saturating_add(*bytes));
    }
    for ((stream, epoch), (rows, bytes)) in epochs {
        let most = match stream {
            ScoreRow::STREAM | SieveRow::STREAM => samples.saturating_add(FEW),
            LayerRow::STREAM | CostRow::STREAM => LAYERS_LIMIT,
            EpochRow::STREAM | CensoredRow::STREAM => 1,
            _ => bytes.saturating_mul(ROWS_PER_BYTE).saturating_add(FEW),
        };
        limit(run, &format!("number of rows of stream {stream} in epoch {epoch}"), rows, most)?;
    }
    Ok(())
}

/// Refuses a manifest that names more samples than the recorded scores can be about; `stored` tells how many bytes of a
/// segment there are. Of a replay, and before the first epoch, there are no scores to ask.
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
    use crate::images::Images;

    /// A run of one sample and one epoch, with a segment of so many rows and bytes.
    fn manifest(stream: &str, rows: u64, bytes: u64) -> Manifest {
        let images = Images { channels: 1, height: 1, width: 1, pixels: vec![1], labels: vec![0] };
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
        // Two segments of the same epoch count together.
        assert_eq!(
            rows(run, &samples(FEW / 2 + 1)).unwrap_err().to_string(),
            "run/manifest.json: number of rows of stream scores in epoch 0 is 1048578, above the limit of 1048577; \
             the file is damaged or not meant for spfde"
        );
        assert!(rows(run, &manifest("layers", 1 << 15, 1 << 40)).is_ok());
        assert!(rows(run, &manifest("layers", (1 << 15) + 1, 1 << 40)).is_err());
        assert!(rows(run, &manifest("epochs", 0, 1 << 40)).is_ok());
        assert!(rows(run, &manifest("epochs", 1, 1 << 40)).is_err());
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
