//! Score files of any trainer.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array};
use spfde_data::files::score_files::ScoreFiles;

use super::{Case, Class, message, parquet};

const NAME: &str = "scores.parquet";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join(NAME);
    let now = || message(directory, ScoreFiles::open(directory, 1, false));
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
            "has no column sample; expected one of type Int64 or another integer",
        ),
        case(
            Class::Duplicate,
            read(&parquet::file(&[columns(), vec![("epoch", longs([1, 1, 1]))]].concat(), &[])),
            "has column epoch twice; which of the two counts is nowhere said",
        ),
        case(
            Class::OutOfRange,
            with("sample", longs([5, 1 << 28, 7])),
            "row 1 of its row group: sample is 268435456; expected 0 to 268435455",
        ),
        case(
            Class::OutOfRange,
            with("epoch", longs([0, 0, 10_000])),
            "row 2 of its row group: epoch is 10000; expected 0 to 9999",
        ),
        case(
            Class::OutOfRange,
            with("sample", longs([-1, 6, 7])),
            "row 0 of its row group: sample is -1; expected 0 to 268435455",
        ),
    ]);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    cases.push(case(
        Class::NotAFile,
        now(),
        "cannot open: it is not an ordinary file; put the file itself there",
    ));
    cases
}
