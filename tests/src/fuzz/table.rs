//! Tables of numbers, as CSV and as Parquet.

use std::path::Path;

use spfde_data::files::import::Options;
use spfde_data::files::import::table::{Asked, parse};

use super::fixture;

/// Imports the table; every row has a class, and as many numbers as the others.
pub(super) fn run(bytes: &[u8]) {
    let asked = Asked { label: "kind".to_owned(), drop: Vec::new() };
    if let Ok(imported) = parse(Path::new("table"), bytes.to_vec(), &asked, &Options::named("x")) {
        let set = imported.set;
        assert_eq!(set.train.pixels.len(), set.train.len() * set.train.stride());
        assert!(set.train.labels.iter().all(|label| usize::from(*label) < set.classes));
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![("csv", fixture("table/trees.csv")), ("parquet", fixture("table/trees.parquet"))]
}
