//! What was committed reads back, batch by batch; what is damaged names its file and nothing else is read.

use super::*;
use crate::files::data_set;
use crate::files::parquet_store::ParquetStore;
use crate::images::Images;
use crate::rows::{MaskRow, ScoreRow};
use crate::segment::{Segment, SegmentStore};
use crate::table::{Columns, Record, Row};

const WORKERS: u32 = 2;
const ROWS: u32 = 20_000;

fn score(epoch: u32, sample: u32) -> ScoreRow {
    let (step, loss) = (sample / 128, sample as f32 / 7.0);
    ScoreRow { epoch, step, sample, loss, correct: sample.is_multiple_of(3), error_norm: 0.5, trained: true }
}

/// Two epochs of scores, written by two workers.
fn recorded() -> (tempfile::TempDir, Manifest) {
    let directory = tempfile::tempdir().unwrap();
    let images =
        Images { channels: 1, height: 1, width: 1, pixels: vec![1_u8, 2].into(), labels: vec![0, 1] };
    let mut manifest = Manifest::new(&data_set::assemble("tiny", 2, images.clone(), images), 2);
    let store = ParquetStore::new(directory.path());
    for (epoch, worker) in (0..2).flat_map(|epoch| (0..WORKERS).map(move |worker| (epoch, worker))) {
        let mut writer = store.create("scores", &ScoreRow::columns(), epoch, worker).unwrap();
        let rows = (0..ROWS).filter(|sample| sample % WORKERS == worker).map(|sample| score(epoch, sample));
        writer.append(&Columns::from_rows(rows)).unwrap();
        manifest.segments.push(writer.finish().unwrap());
    }
    manifest.epochs_reached = 2;
    (directory, manifest)
}

fn rows(trace: &RecordedTrace, epoch: u32) -> Result<Vec<ScoreRow>> {
    let mut rows = Vec::new();
    for segment in 0..trace.segments("scores", epoch) {
        for batch in trace.open("scores", &ScoreRow::columns(), epoch, segment)?.batches {
            let batch = batch?;
            assert!(batch.rows <= 8192, "a batch is small: {}", batch.rows);
            rows.extend(batch.into_rows::<ScoreRow>());
        }
    }
    rows.sort_by_key(Row::order);
    Ok(rows)
}

#[test]
fn every_epoch_reads_back_whoever_wrote_it() {
    let (directory, manifest) = recorded();
    let trace = RecordedTrace::new(directory.path(), &manifest, &["scores"]).unwrap();
    assert_eq!((trace.epochs(), trace.segments("scores", 1), trace.segments("scores", 2)), (2, 2, 0));
    for epoch in 0..2 {
        let expected: Vec<ScoreRow> = (0..ROWS).map(|sample| score(epoch, sample)).collect();
        assert!(rows(&trace, epoch).unwrap() == expected, "epoch {epoch}");
    }
}

#[test]
fn a_manifest_may_name_segments_in_any_order() {
    let (directory, mut manifest) = recorded();
    manifest.segments.reverse();
    manifest.write(directory.path()).unwrap();
    let manifest = Manifest::read(directory.path()).unwrap();
    let trace = RecordedTrace::new(directory.path(), &manifest, &["scores"]).unwrap();
    assert_eq!((0..3).map(|epoch| trace.segments("scores", epoch)).collect::<Vec<_>>(), [2, 2, 0]);
    assert_eq!(rows(&trace, 1).unwrap().len(), ROWS as usize);
}

#[test]
fn streams_and_epochs_that_were_not_recorded_are_named() {
    let (directory, mut manifest) = recorded();
    let new = |manifest: &Manifest, streams: &[&str]| {
        RecordedTrace::new(directory.path(), manifest, streams).map(drop).map_err(|error| error.to_string())
    };
    let missing = new(&manifest, &["scores", "gradients"]).unwrap_err();
    assert!(missing.contains("manifest.json: stream gradients was not recorded"), "{missing}");
    manifest.segments.retain(|segment| segment.epoch != 1);
    let missing = new(&manifest, &["scores"]).unwrap_err();
    assert!(missing.contains("stream scores has no segment of committed epoch 2"), "{missing}");
    // What no committed epoch needs may be missing.
    manifest.epochs_reached = 1;
    new(&manifest, &["scores"]).unwrap();
    manifest.epochs_reached = 0;
    new(&manifest, &["scores", "gradients"]).unwrap();
}

#[test]
fn damaged_segments_are_errors_that_name_the_file() {
    let (directory, manifest) = recorded();
    let trace = RecordedTrace::new(directory.path(), &manifest, &["scores"]).unwrap();
    let path = directory.path().join("trace/scores/e00001-w01.parquet");
    let whole = std::fs::read(&path).unwrap();
    let mut altered = whole.clone();
    altered[100] ^= 1;
    let truncated = whole[..whole.len() - 1].to_vec();
    for (bytes, message) in [
        (Some(altered), ": BLAKE3 is "),
        (Some(truncated), " bytes; expected "),
        (Some(Vec::new()), " bytes; expected "),
        (None, ": cannot open: "),
    ] {
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = rows(&trace, 1).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.contains(message), "{error}");
        assert_eq!(rows(&trace, 0).unwrap().len(), ROWS as usize, "other epochs are as they were");
    }
}

#[test]
fn rows_of_another_epoch_are_refused() {
    let (directory, mut manifest) = recorded();
    // A segment that says of itself that it is of epoch 1, with rows of epoch 0.
    let other = manifest.segments[0].clone();
    manifest.segments[2] = Segment { epoch: 1, ..other };
    let trace = RecordedTrace::new(directory.path(), &manifest, &["scores"]).unwrap();
    let error = rows(&trace, 1).unwrap_err().to_string();
    assert!(error.ends_with("row 0: epoch is 0; expected 1, that of the segment"), "{error}");
}

#[test]
fn other_columns_than_the_stream_has_are_refused() {
    let (directory, manifest) = recorded();
    let trace = RecordedTrace::new(directory.path(), &manifest, &["scores"]).unwrap();
    let Err(error) = trace.open("scores", &MaskRow::columns(), 0, 0) else { panic!("scores have no layers") };
    assert!(error.to_string().contains("has no column layer"), "{error}");
}
