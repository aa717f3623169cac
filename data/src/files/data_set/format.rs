//! What the files of a data set have in common: columns and description.

use std::fmt::Display;
use std::path::Path;

use serde::{Deserialize, Serialize};

use spfde_parquet_guard::ParquetFile;

use crate::files::{DataError, Result, seal};
use crate::{Augmentation, Normalization, counted};

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

/// Bytes of all pixels of a file: compressed pixels can stand for any number, and all are read at the start.
pub(super) const PIXELS_LIMIT: u64 = 1 << 40;
/// Bytes of one image.
const IMAGE_LIMIT: u64 = 16 << 20;
/// Labels are u16.
pub(super) const CLASSES_LIMIT: u64 = 1 << 16;

/// Uncompressed bytes of a batch of images, of which each file is read and written in row groups.
const BATCH_BYTES: usize = 4 << 20;

crate::choice! {
    /// The type of the values of images.
    pub(super) enum ValueType {
        /// Bytes.
        U8 = "u8",
        /// Numbers of 32 bits, little-endian.
        F32 = "f32",
    }
}

/// What the metadata of a file says of the data set, both files; all of it may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Description {
    /// At most [`VERSION`].
    pub(super) version: Option<u32>,
    pub(super) name: Option<String>,
    pub(super) channels: Option<usize>,
    pub(super) height: Option<usize>,
    pub(super) width: Option<usize>,
    pub(super) classes: Option<usize>,
    /// One for each class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class_names: Option<Vec<String>>,
    /// One for each column of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) column_names: Option<Vec<String>>,
    /// Of each channel of the training images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mean: Option<Vec<f64>>,
    /// The standard deviation of each channel of the training images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deviation: Option<Vec<f64>>,
    /// What the bytes of an image are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) values: Option<ValueType>,
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
        let class_names = self.class_names.iter().flatten().map(|name| ("class_names", name));
        let column_names = self.column_names.iter().flatten().map(|name| ("column_names", name));
        let names = self.name.iter().map(|name| ("name", name)).chain(class_names).chain(column_names);
        for (field, name) in names {
            // It is printed, and a terminal would act upon it.
            if name.chars().any(char::is_control) {
                let expected = "a name without control characters";
                return Err(DataError::value(path, format!("{KEY_DATA}.{field}"), name, expected));
            }
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

    /// The names of so many classes, and of so many columns; empty if it states none.
    pub(super) fn names(&self, path: &Path, [classes, columns]: [usize; 2]) -> Result<[Vec<String>; 2]> {
        let names = |noun: &str, names: &Option<Vec<String>>, count: usize| {
            let names = names.clone().unwrap_or_default();
            if names.is_empty() || names.len() == count {
                return Ok(names);
            }
            let found = format!("a list of {}", counted(names.len(), "name"));
            let expected = format!("one for each of {}", counted(count, noun));
            Err(DataError::unfit(path, format!("{KEY_DATA}.{noun}_names"), found, expected, ""))
        };
        Ok([names("class", &self.class_names, classes)?, names("column", &self.column_names, columns)?])
    }

    /// How images of so many channels, or tables of so many columns, are normalised, if it says.
    pub(super) fn normalization(
        &self,
        path: &Path,
        (channels, noun): (usize, &str),
    ) -> Result<Option<Normalization>> {
        let unfit = |field: &str, found: &dyn Display, expected: &str| {
            DataError::unfit(path, format!("{KEY_DATA}.{field}"), found, expected, "")
        };
        let (mean, deviation) = match (&self.mean, &self.deviation) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(unfit("deviation", &"missing", "one beside mean")),
            (None, Some(_)) => return Err(unfit("mean", &"missing", "one beside deviation")),
            (Some(mean), Some(deviation)) => (mean, deviation),
        };
        for (field, values) in [("mean", mean), ("deviation", deviation)] {
            if values.len() != channels {
                let found = format!("a list of {}", counted(values.len(), "number"));
                return Err(unfit(field, &found, &format!("one for each of {}", counted(channels, noun))));
            }
        }
        let normalization = Normalization::from_moments(mean.iter().copied().zip(deviation.iter().copied()));
        let is_plausible = |(channel, deviation): (usize, &f64)| {
            let (scale, shift) = (normalization.scale[channel], normalization.shift[channel]);
            *deviation > 0.0 && scale.is_finite() && shift.is_finite()
        };
        match deviation.iter().enumerate().find(|found| !is_plausible(*found)) {
            None => Ok(Some(normalization)),
            Some((channel, found)) => {
                let field = format!("deviation of {noun} {channel}");
                Err(unfit(&field, found, "a number above 0, and not too small for the mean"))
            }
        }
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
