//! Imports data sets in the IDX format of MNIST, plain or gzip.
//!
//! Four files make a data set: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
//! and `t10k-labels-idx1-ubyte`, each also with `.gz`.

mod files;
mod header;
mod read;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::data_set;
use super::error::{DataError, Result};
use crate::images::{DataSet, Images};
use crate::words::counted;
use header::{Header, IMAGES, LABELS};

/// What to do about files that do not fit together.
const OTHER: &str = "are they from different data sets?";

/// Count, rows and columns of the images in an IDX file, and their bytes in that order.
///
/// The file is at most 4 GiB uncompressed; what its header declares must agree with its length.
pub fn read_images(path: &Path) -> Result<([usize; 3], Vec<u8>)> {
    Ok(shaped(read::read(path, IMAGES)?))
}

/// As [`read_images`], from the bytes of a file; `path` is for messages.
pub fn parse_images(path: &Path, bytes: &[u8]) -> Result<([usize; 3], Vec<u8>)> {
    Ok(shaped(read::parse(path, IMAGES, bytes)?))
}

fn shaped((header, bytes): (Header, Vec<u8>)) -> ([usize; 3], Vec<u8>) {
    let (rows, columns) = header.shape();
    ([bytes.len() / (rows * columns), rows, columns], bytes)
}

/// The labels in the bytes of an IDX file; `path` is for messages.
pub fn parse_labels(path: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(read::parse(path, LABELS, bytes)?.1)
}

/// Imports a data set, to be called `name`, from a directory with its four files or from the files
/// themselves.
///
/// There must be as many labels as images, and training labels must be 0, 1, … without gaps; test labels must
/// be among them.
pub fn import(directory_or_files: &[PathBuf], name: &str) -> Result<DataSet> {
    let [train_images, train_labels, test_images, test_labels] = files::find(directory_or_files)?;
    let train = read_pair(&train_images, &train_labels)?;
    let test = read_pair(&test_images, &test_labels)?;
    let shape = |images: &Images| (images.height, images.width);
    if shape(&train) != shape(&test) {
        let words = |images: &Images| format!("{} × {}", images.height, images.width);
        let (found, expected, other) = (words(&test), words(&train), train_images.display());
        let what = format!("images are {found} where those of {other} are {expected}");
        return Err(DataError::refused(&test_images, what, OTHER));
    }
    let classes = count_classes(&train_labels, &train.labels)?;
    if let Some(row) = test.labels.iter().position(|label| usize::from(*label) >= classes) {
        return Err(data_set::no_class(&test_labels, row, test.labels[row], classes));
    }
    Ok(data_set::assemble(name, classes, train, test))
}

/// Images and their labels.
fn read_pair(images: &Path, labels: &Path) -> Result<Images> {
    let (header, pixels) = read::read(images, IMAGES)?;
    let (label_header, label_bytes) = read::read(labels, LABELS)?;
    let (expected, found) = (header.count(), label_header.count());
    if expected == 0 {
        return Err(data_set::empty(images));
    }
    if found != expected {
        let (found, expected) = (counted(found, "label"), counted(expected, "image"));
        let what = format!("has {found} where {} has {expected}", images.display());
        return Err(DataError::refused(labels, what, OTHER));
    }
    let (height, width) = header.shape();
    let labels = label_bytes.into_iter().map(u16::from).collect();
    Ok(Images { channels: 1, height, width, pixels, labels })
}

/// The number of classes: all labels below it occur.
fn count_classes(path: &Path, labels: &[u16]) -> Result<usize> {
    let mut seen = [false; 256];
    labels.iter().for_each(|label| seen[usize::from(*label)] = true);
    let classes = seen.iter().rposition(|seen| *seen).map_or(0, |largest| largest + 1);
    match seen[..classes].iter().position(|seen| !seen) {
        Some(missing) => {
            let what = format!("label {missing} never occurs though {} does", classes - 1);
            Err(DataError::refused(path, what, "classes must be numbered from 0 without gaps"))
        }
        None => Ok(classes),
    }
}
