//! Parquet files of encoded pictures.

use std::path::Path;

use spfde_data::files::import::picture::Pictures;
use spfde_data::files::import::{Options, hub};

use super::fixture;

/// Imports the file; every image has a class.
pub(super) fn run(bytes: &[u8]) {
    let (path, pictures) = (Path::new("train.parquet"), Pictures { skip_bad: true, ..Pictures::default() });
    if let Ok(imported) = hub::parse(path, bytes, &pictures, &Options::named("x")) {
        let set = imported.set;
        assert!(set.train.labels.iter().all(|label| usize::from(*label) < set.classes));
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("frame", fixture("hub/frame.parquet")),
        ("integers", fixture("hub/integers/train-00000-of-00002.parquet")),
        ("texts", fixture("hub/texts/train-00001-of-00002.parquet")),
    ]
}
