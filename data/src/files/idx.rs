//! Imports data sets in the IDX format of MNIST, plain or gzip.
//!
//! Four files make a data set: images and labels, to train and to test. [`find`] takes them by their names,
//! such as `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz` or `emnist-letters-test-images-idx3-ubyte`.
//! A file begins with two zero bytes, a type byte and the number of dimensions. Each dimension follows as a
//! big-endian u32, then the values.

mod content;
mod find;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

pub use content::{images, labels};
pub use find::{Files, find, folder, is_named};

use super::data_set::{count_classes, empty, no_class};
use super::import::{self, Found, Imported};
use super::{DataError, Result, open, read_limited};
use crate::{Images, counted};

/// Bytes that an IDX file may hold uncompressed.
const CONTENT_LIMIT: u64 = 4 << 30;

/// What to do about files that do not fit together.
const OTHER: &str = "are they from different data sets?";

/// Whether a file that is not compressed begins as those in the IDX format do, whatever it is called.
pub fn begins_as_idx(path: &Path) -> bool {
    let mut magic = [0; 4];
    let is_long_enough = open(path).is_ok_and(|(mut file, _)| file.read_exact(&mut magic).is_ok());
    is_long_enough && matches!(magic, [0, 0, 0x08 | 0x09 | 0x0B..=0x0E, 1..=4])
}

/// What becomes of the files.
#[derive(Clone, Debug)]
pub struct Options {
    /// What every format has.
    pub common: import::Options,
    /// Whether the last of four dimensions is the channel, rather than the second.
    pub channels_last: bool,
    /// The label of the first class.
    pub first_label: i32,
}

impl Options {
    /// The usual: the channel comes before the rows, the first class is 0, nothing is varied.
    pub fn named(name: impl Into<String>) -> Self {
        Self { common: import::Options::named(name), channels_last: false, first_label: 0 }
    }
}

/// Imports the data set in `files`.
///
/// There must be as many labels as images. Training labels must be `first_label` and the numbers behind it,
/// without gaps; test labels must be among them. Without test files a share of the images becomes the test
/// set.
///
/// # Errors
/// If a file is missing or damaged, or they do not fit together.
pub fn import(files: &Files, options: &Options) -> Result<Imported> {
    let common = &options.common;
    let (train_images, train_labels) = files.train()?;
    let test_files = files.test(common.test_fraction)?;
    let train = read_pair(train_images, train_labels, options)?;
    let first = i64::from(options.first_label);
    let classes = classes(train_labels, &train.labels, first)?;
    let test = test_files.map(|(images, labels)| {
        let test = read_pair(images, labels, options)?;
        let shape = |images: &Images| format!("{} × {} × {}", images.channels, images.height, images.width);
        let (found, expected) = (shape(&test), shape(&train));
        if found != expected {
            let what = format!("images are {found} where those of {} are {expected}", train_images.display());
            return Err(DataError::refused(images, what, OTHER));
        }
        match test.labels.iter().position(|label| usize::from(*label) >= classes) {
            Some(row) => Err(no_class(labels, row, first + i64::from(test.labels[row]), classes, first)),
            None => Ok(test),
        }
    });
    let test = test.transpose()?;
    let place = train_images.to_owned();
    let taken = files.iter().map(|(what, file)| (what, file.to_owned())).collect();
    Found { place, train, test, classes, class_names: Vec::new(), taken, notes: Vec::new() }.finish(common)
}

/// How many classes there are; labels are numbered from 0 by now, in the file from `first`.
fn classes(path: &Path, labels: &[u16], first: i64) -> Result<usize> {
    let smallest = labels.iter().min().copied().unwrap_or_default();
    if smallest > 0 {
        let first = first + i64::from(smallest);
        let what =
            format!("labels begin at {first}: if that is the first class, import with --first-label {first}");
        return Err(DataError::refused(path, what, ""));
    }
    count_classes(path, labels, first)
}

/// Images and their labels, numbered from 0.
fn read_pair(images: &Path, labels: &Path, options: &Options) -> Result<Images> {
    let (shape, mut pixels) = content::images(images, &read_limited(images, CONTENT_LIMIT)?)?;
    let found = content::labels(labels, &read_limited(labels, CONTENT_LIMIT)?)?;
    let (count, [channels, height, width]) = match shape[..] {
        [count, channels, height, width] if !options.channels_last => (count, [channels, height, width]),
        [count, height, width, channels] => (count, [channels, height, width]),
        [count, height, width] => (count, [1, height, width]),
        _ => unreachable!("images have three or four dimensions"),
    };
    if count == 0 {
        return Err(empty(images));
    }
    if found.len() != count {
        let (found, expected) = (counted(found.len(), "label"), counted(count, "image"));
        let what = format!("has {found} where {} has {expected}", images.display());
        return Err(DataError::refused(labels, what, OTHER));
    }
    if options.channels_last && channels > 1 {
        let mut planes = vec![0; channels * height * width];
        for image in pixels.chunks_exact_mut(planes.len()) {
            for (place, value) in image.iter().enumerate() {
                planes[place % channels * height * width + place / channels] = *value;
            }
            image.copy_from_slice(&planes);
        }
    }
    let first = i64::from(options.first_label);
    let number = |(row, label): (usize, &i32)| {
        u16::try_from(i64::from(*label) - first).map_err(|_| {
            let expected = format!("{first} to {} (--first-label)", first + 65_535);
            DataError::unfit(labels, format!("row {row}: label"), label, expected, "")
        })
    };
    let labels = found.iter().enumerate().map(number).collect::<Result<_>>()?;
    Ok(Images { channels, height, width, pixels: pixels.into(), labels })
}
