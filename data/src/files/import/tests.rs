//! What the tests of all formats share: the files in `data/tests/imports`, written by the program beside
//! them.

use std::path::{Path, PathBuf};

use super::{Imported, Result};
use crate::Images;

/// A file of `data/tests/imports`.
pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imports").join(name)
}

/// The images that the fixtures hold, from number `first` on, as `write.py` computes them.
pub(super) fn images(first: usize, shape: [usize; 3], labels: &[u16]) -> Images {
    let [channels, height, width] = shape;
    let mut pixels = Vec::new();
    for sample in first..first + labels.len() {
        for channel in 0..channels {
            for row in 0..height {
                pixels.extend(
                    (0..width).map(|column| (sample * 37 + channel * 85 + row * 5 + column * 3) as u8),
                );
            }
        }
    }
    Images { channels, height, width, pixels: pixels.into(), labels: labels.to_vec() }
}

/// The message of a refusal, without the directory in front.
pub(super) fn refusal(directory: &Path, imported: Result<Imported>) -> String {
    match imported {
        Ok(imported) => panic!("{imported:?} was accepted"),
        Err(error) => error.to_string().replace(&format!("{}/", directory.display()), ""),
    }
}
