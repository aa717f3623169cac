//! Tables of numbers, as Parquet and as CSV.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array};
use spfde_data::files::import::Options;
use spfde_data::files::import::parts::Parts;
use spfde_data::files::import::table::{Asked, import};

use super::{Case, Class, message, parquet};

const NAME: &str = "rows.parquet";
const TEXT: &str = "rows.csv";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let now = |name: &str| {
        let files = Parts { train: vec![directory.join(name)], ..Parts::default() };
        let asked = Asked { label: "y".to_owned(), drop: Vec::new() };
        message(directory, import(&files, &asked, &Options::named("test")))
    };
    let read = |bytes: &[u8]| {
        std::fs::write(directory.join(NAME), bytes).unwrap();
        now(NAME)
    };
    let numbers = || -> ArrayRef { Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5, 3.5])) };
    let labels = || -> ArrayRef { Arc::new(Int64Array::from(vec![0, 1, 0, 1])) };
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![1, 2, 3, 4]));
    let good = [("x", numbers()), ("y", labels())];
    let of = |columns: &[(&str, ArrayRef)]| read(&parquet::file(columns, &[]));
    assert_eq!(of(&good), "it was accepted");
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let mut cases = parquet::cases(&parquet::file(&good, &[]), NAME, &read);
    cases.extend([
        case(
            Class::WrongType,
            of(&[("x", dates), ("y", labels())]),
            "column x is of type Date32; expected a number, a text or a truth value; leave it out with \
             --drop",
        ),
        case(
            Class::Missing,
            of(&[("x", numbers())]),
            "has no column y; the first line of a table has the names of its columns",
        ),
        case(
            Class::Duplicate,
            of(&[("x", numbers()), ("y", labels()), ("y", labels())]),
            "has column y twice; which of the two counts is nowhere said",
        ),
    ]);
    let text = |class, text: &str, expected: &str| {
        std::fs::write(directory.join(TEXT), text).unwrap();
        Case { class, found: now(TEXT), expected: format!("{TEXT}: {expected}") }
    };
    let names = "the first line of a table has the names of its columns";
    cases.extend([
        text(Class::Empty, "", &format!("has no column y; {names}")),
        text(Class::WrongMagic, "\u{89}PNG and so on", &format!("has no column y; {names}")),
        text(
            Class::Missing,
            "x,y\n1,2\n,3\n",
            "lacks 1 value: row 1 (line 3), column x; fill them, remove the rows, or leave out columns \
             with --drop",
        ),
        text(
            Class::OutOfRange,
            "x,y\n1e300,2\n2,3\n",
            "row 0 (line 2): column x is \"1e300\"; expected a finite number of 32 bits",
        ),
    ]);
    cases.push(super::not_a_file(directory, NAME, || now(NAME)));
    cases
}
