//! What the files of a data set have in common: columns and description.

use std::path::Path;

use serde::{Deserialize, Serialize};

use spfde_parquet_guard::ParquetFile;

use crate::files::error::{DataError, Result};
use crate::files::parquet_store::key;
use crate::files::seal;

/// Key of the description in the metadata.
pub(super) const KEY_DATA: &str = "spfde.data";
/// Version of the description and the columns.
pub(super) const VERSION: u32 = 1;
/// The column of the images' bytes.
pub(super) const IMAGE: &str = "image";
/// The column of the classes.
pub(super) const LABEL: &str = "label";
/// The file of the training images within the directory.
pub(super) const TRAIN: &str = "train.parquet";
/// The file of the test images within the directory.
pub(super) const TEST: &str = "test.parquet";

/// Bytes of all pixels of a file: a data set is held in memory, and compressed pixels can stand for any
/// number.
pub(super) const PIXELS_LIMIT: u64 = 4 << 30;
/// Bytes of one image.
const IMAGE_LIMIT: u64 = 16 << 20;
/// Labels are u16.
const CLASSES_LIMIT: u64 = 1 << 16;

/// Uncompressed bytes of a batch of images, of which each file is read and written in row groups.
const BATCH_BYTES: usize = 4 << 20;

/// What the metadata of a file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Description {
    /// [`VERSION`].
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) classes: usize,
    /// Fingerprint of the whole data set, both files.
    pub(super) fingerprint: String,
}

impl Description {
    /// Reads and checks the description of a file.
    pub(super) fn of(file: &ParquetFile) -> Result<Self> {
        let path = file.path();
        let text = key(file, KEY_DATA, "the description of a data set")?;
        seal::version_of_json(path, KEY_DATA, text.as_bytes(), VERSION)?;
        let description: Self = serde_json::from_str(text).map_err(DataError::json(path))?;
        description.check(path)?;
        Ok(description)
    }

    /// Bytes of one image.
    pub(super) fn stride(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Checks the fields; `path` is for messages.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        if self.name.chars().any(char::is_control) {
            // It is printed, and a terminal would act upon it.
            let expected = "a name without control characters";
            return Err(DataError::value(path, format!("{KEY_DATA}.name"), &self.name, expected));
        }
        let sides = [("channels", self.channels), ("height", self.height), ("width", self.width)];
        for (name, value) in sides {
            DataError::limit(path, &format!("{KEY_DATA}.{name}"), value as u64, IMAGE_LIMIT)?;
        }
        // Three factors of at most 2²⁴ do not fit 64 bits.
        let stride = sides.iter().fold(1_u64, |product, (_, value)| product.saturating_mul(*value as u64));
        DataError::limit(path, "bytes of an image", stride, IMAGE_LIMIT)?;
        DataError::limit(path, &format!("{KEY_DATA}.classes"), self.classes as u64, CLASSES_LIMIT)?;
        if stride == 0 || self.classes == 0 {
            return Err(empty(path));
        }
        Ok(())
    }
}

/// Images of `stride` bytes in a row group and in a batch.
pub(super) fn batch_rows(stride: usize) -> usize {
    (BATCH_BYTES / stride).clamp(1, 4096)
}

/// That a data set has no images.
pub(in crate::files) fn empty(path: &Path) -> DataError {
    DataError::refused(path, "holds no images", "a data set needs at least one to train and one to test")
}
