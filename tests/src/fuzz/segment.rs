//! Segments of the trace, and the tables of checkpoints, which are the same format. The manifest names
//! whatever BLAKE3 the input has: it may be as hostile as the segment.

use std::path::Path;

use spfde_data::files::parquet_store::{ParquetStore, parse_columns};
use spfde_data::rows::{EpochRow, FreezeRow, MaskRow, MaskUpdateRow, ScoreRow, SimilarityRow};
use spfde_data::segment::SegmentStore;
use spfde_data::table::{Cells, Columns, Row};

use crate::segments::describe;

/// Reads it as any of five streams: together they have all types of columns.
pub(super) fn run(bytes: &[u8]) {
    read::<ScoreRow>(bytes);
    read::<MaskRow>(bytes);
    read::<FreezeRow>(bytes);
    read::<EpochRow>(bytes);
    read::<MaskUpdateRow>(bytes);
    read::<SimilarityRow>(bytes);
}

/// There are as many rows as the file declares, or an error.
fn read<R: Row>(bytes: &[u8]) {
    // Most inputs are no file of this stream; to find that out by its name is faster.
    if !bytes.windows(R::STREAM.len()).any(|window| window == R::STREAM.as_bytes()) {
        return;
    }
    let path = Path::new("segment.parquet");
    let Ok(segment) = describe(path, bytes, R::STREAM, 3) else { return };
    let Ok(reader) = parse_columns(path, bytes.to_vec(), &segment, &R::columns()) else { return };
    let mut rows = 0;
    for batch in reader {
        let Ok(batch) = batch else { return };
        assert!(batch.cells.iter().all(|cells| len(cells) == batch.rows), "columns are equally long");
        rows += batch.rows as u64;
    }
    assert_eq!(rows, segment.rows);
}

/// How many values a column has.
fn len(cells: &Cells) -> usize {
    match cells {
        Cells::Bool(values) => values.len(),
        Cells::I8(values) => values.len(),
        Cells::U16(values) => values.len(),
        Cells::U32(values) => values.len(),
        Cells::U64(values) => values.len(),
        Cells::F32(values) => values.len(),
        Cells::MaybeF32(values) => values.len(),
        Cells::MaybeU64(values) => values.len(),
        Cells::F64(values) => values.len(),
        Cells::Text(values) => values.len(),
    }
}

fn written<R: Row>(rows: Vec<R>) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ParquetStore::new(directory.path()).create(R::STREAM, &R::columns(), 3, 0).unwrap();
    writer.append(&Columns::from_rows(rows)).unwrap();
    let segment = writer.finish().unwrap();
    std::fs::read(directory.path().join(segment.path)).unwrap()
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let scores = |sample: u32| ScoreRow {
        epoch: 3,
        step: sample / 8,
        sample,
        loss: sample as f32 / 7.0,
        correct: sample.is_multiple_of(3),
        error_norm: 0.5,
        trained: true,
    };
    let masks = |index: u32| MaskRow {
        epoch: 3,
        step: 0,
        layer: 1,
        index: index * 3,
        diff: 1 - 2 * (index % 2) as i8,
    };
    let freezes =
        |layer: u16| FreezeRow { epoch: 3, step: 0, layer, diff: 1, reason: format!("reason {layer}") };
    let epochs = EpochRow {
        epoch: 3,
        train_loss: Some(0.5),
        train_accuracy: None,
        test_loss: Some(0.25),
        test_accuracy: None,
        learning_rate: 0.1,
        active_samples: 50,
        nonzero: 1000,
        frozen_layers: 1,
        forward_flops: 1 << 30,
        backward_flops: 1 << 31,
        observed_flops: 0,
        dense_flops: 1 << 35,
        activation_bytes: 4096,
        extra_flops: 0,
        seconds: None,
        cached_flops: None,
        validation_loss: None,
        validation_accuracy: None,
    };
    vec![
        ("scores", written((0..60).map(scores).collect())),
        ("masks", written((0..60).map(masks).collect())),
        ("freezes", written((0..6).map(freezes).collect())),
        ("epochs", written(vec![epochs])),
        ("none", written(Vec::<MaskRow>::new())),
    ]
}
