//! CIFAR: pickled and binary batches, names, archives.

use std::path::Path;

use spfde_data::files::import::cifar::{Kind, parse};

use super::fixture;

/// Reads them as every file of a data set; there are as many pixels as labels say.
pub(super) fn run(bytes: &[u8]) {
    for name in ["data_batch_1", "data_batch_1.bin", "batches.meta", "batches.meta.txt", "cifar.tar.gz"] {
        if let Ok(images) = parse(Kind::Ten, Path::new(name), bytes.to_vec()) {
            assert_eq!(images.pixels.len(), images.len() * images.stride());
            assert!(images.labels.iter().all(|label| *label < 10));
        }
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("names", b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n".to_vec()),
        ("python.tar.gz", fixture("cifar-10-python.tar.gz")),
        ("row", [&[3][..], &[7; 3072]].concat()),
    ]
}
