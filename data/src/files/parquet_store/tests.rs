//! Sameness of bytes, and what is read in which order.

mod damage;
mod round_trips;
mod schemas;

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::files::manifest::{DataSetRecord, MANIFEST_VERSION, Manifest};
use crate::rows::{MaskRow, ScoreRow};
use crate::table::{Columns, Record, Row};

/// Writes rows in pieces of `piece` rows.
fn write<R: Row>(run: &Path, epoch: u32, worker: u32, rows: &[R], piece: usize) -> Segment {
    let mut writer = ParquetStore::new(run).create(R::STREAM, &R::columns(), epoch, worker).unwrap();
    for rows in rows.chunks(piece) {
        writer.append(&Columns::from_rows(rows.to_vec())).unwrap();
    }
    writer.finish().unwrap()
}

/// Reads a segment without its columns.
fn open(run: &Path, segment: &Segment) -> Result<(), DataError> {
    read_columns(run, segment, &[]).map(drop)
}

/// All rows of a segment.
fn read_segment<R: Row>(run: &Path, segment: &Segment) -> Result<Vec<R>, DataError> {
    let mut rows = Vec::new();
    for batch in read_columns(run, segment, &R::columns())? {
        rows.extend(batch?.into_rows::<R>());
    }
    Ok(rows)
}

/// The segment with the length and hash that its file has now.
fn rehashed(run: &Path, segment: &Segment) -> Segment {
    let bytes = std::fs::read(run.join(&segment.path)).unwrap();
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    Segment { bytes: bytes.len() as u64, blake3, ..segment.clone() }
}

fn scores(count: u32) -> Vec<ScoreRow> {
    let row = |i: u32| ScoreRow {
        epoch: 3,
        step: i / 128,
        sample: i.wrapping_mul(0x9E37_79B1),
        loss: i as f32 / 7.0,
        correct: i.is_multiple_of(3),
        error_norm: 1.0 / (i + 1) as f32,
        trained: true,
    };
    (0..count).map(row).collect()
}

#[test]
fn the_same_rows_give_the_same_bytes_however_they_are_appended() {
    let rows = scores(writer::GROUP_ROWS as u32 + 1000);
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let segments: Vec<Segment> = directories
        .iter()
        .zip([977, writer::GROUP_ROWS, rows.len()])
        .map(|(run, piece)| write(run.path(), 3, 0, &rows, piece))
        .collect();
    assert_eq!(segments[0], segments[1]);
    assert_eq!(segments[0], segments[2]);
    assert_eq!(segments[0].path, "trace/scores/e00003-w00.parquet");
    assert_eq!(read_segment::<ScoreRow>(directories[0].path(), &segments[0]).unwrap(), rows);
}

#[test]
fn rows_are_read_in_bounded_batches() {
    let run = tempfile::tempdir().unwrap();
    let rows = scores(20_000);
    let segment = write(run.path(), 3, 0, &rows, 20_000);
    let batches = read_columns(run.path(), &segment, &ScoreRow::columns()).unwrap();
    let sizes: Vec<usize> = batches.map(|batch| batch.unwrap().rows).collect();
    assert_eq!(sizes, [8192, 8192, 20_000 - 2 * 8192]);
}

#[test]
fn a_dropped_segment_leaves_no_file() {
    let run = tempfile::tempdir().unwrap();
    let mut writer = ParquetStore::new(run.path()).create("scores", &ScoreRow::columns(), 3, 0).unwrap();
    writer.append(&Columns::from_rows(scores(100_000))).unwrap();
    let directory = run.path().join("trace/scores");
    let names = |directory: &Path| {
        let entries = directory.read_dir().unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(&directory), ["e00003-w00.parquet.part"]);
    drop(writer);
    assert!(names(&directory).is_empty());
}

#[test]
fn a_row_of_another_epoch_is_refused() {
    let run = tempfile::tempdir().unwrap();
    let mut writer = ParquetStore::new(run.path()).create("scores", &ScoreRow::columns(), 3, 0).unwrap();
    let mut rows = scores(10);
    rows[4].epoch = 2;
    let error = writer.append(&Columns::from_rows(rows)).unwrap_err();
    let path = run.path().join("trace/scores/e00003-w00.parquet");
    let expected = format!("{}: row 4: epoch is 2; expected 3, that of the segment", path.display());
    assert_eq!(error.0, expected);
}

fn manifest(mut segments: Vec<Segment>) -> Manifest {
    segments.sort();
    let data_set = DataSetRecord {
        name: "test".to_owned(),
        train_rows: 1,
        test_rows: 1,
        channels: 1,
        height: 1,
        width: 1,
        classes: 1,
        fingerprint: "0".repeat(64),
        class_names: Vec::new(),
        column_names: Vec::new(),
        table: None,
        normalization: None,
    };
    Manifest {
        version: MANIFEST_VERSION,
        created_by: "test".to_owned(),
        data_set,
        configuration: None,
        settings: BTreeMap::new(),
        architecture: None,
        ended_early: None,
        sealed_environment: true,
        epochs: 9,
        epochs_reached: 9,
        finished: false,
        stopped: None,
        peak_memory_bytes: None,
        replay_of: None,
        started_from: None,
        segments,
        checkpoints: Vec::new(),
        best: Vec::new(),
    }
}

#[test]
fn a_stream_is_read_epoch_by_epoch_and_worker_by_worker() {
    let run = tempfile::tempdir().unwrap();
    let mut segments = Vec::new();
    for (epoch, worker) in [(5, 1), (2, 0), (5, 0), (3, 0), (8, 0)] {
        let rows: Vec<MaskRow> =
            (0..10).map(|index| MaskRow { epoch, step: worker, layer: 0, index, diff: 1 }).collect();
        segments.push(write(run.path(), epoch, worker, &rows, 4));
    }
    segments.push(write(run.path(), 3, 0, &scores(5), 5));
    let manifest = manifest(segments);
    let read = |epochs| {
        let rows = read_stream::<MaskRow>(run.path(), &manifest, epochs);
        rows.flat_map(|batch| batch.unwrap().into_rows::<MaskRow>()).collect::<Vec<_>>()
    };
    let places: Vec<_> = read(3..8).iter().map(|row| (row.epoch, row.step, row.index)).collect();
    let expected =
        [(3, 0), (5, 0), (5, 1)].map(|(epoch, step)| (0..10).map(move |index| (epoch, step, index)));
    assert_eq!(places, expected.into_iter().flatten().collect::<Vec<_>>());
    assert_eq!(read(0..2), []);
    std::fs::remove_file(run.path().join("trace/masks/e00005-w01.parquet")).unwrap();
    let results: Vec<bool> =
        read_stream::<MaskRow>(run.path(), &manifest, 3..8).map(|batch| batch.is_ok()).collect();
    assert_eq!(results, [true, true, false]);
}
