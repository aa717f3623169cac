//! Data sets as Parquet: a directory with `train.parquet` and `test.parquet`.
//!
//! Columns: `image`, bytes in the order channel, row, column, and `label`, a whole number. The metadata key
//! `spfde.data` may state name, shape, number of classes, augmentation and the fingerprint of the content as
//! JSON; what it does not state is inferred. [`embedded`] is Fashion-MNIST, compiled into the program.

mod format;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

pub(super) use format::{count_classes, empty, no_class};
pub use read::{embedded, parse, read, read_noted};
pub use write::write;

use crate::{Augmentation, DataSet, Images, Normalization};

/// A data set from its images, not varied: measures the normalization on the training images and takes the
/// fingerprint.
///
/// # Panics
/// If there are no images, they differ in shape, or their numbers of bytes or their labels do not fit.
pub fn assemble(name: &str, classes: usize, train: Images, test: Images) -> DataSet {
    let shape = |images: &Images| (images.channels, images.height, images.width);
    assert_eq!(shape(&train), shape(&test), "training and test images have the same shape");
    for images in [&train, &test] {
        assert!(!images.is_empty() && images.stride() > 0, "a data set has images");
        assert_eq!(images.pixels.len(), images.len() * images.stride(), "every image has all its bytes");
        assert!(
            images.labels.iter().all(|label| usize::from(*label) < classes),
            "labels are below {classes}"
        );
    }
    DataSet {
        name: name.to_owned(),
        classes,
        normalization: Normalization::of(&train),
        fingerprint: fingerprint(classes, &train, &test),
        augment: Augmentation::None,
        train: Arc::new(train),
        test: Arc::new(test),
    }
}

/// The BLAKE3 of a data set's content, whatever file it came from: of shape, classes, pixels and labels,
/// training images first, as one stream of bytes in which no two different data sets look the same. Numbers
/// are little-endian u64, every list is preceded by its length.
fn fingerprint(classes: usize, train: &Images, test: &Images) -> String {
    let mut hasher = blake3::Hasher::new();
    let number = |hasher: &mut blake3::Hasher, value: usize| {
        hasher.update(&(value as u64).to_le_bytes());
    };
    hasher.update(b"spfde data set 1\0");
    for value in [train.channels, train.height, train.width, classes] {
        number(&mut hasher, value);
    }
    for images in [train, test] {
        number(&mut hasher, images.len());
        hasher.update(&images.pixels);
        let labels: Vec<u8> = images.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        hasher.update(&labels);
    }
    hasher.finalize().to_hex().to_string()
}
