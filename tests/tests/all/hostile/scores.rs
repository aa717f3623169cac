//! Score files of any trainer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array};
use spfde_data::files::score_files::ScoreFiles;
use spfde_data::scores::ScoreSource;

use super::{Case, Class, dense, message, parquet};

const NAME: &str = "scores.parquet";

/// Rows that a few hundred bytes stand for.
const ROWS: usize = 3 << 19;

/// What is said of [`ROWS`] in the file at `path`.
fn too_dense(path: &Path) -> String {
    let bytes = path.metadata().unwrap().len();
    format!(
        "number of rows is {ROWS}, above the limit of {} for {bytes} bytes; no training compresses so \
         well: if these are recorded scores, write them plain, without encoding and compression",
        (1 << 20) + 128 * bytes
    )
}

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join(NAME);
    let open = |losses| ScoreFiles::open(&[directory.to_owned()], 1, losses, &AtomicBool::new(false));
    let now = || message(directory, open(false));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        now()
    };
    let longs = |values: [i64; 3]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    let columns = || {
        vec![
            ("sample", longs([5, 6, 7])),
            ("epoch", longs([0, 0, 1])),
            ("step", longs([0, 1, 0])),
            ("correct", longs([0, 1, 1])),
        ]
    };
    let with = |name: &str, array: ArrayRef| {
        let mut columns = columns();
        columns.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, old)| *old = Arc::clone(&array));
        read(&parquet::file(&columns, &[]))
    };
    let good = parquet::file(&columns(), &[]);
    assert_eq!(read(&good), "it was accepted");
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let halves: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 1.0, 1.5]));
    let mut cases = parquet::cases(&good, NAME, &read);
    cases.extend([
        case(
            Class::WrongType,
            with("step", halves),
            "column step is of type Float64; expected Int64 or another integer",
        ),
        case(
            Class::Missing,
            read(&parquet::file(&columns()[1..], &[])),
            "has no column sample; expected one of type Int64 or another integer, or Utf8",
        ),
        case(
            Class::Duplicate,
            read(&parquet::file(&[columns(), vec![("epoch", longs([1, 1, 1]))]].concat(), &[])),
            "has column epoch twice; which of the two counts is nowhere said",
        ),
        case(
            Class::OutOfRange,
            with("sample", longs([5, 1 << 28, 7])),
            "row 1: sample is 268435456; expected 0 to 268435455",
        ),
        case(
            Class::OutOfRange,
            with("epoch", longs([0, 0, 10_000])),
            "row 2: epoch is 10000; expected 0 to 9999",
        ),
        case(
            Class::OutOfRange,
            with("sample", longs([-1, 6, 7])),
            "row 0: sample is -1; expected 0 to 268435455",
        ),
    ]);
    cases.push(case(Class::TooLarge, read(&dense::file(ROWS, |_| 0, |_| 0)), &too_dense(&path)));
    // What shows only when the rows are read.
    let losses: ArrayRef = Arc::new(Float32Array::from(vec![0.5, f32::NAN, f32::INFINITY]));
    std::fs::write(&path, parquet::file(&[columns(), vec![("loss", losses)]].concat(), &[])).unwrap();
    let files = open(true).unwrap().unwrap();
    cases.push(case(
        Class::OutOfRange,
        message(directory, files.read(files.parts(0).start, &mut |_| ())),
        "row 1: loss is NaN; expected a finite number; the training has diverged: leave out what it recorded \
         from there on, or choose a policy that reads no losses",
    ));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    // A directory may be called so, as those of other programs are.
    let found = now().replacen(&*directory.to_string_lossy(), NAME, 1);
    let remedy = "score files are Parquet with the columns sample, epoch, step and correct";
    cases.push(case(Class::NotAFile, found, &format!("has no file *.parquet; {remedy}")));
    cases
}
