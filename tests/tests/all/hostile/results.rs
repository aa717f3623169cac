//! Tables of results, such as those of a replay of scores.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array};
use spfde_data::files::table_file;

use super::{Case, Class, message, parquet};

const NAME: &str = "kept.parquet";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join(NAME);
    let now = || message(directory, table_file::read(&path, &["member", "kept"], |_| ()));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        now()
    };
    let longs = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 2])) };
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"a"[..], b"b"]));
    let good = parquet::file(&[("member", longs()), ("kept", longs())], &[]);
    assert_eq!(read(&good), "it was accepted");
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let mut cases = parquet::cases(&good, NAME, &read);
    cases.extend([
        case(
            Class::WrongType,
            read(&parquet::file(&[("member", longs()), ("kept", bytes)], &[])),
            "column kept is of type Binary; expected a number, a text or a truth value",
        ),
        case(
            Class::Missing,
            read(&parquet::file(&[("member", longs())], &[])),
            "has no column kept; expected one of type a number, a text or a truth value",
        ),
        case(
            Class::Duplicate,
            read(&parquet::file(&[("member", longs()), ("kept", longs()), ("kept", longs())], &[])),
            "has column kept twice; which of the two counts is nowhere said",
        ),
    ]);
    cases.push(super::not_a_file(directory, NAME, now));
    cases
}
