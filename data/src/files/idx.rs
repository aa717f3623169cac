//! Imports data sets in the IDX format of MNIST, plain or gzip.
//!
//! Four files make a data set: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
//! and `t10k-labels-idx1-ubyte`, each also with `.gz`. A file begins with two zero bytes, a type byte and the
//! number of dimensions, then has each dimension as a big-endian u32, then the bytes.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use super::data_set::{assemble, empty, no_class};
use super::error::{DataError, Result};
use super::read_limited::read_limited;
use crate::images::{DataSet, Images};
use crate::words::counted;

/// Dimensions of a file of images: count, rows, columns.
pub const IMAGES: usize = 3;
/// Dimensions of a file of labels: count.
pub const LABELS: usize = 1;

/// The parts of a data set: how the names of their files start, and how many dimensions they have.
const PARTS: [(&str, usize); 4] =
    [("train-images", IMAGES), ("train-labels", LABELS), ("t10k-images", IMAGES), ("t10k-labels", LABELS)];

/// Bytes that an IDX file may hold uncompressed.
const CONTENT_LIMIT: u64 = 4 << 30;

/// Rows or columns of an image, as far as an importer believes them.
const SIDE_LIMIT: u64 = 1 << 14;

/// What to do about a file that is not whole.
const AGAIN: &str = "fetch it again";
/// What to do about files that do not fit together.
const OTHER: &str = "are they from different data sets?";

/// Imports a data set, to be called `name`, from a directory with its four files or from the files
/// themselves.
///
/// There must be as many labels as images, and training labels must be 0, 1, … without gaps; test labels must
/// be among them.
pub fn import(directory_or_files: &[PathBuf], name: &str) -> Result<DataSet> {
    let [train_images, train_labels, test_images, test_labels] = find(directory_or_files)?;
    let train = read_pair(&train_images, &train_labels)?;
    let test = read_pair(&test_images, &test_labels)?;
    let shape = |images: &Images| format!("{} × {}", images.height, images.width);
    let (found, expected) = (shape(&test), shape(&train));
    if found != expected {
        let what = format!("images are {found} where those of {} are {expected}", train_images.display());
        return Err(DataError::refused(&test_images, what, OTHER));
    }
    let classes = train.labels.iter().max().map_or(0, |largest| usize::from(*largest) + 1);
    if let Some(missing) = (0..classes as u16).find(|label| !train.labels.contains(label)) {
        let what = format!("label {missing} never occurs though {} does", classes - 1);
        let remedy = "classes must be numbered from 0 without gaps";
        return Err(DataError::refused(&train_labels, what, remedy));
    }
    if let Some(row) = test.labels.iter().position(|label| usize::from(*label) >= classes) {
        return Err(no_class(&test_labels, row, test.labels[row], classes));
    }
    Ok(assemble(name, classes, train, test))
}

/// Takes files by the start of their names, and from directories the files with the usual names; of a file
/// that is there both plain and compressed it is unknown which is meant. The files of all [`PARTS`].
fn find(paths: &[PathBuf]) -> Result<[PathBuf; 4]> {
    let names = PARTS.map(|(part, dimensions)| format!("{part}-idx{dimensions}-ubyte"));
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let usual = names.iter().flat_map(|name| [path.join(name), path.join(format!("{name}.gz"))]);
            // The reader refuses what is no ordinary file when it opens it.
            files.extend(usual.filter(|file| file.symlink_metadata().is_ok()));
        } else {
            files.push(path.clone());
        }
    }
    let mut found: [Option<PathBuf>; 4] = Default::default();
    for file in files {
        let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let Some(part) = PARTS.iter().position(|(part, _)| name.starts_with(part)) else {
            let what = "is not one of train-images…, train-labels…, t10k-images…, t10k-labels…";
            return Err(DataError::refused(&file, what, "rename it or leave it out"));
        };
        if let Some(other) = &found[part] {
            let what = format!("holds the same part as {}", other.display());
            return Err(DataError::refused(&file, what, "give one of the two"));
        }
        found[part] = Some(file);
    }
    if let Some(missing) = found.iter().position(Option::is_none) {
        let (place, name) = (paths.first().cloned().unwrap_or_default(), &names[missing]);
        let remedy = "the four IDX files of a data set must all be there";
        return Err(DataError::refused(&place, format!("has no {name} or {name}.gz"), remedy));
    }
    Ok(found.map(Option::unwrap_or_default))
}

