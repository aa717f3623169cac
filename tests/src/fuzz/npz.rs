//! Arrays of NumPy.

use std::path::Path;

use spfde_data::files::import::{Options, npz};

use super::fixture;

/// Imports the file; every image has a class.
pub(super) fn run(bytes: &[u8]) {
    if let Ok(imported) = npz::parse(Path::new("x.npy"), bytes.to_vec(), &Options::named("x")) {
        let set = imported.set;
        assert!(set.train.labels.iter().all(|label| usize::from(*label) < set.classes));
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("array", fixture("npz/pairs/y_train.npy")),
        ("compressed", fixture("npz/compressed.npz")),
        ("plain", fixture("npz/plain.npz")),
    ]
}
