//! Score files as other programs write them, and as they should not be.

mod codecs;
mod dense;
mod labels;
mod losses;
mod places;
mod texts;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int64Array, RecordBatch,
    StringArray, UInt8Array, UInt32Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::*;

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, group: usize, compression: Compression) {
    let nullable = columns.into_iter().map(|(name, array)| {
        let nulls = array.null_count() > 0;
        (name, array, nulls)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(nullable).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_compression(compression)
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Opens files; nothing stops it.
fn open(path: &Path, threads: usize, losses: bool) -> Result<ScoreFiles> {
    Ok(ScoreFiles::open(&[path.to_owned()], threads, losses, &AtomicBool::new(false))?
        .expect("nothing stops it"))
}

/// The four columns, as most would write them.
fn plain(
    samples: Vec<i64>,
    epochs: Vec<i64>,
    steps: Vec<i64>,
    correct: Vec<bool>,
) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("sample", Arc::new(Int64Array::from(samples))),
        ("epoch", Arc::new(Int64Array::from(epochs))),
        ("step", Arc::new(Int64Array::from(steps))),
        ("correct", Arc::new(BooleanArray::from(correct))),
    ]
}

/// Everything, epoch by epoch of its parts: epoch, step, sample, right, loss.
fn rows(files: &ScoreFiles) -> Vec<(u32, u64, u32, bool, f32)> {
    let mut all = Vec::new();
    for epoch in 0..files.epochs() {
        for part in files.parts(epoch) {
            let visit = &mut |rows: &ScoreColumns| {
                for at in 0..rows.slots.len() {
                    let sample = files.sample(rows.slots[at]);
                    all.push((rows.epochs[at], rows.steps[at], sample, rows.correct[at], rows.losses[at]));
                }
            };
            files.read(part, visit).unwrap();
        }
    }
    all
}

#[test]
fn files_of_any_width_are_one_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    write(
        &path("b.parquet"),
        vec![
            ("correct", Arc::new(UInt8Array::from(vec![1, 0, 1]))),
            ("step", Arc::new(UInt64Array::from(vec![7, u64::MAX, 0]))),
            ("note", Arc::new(StringArray::from(vec!["a", "a", "a"]))),
            ("sample", Arc::new(Int16Array::from(vec![300, 2, 9]))),
            ("epoch", Arc::new(Int8Array::from(vec![2, 0, 1]))),
            ("loss", Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5]))),
        ],
        1,
        Compression::SNAPPY,
    );
    write(
        &path("a.parquet"),
        vec![
            ("sample", Arc::new(UInt32Array::from(vec![2, 70_000]))),
            ("epoch", Arc::new(UInt32Array::from(vec![1, 1]))),
            ("step", Arc::new(UInt32Array::from(vec![3, 3]))),
            ("correct", Arc::new(BooleanArray::from(vec![true, false]))),
            ("loss", Arc::new(Float32Array::from(vec![0.25, 0.75]))),
        ],
        100,
        Compression::UNCOMPRESSED,
    );
    std::fs::write(path("readme.txt"), "not a table").unwrap();
    for threads in [1, 3] {
        let files = open(directory.path(), threads, true).unwrap();
        assert_eq!((files.samples(), files.epochs(), files.rows(), files.files()), (4, 3, 5, 2));
        let expected = [
            (0, u64::MAX, 2, false, 1.5),
            (1, 3, 2, true, 0.25),
            (1, 3, 70_000, false, 0.75),
            (1, 0, 9, true, 2.5),
            (2, 7, 300, true, 0.5),
        ];
        assert_eq!(rows(&files), expected);
    }
    // Nothing is half found out.
    let stopped = |threads| {
        ScoreFiles::open(&[directory.path().to_owned()], threads, true, &AtomicBool::new(true))
            .unwrap()
            .is_none()
    };
    assert!(stopped(1) && stopped(3));
    // If the caller does not ask for losses, the reader leaves them out.
    let files = open(&path("b.parquet"), 2, false).unwrap();
    assert_eq!(files.samples(), 3);
    assert!(rows(&files).iter().all(|row| row.4.is_nan()));
}

#[test]
fn many_samples_have_slots_in_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scores.parquet");
    for gap in [1, 3, 100_000] {
        let samples: Vec<i64> = (0..2500).rev().map(|sample| sample * gap).collect();
        write(
            &path,
            plain(samples, vec![0; 2500], vec![1; 2500], vec![true; 2500]),
            700,
            Compression::UNCOMPRESSED,
        );
        let files = open(&path, 2, false).unwrap();
        assert_eq!(files.samples(), 2500);
        assert!((0..2500).all(|slot| files.sample(slot) == slot * gap as u32));
        let read: Vec<u32> = rows(&files).iter().map(|row| row.2).collect();
        assert!(read.iter().copied().eq((0..2500).rev().map(|sample| sample * gap as u32)));
    }
}