/// Images and their labels.
fn read_pair(images: &Path, labels: &Path) -> Result<Images> {
    let (shape, pixels) = parse(images, IMAGES, &read_limited(images, CONTENT_LIMIT)?)?;
    let (_, classes) = parse(labels, LABELS, &read_limited(labels, CONTENT_LIMIT)?)?;
    let [expected, height, width] = shape[..] else { unreachable!("images have three dimensions") };
    if expected == 0 {
        return Err(empty(images));
    }
    if classes.len() != expected {
        let (found, expected) = (counted(classes.len(), "label"), counted(expected, "image"));
        let what = format!("has {found} where {} has {expected}", images.display());
        return Err(DataError::refused(labels, what, OTHER));
    }
    Ok(Images { channels: 1, height, width, pixels, labels: classes.into_iter().map(u16::from).collect() })
}

/// The dimensions of a file, which has to have so many, and its bytes; `path` is for messages. Whether it is
/// compressed is seen from its first bytes, not from its name. What its header declares is compared with its
/// length before anything is allocated.
pub fn parse(path: &Path, dimensions: usize, bytes: &[u8]) -> Result<(Vec<usize>, Vec<u8>)> {
    let mut rest = bytes;
    let mut source: Box<dyn Read> = match bytes.starts_with(&[0x1F, 0x8B]) {
        true => Box::new(GzDecoder::new(&mut rest)),
        false => Box::new(&mut rest),
    };
    // Grows with what is really there.
    let mut read = |length: u64| {
        let mut read = Vec::new();
        let done = source.by_ref().take(length).read_to_end(&mut read);
        done.map(|_| read).map_err(DataError::io(path, "decompress"))
    };
    let shape = shape(path, dimensions, &read(header_length(dimensions) as u64)?)?;
    let words = shape.iter().map(u32::to_string).collect::<Vec<_>>().join(" × ");
    // At most 2³² · 2¹⁴ · 2¹⁴: fits.
    let length = shape.iter().map(|dimension| u64::from(*dimension)).product();
    DataError::limit(path, &format!("declared size {words}"), length, CONTENT_LIMIT)?;
    // One byte more, which must not be there: reading on checks the checksum.
    let values = read(length + 1)?;
    drop(source);
    let found = values.len() as u64;
    if found < length {
        let length = counted(length, "byte");
        let what = format!("the header declares {words} = {length}, the file has {found}");
        return Err(DataError::refused(path, what, AGAIN));
    }
    // Nor may anything follow the one compressed stream.
    if found > length || !rest.is_empty() {
        let what = format!("bytes follow the {length} that the header declares ({words})");
        return Err(DataError::refused(path, what, AGAIN));
    }
    Ok((shape.into_iter().map(|dimension| dimension as usize).collect(), values))
}

/// Bytes of the header: the magic number and the dimensions.
fn header_length(dimensions: usize) -> usize {
    4 + 4 * dimensions
}

/// The dimensions in a header that should have so many; it may be shorter than it should.
fn shape(path: &Path, expected: usize, header: &[u8]) -> Result<Vec<u32>> {
    let short = || {
        let (found, length) = (counted(header.len(), "byte"), header_length(expected));
        DataError::refused(path, format!("has {found} where the header alone takes {length}"), AGAIN)
    };
    let (magic, rest) = header.split_first_chunk::<4>().ok_or_else(short)?;
    let [0, 0, kind, count] = *magic else {
        let found = format!("{:#010x}", u32::from_be_bytes(*magic));
        let remedy = "an IDX file starts with two zero bytes; is it another format?";
        return Err(DataError::unfit(path, "magic number", found, "", remedy));
    };
    if kind != 0x08 {
        let remedy = "only 0x08 (unsigned bytes) can be imported";
        return Err(DataError::unfit(path, "type byte", format_args!("{kind:#04x}"), "", remedy));
    }
    if usize::from(count) != expected {
        let what = if expected == IMAGES { "images" } else { "labels" };
        let what = format!("has {} where {what} have {expected}", counted(count, "dimension"));
        return Err(DataError::refused(path, what, "are the files swapped?"));
    }
    let words = rest.as_chunks::<4>().0;
    if words.len() < expected {
        return Err(short());
    }
    let shape: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
    for (index, side) in shape.iter().enumerate().skip(1) {
        DataError::limit(path, &format!("dimension {index}"), u64::from(*side), SIDE_LIMIT)?;
        if *side == 0 {
            return Err(empty(path));
        }
    }
    Ok(shape)
}
