//! Round trips, sameness of bytes, and files that are not what they should be.

use std::path::Path;

use arrow::array::{Array, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::*;
use crate::files::manifest::{DataSetRecord, MANIFEST_VERSION, Manifest};
use crate::rows::{EpochRow, FreezeRow, GradientRow, LayerRow, MaskRow, ScoreRow, SieveRow, TimingRow};
use crate::table::{Columns, Row};

/// Writes rows in pieces of `piece` rows.
fn write<R: Row>(run: &Path, epoch: u32, worker: u32, rows: &[R], piece: usize) -> Segment {
    let mut writer = ParquetStore::new(run).create(R::STREAM, &R::columns(), epoch, worker).unwrap();
    for rows in rows.chunks(piece) {
        writer.append(&Columns::from_rows(rows.to_vec())).unwrap();
    }
    writer.finish().unwrap()
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

fn round_trip<R: Row + PartialEq + std::fmt::Debug>(rows: Vec<R>) -> Result<(), TestCaseError> {
    let run = tempfile::tempdir().unwrap();
    let segment = write(run.path(), 7, 1, &rows, 5);
    prop_assert_eq!(segment.rows, rows.len() as u64);
    prop_assert_eq!(&rehashed(run.path(), &segment), &segment);
    prop_assert_eq!(read_segment::<R>(run.path(), &segment).unwrap(), rows);
    let found = columns_of(run.path(), &segment).unwrap();
    let found: Vec<_> =
        found.iter().map(|column| (column.name.as_str(), column.kind, column.nullable)).collect();
    let columns: Vec<_> =
        R::columns().iter().map(|column| (column.name, column.kind, column.nullable)).collect();
    prop_assert_eq!(found, columns);
    Ok(())
}

/// A test that rows of any values come back as they were.
macro_rules! round_trips {
    ($($test:ident: $row:ident { $($field:ident: $value:expr),+ })+) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
            $(#[test]
            fn $test(rows in prop::collection::vec(
                ($($value,)+).prop_map(|($($field,)+)| $row { epoch: 7, $($field),+ }), 0..20))
            {
                round_trip(rows)?;
            })+
        }
    };
}

round_trips! {
    scores_round_trip: ScoreRow {
        step: any::<u32>(), sample: any::<u32>(), loss: any::<f32>(), correct: any::<bool>(),
        error_norm: any::<f32>(), trained: any::<bool>()
    }
    gradients_round_trip: GradientRow {
        step: any::<u32>(), layer: any::<u16>(), l2: any::<f32>(), l1: any::<f32>(), trained: any::<bool>()
    }
    masks_round_trip: MaskRow {
        step: any::<u32>(), layer: any::<u16>(), index: any::<u32>(), diff: any::<i8>()
    }
    freezes_round_trip: FreezeRow {
        step: any::<u32>(), layer: any::<u16>(), diff: any::<i8>(), reason: ".*"
    }
    sieves_round_trip: SieveRow {
        sample: any::<u32>(), diff: any::<i8>(), key: any::<u32>(), weight: any::<f32>()
    }
    timings_round_trip: TimingRow {
        worker: any::<u16>(), stage: ".*", seconds: any::<f64>(), calls: any::<u64>()
    }
    layers_round_trip: LayerRow {
        layer: any::<u16>(), name: ".*", weights: any::<u32>(), nonzero: any::<u32>(), frozen: any::<bool>(),
        gradient_sum_l1: any::<f64>(), gradient_sum_l2: any::<f64>(), weight_l2: any::<f64>(),
        weight_change_l1: any::<f64>()
    }
}

type Measured = (Option<f64>, Option<f64>, Option<f64>, Option<f64>, f64);

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn epochs_round_trip(rows in prop::collection::vec((any::<Measured>(), any::<[u64; 6]>(), any::<u32>(), any::<u16>()), 0..20)) {
        let row = |(measured, counts, active_samples, frozen_layers): &(Measured, [u64; 6], u32, u16)| EpochRow {
            epoch: 7,
            train_loss: measured.0,
            train_accuracy: measured.1,
            test_loss: measured.2,
            test_accuracy: measured.3,
            learning_rate: measured.4,
            active_samples: *active_samples,
            nonzero: counts[0],
            frozen_layers: *frozen_layers,
            forward_flops: counts[1],
            backward_flops: counts[2],
            observed_flops: counts[3],
            dense_flops: counts[4],
            activation_bytes: counts[5],
        };
        round_trip(rows.iter().map(row).collect())?;
    }
}

#[test]
fn floats_keep_every_bit() {
    let run = tempfile::tempdir().unwrap();
    let bits = [0x7FC0_0001, 0xFF80_0000, 0x8000_0000, 0x0000_0001, 0x7F80_0001];
    let row = |bits| ScoreRow { loss: f32::from_bits(bits), ..scores(1)[0].clone() };
    let segment = write(run.path(), 3, 0, &bits.map(row), 2);
    let read = read_segment::<ScoreRow>(run.path(), &segment).unwrap();
    assert_eq!(read.iter().map(|row| row.loss.to_bits()).collect::<Vec<_>>(), bits);
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
    assert_eq!(error.reason, "row 4: epoch is 2; the segment is that of epoch 3");
}

