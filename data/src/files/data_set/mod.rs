//! Data sets as Parquet: a directory with `train.parquet` and `test.parquet`.
//!
//! Columns: `image`, bytes in the order channel, row, column, and `label`, a whole number. The metadata key
//! `spfde.data` may hold JSON that states name, shape, classes, normalization, augmentation and fingerprint.
//! What it does not state is inferred. [`embedded`] is Fashion-MNIST, compiled into the program.
//!
//! Up to a number of bytes pixels are held in memory; more stay in their files, and are read by need.

mod format;
mod read;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use format::batch_rows;
pub(super) use format::{count_classes, empty, no_class};
pub use read::{embedded, parse, read, read_within};
pub use write::write;

use crate::{Augmentation, DataSet, Images, Normalization, Pixels};

/// A data set from its images, not varied: measures the normalization on the training images and takes the
/// fingerprint.
///
/// # Panics
/// If there are no images, or they are not in memory. If they differ in shape, or their numbers of bytes or
/// their labels do not fit.
pub fn assemble(name: &str, classes: usize, train: Images, test: Images) -> DataSet {
    let shape = |images: &Images| (images.channels, images.height, images.width, images.is_table());
    assert_eq!(shape(&train), shape(&test), "training and test images have the same shape and type");
    for images in [&train, &test] {
        assert!(!images.is_empty() && images.stride() > 0, "a data set has images");
        assert_eq!(images.pixels.len(), images.len() * images.stride(), "every image has all its values");
        assert!(
            images.labels.iter().all(|label| usize::from(*label) < classes),
            "labels are below {classes}"
        );
    }
    let stride = train.stride() * train.pixels.width();
    DataSet {
        name: name.to_owned(),
        classes,
        class_names: Vec::new(),
        column_names: Vec::new(),
        normalization: Normalization::of(&train),
        fingerprint: fingerprint(classes, &train, &test),
        augment: Augmentation::None,
        row_groups: (0..train.len() as u32).step_by(batch_rows(stride)).collect(),
        train: Arc::new(train),
        test: Arc::new(test),
        validation: Arc::default(),
    }
}

/// The BLAKE3 of a data set's content, whatever file it came from: of shape, classes, pixels and labels,
/// training images first. They are one stream of bytes in which no two different data sets look the same.
/// Numbers are little-endian u64, every list is preceded by its length. A table begins otherwise, so that its
/// numbers, little-endian f32, are never taken for bytes.
struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    fn new(is_table: bool, shape: [usize; 3], classes: usize) -> Self {
        let mut own = Self(blake3::Hasher::new());
        own.bytes(if is_table { b"spfde data tab 1\0" } else { b"spfde data set 1\0" });
        shape.into_iter().chain([classes]).for_each(|number| own.count(number));
        own
    }

    /// Of images that follow their number comes first; then the bytes of their pixels, then their labels.
    fn count(&mut self, number: usize) {
        self.bytes(&(number as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn labels(&mut self, labels: &[u16]) {
        let labels: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        self.bytes(&labels);
    }

    /// In hexadecimal.
    fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

fn fingerprint(classes: usize, train: &Images, test: &Images) -> String {
    let shape = [train.channels, train.height, train.width];
    let mut fingerprint = Fingerprint::new(train.is_table(), shape, classes);
    for images in [train, test] {
        fingerprint.count(images.len());
        match &images.pixels {
            Pixels::U8(values) => fingerprint.bytes(values),
            Pixels::F32(values) => values.iter().for_each(|value| fingerprint.bytes(&value.to_le_bytes())),
            Pixels::Stored(_) => unreachable!("images are assembled in memory"),
        }
        fingerprint.labels(&images.labels);
    }
    fingerprint.finish()
}
