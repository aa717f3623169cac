//! Parquet files of encoded pictures.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array};
use spfde_data::files::import::Options;
use spfde_data::files::import::hub::{Columns, import};
use spfde_data::files::import::parts::Parts;
use spfde_data::files::import::picture::Pictures;
use spfde_tests::fuzz::TARGETS;

use super::{Case, Class, message, parquet};

const NAME: &str = "pictures.parquet";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join(NAME);
    let files = Parts { train: vec![path.clone()], ..Parts::default() };
    let now = || {
        let imported = import(&files, &Columns::default(), &Pictures::default(), &Options::named("test"));
        message(directory, imported)
    };
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        now()
    };
    let seeds =
        TARGETS.iter().find(|target| target.name == "pictures").map(|target| (target.seeds)()).unwrap();
    let picture = &seeds.iter().find(|(name, _)| *name == "flat.jpg").unwrap().1;
    let images = || -> ArrayRef { Arc::new(BinaryArray::from_iter_values([picture; 4])) };
    let labels = |labels: [i64; 4]| -> ArrayRef { Arc::new(Int64Array::from(labels.to_vec())) };
    let of = |columns: &[(&str, ArrayRef)], keys: &[(&str, &str)]| read(&parquet::file(columns, keys));
    let good = [("image", images()), ("label", labels([0, 1, 0, 1]))];
    assert_eq!(of(&good, &[]), "it was accepted");
    let names = r#"{"info": {"features": {"label": {"names": ["cat", "dog"]}}}}"#;
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let mut cases = parquet::cases(&parquet::file(&good, &[]), NAME, &read);
    cases.extend([
        case(
            Class::WrongType,
            of(&[("image", labels([1; 4])), ("label", labels([0, 1, 0, 1]))], &[]),
            "column image is of type Int64; expected Binary, or a struct with bytes",
        ),
        case(
            Class::Missing,
            of(&[("image", images())], &[]),
            "has no column label; expected one of type a whole number or a text",
        ),
        case(
            Class::Duplicate,
            of(&[("image", images()), ("label", labels([0; 4])), ("label", labels([1; 4]))], &[]),
            "has column label twice; which of the two counts is nowhere said",
        ),
        case(
            Class::OutOfRange,
            of(&[("image", images()), ("label", labels([0, -1, 0, 1]))], &[("huggingface", names)]),
            "row 1: label is -1; expected one of 2 classes, numbered from 0",
        ),
    ]);
    cases.push(super::not_a_file(directory, NAME, now));
    cases
}