fn manifest(segments: Vec<Segment>) -> Manifest {
    let data_set = DataSetRecord {
        name: "test".to_owned(),
        train_rows: 1,
        test_rows: 1,
        channels: 1,
        height: 1,
        width: 1,
        classes: 1,
        fingerprint: "0".repeat(64),
    };
    Manifest {
        version: MANIFEST_VERSION,
        created_by: "test".to_owned(),
        data_set,
        configuration: None,
        epochs: 9,
        epochs_reached: 9,
        finished: false,
        stopped: None,
        replay_of: None,
        segments,
        checkpoints: Vec::new(),
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
    std::fs::remove_file(run.path().join(&manifest.segments[0].path)).unwrap();
    let results: Vec<bool> =
        read_stream::<MaskRow>(run.path(), &manifest, 3..8).map(|batch| batch.is_ok()).collect();
    assert_eq!(results, [true, true, false]);
}

crate::row! {
    /// Scores as a later version might have them.
    struct LaterScoreRow in "scores" by (epoch) {
        /// A column of today.
        epoch: u32,
        /// A new one.
        margin: f64,
        /// A column of today.
        sample: u32,
    }
}

crate::row! {
    /// What is asked of it.
    struct EarlierScoreRow in "scores" by (epoch) {
        /// A column.
        epoch: u32,
        /// A column.
        sample: u32,
    }
}

#[test]
fn columns_of_a_later_version_are_ignored() {
    let run = tempfile::tempdir().unwrap();
    let rows = [LaterScoreRow { epoch: 1, margin: 0.5, sample: 9 }];
    let segment = write(run.path(), 1, 0, &rows, 1);
    let read = read_segment::<EarlierScoreRow>(run.path(), &segment).unwrap();
    assert_eq!(read, [EarlierScoreRow { epoch: 1, sample: 9 }]);
}

#[test]
fn a_wrong_schema_is_named() {
    crate::row! {
        /// Another type for `sample`.
        struct OtherRow in "scores" by (epoch) {
            /// As it is.
            epoch: u32,
            /// Not u32.
            sample: u64,
        }
    }
    let run = tempfile::tempdir().unwrap();
    let segment = write(run.path(), 1, 0, &[EarlierScoreRow { epoch: 1, sample: 9 }], 1);
    let path = run.path().join(&segment.path).display().to_string();
    let message = |error: crate::files::DataError| error.to_string();
    assert_eq!(
        message(read_segment::<OtherRow>(run.path(), &segment).unwrap_err()),
        format!("{path}: column sample is of type UInt32; expected UInt64")
    );
    assert_eq!(
        message(read_segment::<LaterScoreRow>(run.path(), &segment).unwrap_err()),
        format!("{path}: has no column margin; expected one of type Float64")
    );
    let other = Segment { stream: "masks".to_owned(), ..segment.clone() };
    assert_eq!(
        message(columns_of(run.path(), &other).unwrap_err()),
        format!("{path}: spfde.stream is \"scores\"; expected masks")
    );
    let more = Segment { rows: 2, ..segment };
    assert_eq!(
        message(columns_of(run.path(), &more).unwrap_err()),
        format!("{path}: has 1 rows where 2 are recorded; the file was changed or is damaged")
    );
}

#[test]
fn a_later_schema_version_is_refused() {
    let run = tempfile::tempdir().unwrap();
    let segment = write(run.path(), 1, 0, &[EarlierScoreRow { epoch: 1, sample: 9 }], 1);
    let path = run.path().join(&segment.path);
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(14).position(|window| window == b"spfde.schema\x18\x01").unwrap() + 14;
    assert_eq!(bytes[place], b'1');
    bytes[place] = b'9';
    std::fs::write(&path, bytes).unwrap();
    let error = columns_of(run.path(), &rehashed(run.path(), &segment)).unwrap_err();
    let expected = "spfde.schema is 9, this program knows versions up to 1; use a newer spfde";
    assert_eq!(error.to_string(), format!("{}: {expected}", path.display()));
}

/// A segment file as another program might write it, with the keys given.
fn write_foreign(run: &Path, keys: &[(&str, &str)], array: arrow::array::ArrayRef) -> Segment {
    let fields = [("epoch", DataType::UInt32), ("sample", array.data_type().clone())];
    let fields = fields.map(|(name, kind)| Field::new(name, kind, true));
    let schema = std::sync::Arc::new(Schema::new(fields.to_vec()));
    let keys = keys.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned()));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(keys.collect())).build();
    let path = segment_path("scores", 1, 0);
    std::fs::create_dir_all(run.join(&path).parent().unwrap()).unwrap();
    let file = std::fs::File::create(run.join(&path)).unwrap();
    let mut writer = ArrowWriter::try_new(file, std::sync::Arc::clone(&schema), Some(properties)).unwrap();
    let epochs = std::sync::Arc::new(UInt32Array::from(vec![1; array.len()]));
    let rows = array.len() as u64;
    writer.write(&RecordBatch::try_new(schema, vec![epochs, array]).unwrap()).unwrap();
    writer.close().unwrap();
    let segment = Segment {
        stream: "scores".to_owned(),
        epoch: 1,
        worker: 0,
        path,
        rows,
        bytes: 0,
        blake3: String::new(),
    };
    rehashed(run, &segment)
}

