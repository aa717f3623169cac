//! Data sets of other formats, one file or folder for each: what is common to them.
//!
//! A format finds its files, checks them and returns an [`Imported`]. Images are bytes in the order channel,
//! row, column. Where there is no test part, the same share of every class is set aside as one.

pub mod cifar;
pub mod folder;
pub mod hub;
mod labels;
pub mod npz;
pub mod parts;
pub mod picture;
mod split;
pub mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use split::split;

use super::data_set::assemble;
use super::{DataError, Result};
use crate::{Augmentation, DataSet, Images};

/// Bytes that are held of the files of a data set, uncompressed.
const CONTENT_LIMIT: u64 = 4 << 30;
/// Rows or columns of an image.
pub const SIDE_LIMIT: usize = 256;
/// Channels of an image.
pub const CHANNELS_LIMIT: usize = 4;
/// Classes of a data set.
pub const CLASSES_LIMIT: usize = 65_535;
/// The share that becomes the test set unless another is asked for.
pub const TEST_FRACTION: f64 = 0.2;

/// What to do about a file that is not whole.
const AGAIN: &str = "fetch it again";

/// What becomes of the files of any format.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data set's name.
    pub name: String,
    /// The share of the training images that becomes the test set where there is no other: above 0, below 1;
    /// [`TEST_FRACTION`] unless given.
    pub test_fraction: Option<f64>,
    /// The seed of the draw of that share.
    pub seed: u64,
    /// How training images are varied unless a run says otherwise.
    pub augment: Augmentation,
}

impl Options {
    /// The usual: nothing is varied, the seed is 0.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), test_fraction: None, seed: 0, augment: Augmentation::None }
    }
}

/// A data set, and where it came from.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The data set.
    pub set: DataSet,
    /// What was taken from where.
    pub taken: Vec<(&'static str, PathBuf)>,
    /// What a user should know of what was done, each in a sentence.
    pub notes: Vec<String>,
}

/// What a format found.
pub(super) struct Found {
    /// Where, for messages.
    pub(super) place: PathBuf,
    pub(super) train: Images,
    pub(super) test: Option<Images>,
    /// How many classes there are.
    pub(super) classes: usize,
    /// The name of each class; empty if they are unknown.
    pub(super) class_names: Vec<String>,
    pub(super) taken: Vec<(&'static str, PathBuf)>,
    pub(super) notes: Vec<String>,
}

impl Found {
    /// The data set; without test images it is split.
    pub(super) fn finish(self, options: &Options) -> Result<Imported> {
        let Self { place, train, test, classes, class_names, taken, mut notes } = self;
        let (train, test) = match (test, options.test_fraction) {
            (Some(_), Some(_)) => {
                let what = "has test images of its own";
                return Err(DataError::refused(&place, what, "leave out --test-fraction"));
            }
            (Some(test), None) => (train, test),
            (None, fraction) => {
                let fraction = fraction.unwrap_or(TEST_FRACTION);
                let count = train.len();
                let (train, test) = split(&place, &train, fraction, options.seed)?;
                notes.push(format!(
                    "there is no test part: {} of {count} became the test set, the same share of every class \
                     (--test-fraction, --seed)",
                    test.len()
                ));
                (train, test)
            }
        };
        let set = assemble(&options.name, classes, train, test);
        Ok(Imported { set: DataSet { augment: options.augment, class_names, ..set }, taken, notes })
    }
}

/// Checks how many classes there are.
fn check_classes(path: &Path, classes: usize) -> Result<()> {
    if classes <= CLASSES_LIMIT {
        return Ok(());
    }
    let remedy = "is the label the right one?";
    Err(DataError::unfit(path, "number of classes", classes, format!("at most {CLASSES_LIMIT}"), remedy))
}
