//! What the files of a data set have in common: columns and description.

use std::fmt::Display;
use std::path::Path;

use serde::{Deserialize, Serialize};

use spfde_parquet_guard::ParquetFile;

use crate::files::{DataError, Result, seal};
use crate::{Augmentation, counted};

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
pub(super) const CLASSES_LIMIT: u64 = 1 << 16;

/// Uncompressed bytes of a batch of images, of which each file is read and written in row groups.
const BATCH_BYTES: usize = 4 << 20;

/// What the metadata of a file says of the data set, both files; all of it may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Description {
    /// At most [`VERSION`].
    pub(super) version: Option<u32>,
    pub(super) name: Option<String>,
    pub(super) channels: Option<usize>,
    pub(super) height: Option<usize>,
    pub(super) width: Option<usize>,
    pub(super) classes: Option<usize>,
    pub(super) augment: Augmentation,
    /// Of the content.
    pub(super) fingerprint: Option<String>,
}

impl Description {
    /// Reads and checks the description of a file, if it has one.
    pub(super) fn of(file: &ParquetFile) -> Result<Option<Self>> {
        let path = file.path();
        let Some(text) = file.key(KEY_DATA)? else { return Ok(None) };
        let fields: serde_json::Value = serde_json::from_str(text).map_err(DataError::json(path))?;
        if fields.get("version").is_some() {
            seal::version_of_json(path, KEY_DATA, text.as_bytes(), VERSION)?;
        }
        let description: Self = serde_json::from_str(text).map_err(DataError::json(path))?;
        description.check(path)?;
        Ok(Some(description))
    }

    /// Checks the fields; `path` is for messages.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        if let Some(name) = self.name.as_ref().filter(|name| name.chars().any(char::is_control)) {
            // It is printed, and a terminal would act upon it.
            let expected = "a name without control characters";
            return Err(DataError::value(path, format!("{KEY_DATA}.name"), name, expected));
        }
        let sides = [("channels", self.channels), ("height", self.height), ("width", self.width)];
        for (name, value) in sides {
            DataError::limit(path, &format!("{KEY_DATA}.{name}"), value.unwrap_or(1) as u64, IMAGE_LIMIT)?;
        }
        stride(path, sides.map(|(_, value)| value.unwrap_or(1)))?;
        let classes = self.classes.unwrap_or(1);
        DataError::limit(path, &format!("{KEY_DATA}.classes"), classes as u64, CLASSES_LIMIT)?;
        if classes == 0 { Err(empty(path)) } else { Ok(()) }
    }

    /// Channels, rows and columns of images of so many bytes: as stated, or else square, of one channel or of
    /// three.
    pub(super) fn shape(&self, path: &Path, bytes: usize) -> Result<[usize; 3]> {
        let channels: &[usize] = self.channels.as_ref().map_or(&[1, 3], std::slice::from_ref);
        let shapes = channels.iter().map(|channels| {
            let plane = bytes / channels;
            let (height, width) = match (self.height, self.width) {
                (Some(height), Some(width)) => (height, width),
                (Some(height), None) => (height, plane / height),
                (None, Some(width)) => (plane / width, width),
                (None, None) => (plane.isqrt(), plane.isqrt()),
            };
            [*channels, height, width]
        });
        let mut fitting = shapes.filter(|shape| stride(path, *shape).is_ok_and(|stride| stride == bytes));
        fitting.next().ok_or_else(|| {
            let what = format!("images have {}, whose shape cannot be told", counted(bytes, "byte"));
            let remedy = "state it in the metadata key spfde.data, such as \
                          {\"channels\": 3, \"height\": 32, \"width\": 24}";
            DataError::refused(path, what, remedy)
        })
    }
}

/// Bytes of an image of this shape: channels, rows, columns.
pub(super) fn stride(path: &Path, shape: [usize; 3]) -> Result<usize> {
    // Three factors of at most 2²⁴ do not fit 64 bits.
    let stride = shape.iter().fold(1_u64, |product, side| product.saturating_mul(*side as u64));
    DataError::limit(path, "bytes of an image", stride, IMAGE_LIMIT)?;
    if stride == 0 { Err(empty(path)) } else { Ok(stride as usize) }
}

/// How many classes training labels are of: they are numbered from 0, without gaps. The file numbers them
/// from `first`.
pub(crate) fn count_classes(path: &Path, labels: &[u16], first: i64) -> Result<usize> {
    let largest = labels.iter().max().copied().unwrap_or_default();
    let mut found = vec![false; usize::from(largest) + 1];
    labels.iter().for_each(|label| found[usize::from(*label)] = true);
    let Some(missing) = found.iter().position(|found| !found) else { return Ok(found.len()) };
    let (missing, largest) = (first + missing as i64, first + i64::from(largest));
    let what = format!("label {missing} never occurs though {largest} does");
    Err(DataError::refused(path, what, "classes must be numbered without gaps"))
}

/// That a label of a file, which numbers the classes from `first`, is no class.
pub(crate) fn no_class(path: &Path, row: usize, label: impl Display, count: usize, first: i64) -> DataError {
    let expected = format!("one of {}, numbered from {first}", counted(count, "class"));
    DataError::unfit(path, format!("row {row}: label"), label, expected, "")
}

/// Images of `stride` bytes in a row group and in a batch.
pub(super) fn batch_rows(stride: usize) -> usize {
    (BATCH_BYTES / stride).clamp(1, 4096)
}

/// That a data set has no images.
pub(crate) fn empty(path: &Path) -> DataError {
    DataError::refused(path, "holds no images", "a data set needs at least one to train and one to test")
}
