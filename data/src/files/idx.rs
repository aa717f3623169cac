//! Imports data sets in the IDX format of MNIST, plain or gzip.
//!
//! Four files make a data set: images and labels, to train and to test. [`find`] takes them by their names,
//! such as `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz` or `emnist-letters-test-images-idx3-ubyte`.
//! A file begins with two zero bytes, a type byte and the number of dimensions, then has each dimension as a
//! big-endian u32, then the values.

mod content;
mod find;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

pub use content::{images, labels};
pub use find::{Files, find, folder, is_named};

use super::data_set::{assemble, count_classes, empty, no_class};
use super::{DataError, Result, open, read_limited};
use crate::{Augmentation, DataSet, Images, Purpose, counted, draw};

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
    /// The data set's name.
    pub name: String,
    /// Whether the last of four dimensions is the channel, rather than the second.
    pub channels_last: bool,
    /// The label of the first class.
    pub first_label: i32,
    /// The share of the training images that become the test set, in place of files: above 0, below 1.
    pub test_fraction: Option<f64>,
    /// The seed of the draw of that share.
    pub seed: u64,
    /// How training images are varied unless a run says otherwise.
    pub augment: Augmentation,
}

impl Options {
    /// The usual: the channel comes before the rows, the first class is 0, nothing is varied.
    pub fn named(name: impl Into<String>) -> Self {
        let (name, augment) = (name.into(), Augmentation::None);
        Self { name, channels_last: false, first_label: 0, test_fraction: None, seed: 0, augment }
    }
}

/// Imports the data set in `files`.
///
/// There must be as many labels as images. Training labels must be `first_label` and the numbers behind it,
/// without gaps; test labels must be among them.
pub fn import(files: &Files, options: &Options) -> Result<DataSet> {
    let (train_images, train_labels) = files.train()?;
    let test_files = files.test(options.test_fraction)?;
    let train = read_pair(train_images, train_labels, options)?;
    let first = i64::from(options.first_label);
    let classes = classes(train_labels, &train.labels, first)?;
    let (train, test) = match (test_files, options.test_fraction) {
        (None, fraction) => {
            let fraction = fraction.expect("there are test files, or a fraction is given");
            split(train_images, train, fraction, options.seed)?
        }
        (Some((images, labels)), _) => {
            let test = read_pair(images, labels, options)?;
            let shape =
                |images: &Images| format!("{} × {} × {}", images.channels, images.height, images.width);
            let (found, expected) = (shape(&test), shape(&train));
            if found != expected {
                let what =
                    format!("images are {found} where those of {} are {expected}", train_images.display());
                return Err(DataError::refused(images, what, OTHER));
            }
            if let Some(row) = test.labels.iter().position(|label| usize::from(*label) >= classes) {
                return Err(no_class(labels, row, first + i64::from(test.labels[row]), classes, first));
            }
            (train, test)
        }
    };
    let set = assemble(&options.name, classes, train, test);
    Ok(DataSet { augment: options.augment, ..set })
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
    Ok(Images { channels, height, width, pixels, labels })
}

/// Sets a share of the images aside as the test set: those of the smallest draws, at least one; both sets
/// keep their order.
fn split(path: &Path, images: Images, fraction: f64, seed: u64) -> Result<(Images, Images)> {
    if images.len() < 2 {
        let what = "holds a single image, which cannot be split";
        return Err(DataError::refused(path, what, "a data set needs one to train and one to test"));
    }
    let aside = ((images.len() as f64 * fraction).round() as usize).clamp(1, images.len() - 1);
    let drawn = |sample: usize| (draw(seed, Purpose::TestSet, 0, sample as u64), sample);
    let mut order: Vec<_> = (0..images.len()).map(drawn).collect();
    order.sort_unstable();
    let (test, train) = order.split_at_mut(aside);
    let part = |samples: &mut [(u64, usize)]| {
        samples.sort_unstable_by_key(|(_, sample)| *sample);
        let Images { channels, height, width, .. } = images;
        let pixels = samples.iter().flat_map(|(_, sample)| images.image(*sample)).copied().collect();
        let labels = samples.iter().map(|(_, sample)| images.labels[*sample]).collect();
        Images { channels, height, width, pixels, labels }
    };
    Ok((part(train), part(test)))
}
