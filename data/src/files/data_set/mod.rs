//! Data sets as Parquet: a directory with `train.parquet` and `test.parquet`.
//!
//! Columns: `image`, bytes in the order channel, row, column, as fixed-size binary, and `label`, u16. The
//! metadata key `spfde.data` states version, name, shape, number of classes and the fingerprint of the
//! content as JSON. [`embedded`] is Fashion-MNIST, compiled into the program.

mod fingerprint;
mod format;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

pub(super) use format::empty;
pub(super) use read::no_class;
pub use read::{embedded, parse, read};
pub use write::write;

use crate::images::{DataSet, Images, Normalization};

/// A data set from its images: measures the normalization on the training images and takes the fingerprint.
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
        fingerprint: fingerprint::fingerprint(classes, &train, &test),
        train: Arc::new(train),
        test: Arc::new(test),
    }
}