#[test]
fn files_of_other_programs_are_read_if_they_fit_and_named_if_not() {
    let run = tempfile::tempdir().unwrap();
    let keys = [("spfde.schema", "1"), ("spfde.stream", "scores")];
    let numbers = |values: &[Option<u32>]| std::sync::Arc::new(UInt32Array::from(values.to_vec()));
    let segment = write_foreign(run.path(), &keys, numbers(&[Some(4), Some(5)]));
    let read = read_segment::<EarlierScoreRow>(run.path(), &segment).unwrap();
    assert_eq!(read, [4, 5].map(|sample| EarlierScoreRow { epoch: 1, sample }));

    let path = run.path().join(&segment.path).display().to_string();
    let segment = write_foreign(run.path(), &keys, numbers(&[Some(4), None, None]));
    assert_eq!(
        read_segment::<EarlierScoreRow>(run.path(), &segment).unwrap_err().to_string(),
        format!("{path}: column sample lacks 2 of its values; every row needs one")
    );
    let segment = write_foreign(run.path(), &keys, std::sync::Arc::new(Int64Array::from(vec![1])));
    assert_eq!(
        columns_of(run.path(), &segment).unwrap_err().to_string(),
        format!(
            "{path}: column sample is of type Int64; expected Boolean, Int8, UInt16, UInt32, UInt64, Float32, Float64 \
             or Utf8"
        )
    );
    let message = |keys: &[(&str, &str)]| {
        let segment = write_foreign(run.path(), keys, numbers(&[Some(4)]));
        columns_of(run.path(), &segment).unwrap_err().to_string()
    };
    assert_eq!(
        message(&keys[1..]),
        format!(
            "{path}: metadata has no key spfde.schema; expected a version up to 1; the file was not written by spfde"
        )
    );
    assert_eq!(
        message(&[("spfde.schema", "one")]),
        format!("{path}: spfde.schema is \"one\"; expected a version number")
    );
    assert_eq!(
        message(&keys[..1]),
        format!(
            "{path}: metadata has no key spfde.stream; expected scores; the file was not written by spfde"
        )
    );
}

#[test]
fn every_changed_byte_is_found_by_the_hash_and_every_cut_by_the_length() {
    let run = tempfile::tempdir().unwrap();
    let segment = write(run.path(), 3, 0, &scores(50), 50);
    let path = run.path().join(&segment.path);
    let good = std::fs::read(&path).unwrap();
    for place in (0..good.len()).step_by(7) {
        let mut bytes = good.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(&path, &bytes).unwrap();
        let error = read_segment::<ScoreRow>(run.path(), &segment).unwrap_err().to_string();
        let expected = format!(
            "{}: BLAKE3 is {} where {} is recorded; the file was changed or is damaged",
            path.display(),
            blake3::hash(&bytes).to_hex(),
            segment.blake3
        );
        assert_eq!(error, expected);
        std::fs::write(&path, &good[..place]).unwrap();
        let error = read_segment::<ScoreRow>(run.path(), &segment).unwrap_err().to_string();
        assert!(error.contains(&format!("has {place} bytes where {} are recorded", good.len())), "{error}");
    }
}

/// Even a file whose hash fits may be hostile: whoever wrote it may have written the manifest.
#[test]
fn damaged_files_with_the_right_hash_are_errors_never_panics() {
    let run = tempfile::tempdir().unwrap();
    let row = |i: u16| FreezeRow { epoch: 3, step: 0, layer: i, diff: 1, reason: format!("reason {i}") };
    let segment = write(run.path(), 3, 0, &(0..40).map(row).collect::<Vec<_>>(), 50);
    let good = std::fs::read(run.path().join(&segment.path)).unwrap();
    let read = |bytes: Vec<u8>| {
        let blake3 = blake3::hash(&bytes).to_hex().to_string();
        let segment = Segment { bytes: bytes.len() as u64, blake3, ..segment.clone() };
        let reader = parse_columns(Path::new("segment"), bytes, &segment, &FreezeRow::columns())?;
        reader.map(|batch| batch.map(|batch| batch.rows)).sum::<crate::files::Result<usize>>()
    };
    for length in 0..good.len() {
        assert!(read(good[..length].to_vec()).is_err(), "cut to {length} bytes");
    }
    let mut refused = 0;
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match read(bytes) {
            // Some bits only change a value, a statistic or the program's name.
            Ok(rows) => assert_eq!(rows, 40, "bit {bit}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 4 * good.len(), "{refused} of {} flips", 8 * good.len());
}