#[test]
fn what_is_wrong_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scores.parquet");
    let good = || plain(vec![1, 2], vec![0, 0], vec![0, 0], vec![true, true]);
    let with = |name: &'static str, array: ArrayRef| {
        let mut columns = good();
        columns.retain(|(known, _)| *known != name);
        columns.push((name, array));
        columns
    };
    let refused = |columns, losses, message: &str| {
        write(&path, columns, 10, Compression::UNCOMPRESSED);
        let error = open(&path, 2, losses).unwrap_err().to_string();
        let expected = format!("{}: {message}", path.display());
        assert!(error.starts_with(&expected), "{error}\n{expected}");
    };
    let longs = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let above = i64::from(SAMPLE_LIMIT) + 1;
    refused(with("sample", longs(vec![1, -1])), false, "row 1: sample is -1; expected 0 to ");
    refused(with("sample", longs(vec![above, 1])), false, "row 0: sample is 268435456; ");
    refused(with("epoch", longs(vec![0, 10_000])), false, "row 1: epoch is 10000; ");
    let nulls = Int64Array::from(vec![Some(1), None]);
    refused(with("sample", Arc::new(nulls)), false, "column sample lacks 1 of its values");
    let floats = Float64Array::from(vec![0.0, 1.0]);
    refused(
        with("step", Arc::new(floats)),
        false,
        "column step is of type Float64; expected Int64 or another integer",
    );
    let floats = Float32Array::from(vec![0.0, 1.0]);
    refused(with("correct", Arc::new(floats)), false, "column correct is of type Float32; expected Boolean");
    let text = || Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef;
    refused(
        with("sample", Arc::new(Float32Array::from(vec![0.0, 1.0]))),
        false,
        "column sample is of type Float32; expected Int64 or another integer, or Utf8",
    );
    refused(with("loss", text()), true, "column loss is of type Utf8; expected Float32 or Float64");
    refused(good(), true, "has no column loss; expected one of type Float32");
    refused(
        good().split_off(1),
        false,
        "has no column sample; expected one of type Int64 or another integer, or Utf8",
    );
    refused(plain(vec![], vec![], vec![], vec![]), false, "has no row; ");
    let none = open(&directory.path().join("nowhere"), 1, false).unwrap_err().to_string();
    assert!(none.contains("nowhere: cannot open"), "{none}");
    std::fs::create_dir(directory.path().join("empty")).unwrap();
    let empty = open(&directory.path().join("empty"), 1, false).unwrap_err().to_string();
    assert!(empty.contains("empty: has no file *.parquet"), "{empty}");

    // Rows are those of the file, whatever its row groups.
    for (column, threads) in [("sample", 1), ("epoch", 3)] {
        let mut columns = plain((0..9).collect(), vec![0; 9], vec![0; 9], vec![true; 9]);
        columns.retain(|(known, _)| *known != column);
        columns.push((column, longs(vec![0, 0, 0, 0, 0, 0, -4, 0, -5])));
        write(&path, columns, 2, Compression::UNCOMPRESSED);
        let error = open(&path, threads, false).unwrap_err().to_string();
        assert!(error.contains(&format!("row 6: {column} is -4; ")), "{error}");
    }

    // What is only read later is checked then.
    write(&path, with("step", longs(vec![0, -3])), 10, Compression::UNCOMPRESSED);
    let files = open(&path, 1, false).unwrap();
    let error = files.read(0, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("step is -3; expected 0 to "), "{error}");
    write(&path, with("correct", longs(vec![0, 2])), 10, Compression::UNCOMPRESSED);
    let files = open(&path, 1, false).unwrap();
    let error = files.read(0, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("correct is 2; expected 0 to 1"), "{error}");
}

#[test]
fn damaged_files_are_errors_wherever_the_damage_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scores.parquet");
    let many = (0..300).collect::<Vec<i64>>();
    write(&path, plain(many.clone(), vec![0; 300], many, vec![true; 300]), 100, Compression::SNAPPY);
    let whole = std::fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(open(&path, 1, false).is_err(), "{length}");
    }
    // A flipped bit may give other numbers, but never a panic or a hang.
    for at in (0..whole.len()).step_by(13) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).unwrap();
        let Ok(files) = open(&path, 1, false) else { continue };
        for part in 0..files.parts.len() {
            let _ =
                files.read(part, &mut |rows| assert!(rows.slots.iter().all(|slot| *slot < files.samples())));
        }
    }
}

/// What is said of reading all parts.
fn read_all(files: &ScoreFiles) -> Result<(), String> {
    (0..files.parts.len())
        .try_for_each(|part| files.read(part, &mut |_| ()).map_err(|error| error.to_string()))
}

#[test]
fn a_file_that_changes_under_the_reader_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scores.parquet");
    let put = |samples: Vec<i64>, epoch: i64| {
        let rows = samples.len();
        write(
            &path,
            plain(samples, vec![epoch; rows], vec![0; rows], vec![true; rows]),
            10,
            Compression::UNCOMPRESSED,
        );
    };
    put(vec![1, 2, 3], 4);
    let files = open(&path, 1, false).unwrap();
    assert_eq!(read_all(&files), Ok(()));
    // Other samples, another epoch, another number of rows.
    for (samples, epoch) in [(vec![1, 2, 5], 4), (vec![1, 2, 3], 5), (vec![1, 2], 4)] {
        put(samples, epoch);
        let expected = format!("{}: was changed while it was read; ", path.display());
        assert!(read_all(&files).unwrap_err().starts_with(&expected));
    }
}
