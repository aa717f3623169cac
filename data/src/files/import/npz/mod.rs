//! Arrays of NumPy: `x_train`, `y_train`, `x_test` and `y_test`, or `x` and `y` to be split. They are in a
//! file `.npz`, or are files `.npy` of these names.
//!
//! Images are bytes, count × rows × columns or count × rows × columns × channels. Labels are whole numbers of
//! any type.

mod array;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use array::Array;
use zip::ZipArchive;

use super::labels::{self, Labels};
use super::{AGAIN, CHANNELS_LIMIT, CONTENT_LIMIT, Found, Imported, Options, SIDE_LIMIT};
use crate::files::data_set::empty;
use crate::files::layout::files_below;
use crate::files::{DataError, Result, read_limited};
use crate::{Images, counted};

/// The arrays of images, each with that of its labels: those to be split, those to train, those to test on.
const PAIRS: [[&str; 2]; 3] = [["x", "y"], ["x_train", "y_train"], ["x_test", "y_test"]];

/// Arrays by name: the file, for messages, and its bytes.
type Arrays = BTreeMap<String, (PathBuf, Vec<u8>)>;

/// Imports the arrays in `paths`: files, or directories with them.
///
/// # Errors
/// If an array is missing, there twice, damaged, or of another type or shape.
pub fn import(paths: &[PathBuf], options: &Options) -> Result<Imported> {
    let mut arrays = Arrays::new();
    for path in paths {
        path.metadata().map_err(DataError::io(path, "open"))?;
        let is_directory = path.is_dir();
        for file in files_below(path, 1) {
            let file = file?;
            let is_array = file.extension().is_some_and(|ending| ending == "npy" || ending == "npz");
            if !is_directory || is_array {
                add(&mut arrays, &file, read_limited(&file, CONTENT_LIMIT)?)?;
            }
        }
    }
    let place = paths.first().map_or(Path::new(""), |path| path);
    from_arrays(place, &arrays, options)
}

/// As [`import`], from the bytes of a file.
///
/// # Errors
/// As [`import`].
pub fn parse(path: &Path, bytes: Vec<u8>, options: &Options) -> Result<Imported> {
    let mut arrays = Arrays::new();
    add(&mut arrays, path, bytes)?;
    from_arrays(path, &arrays, options)
}

/// Adds the arrays of a file.
fn add(arrays: &mut Arrays, path: &Path, bytes: Vec<u8>) -> Result<()> {
    if !bytes.starts_with(b"PK") {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return insert(arrays, name, path.to_owned(), bytes);
    }
    let damaged = |error: &dyn std::fmt::Display| {
        DataError::refused(path, format!("cannot be unpacked: {error}"), AGAIN)
    };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|error| damaged(&error))?;
        let inner = file.name().map_err(|error| damaged(&error))?;
        let Some(name) = inner.strip_suffix(".npy").map(str::to_owned) else { continue };
        if !PAIRS.as_flattened().contains(&name.as_str()) {
            continue;
        }
        let (inner, size) = (path.join(&*inner), file.size());
        let sum = arrays.values().map(|(_, bytes)| bytes.len() as u64).sum::<u64>().saturating_add(size);
        DataError::limit(&inner, "declared size of all arrays", sum, CONTENT_LIMIT)?;
        // Grows with what is really there.
        let mut content = Vec::new();
        file.take(size.saturating_add(1)).read_to_end(&mut content).map_err(|error| damaged(&error))?;
        insert(arrays, name, inner, content)?;
    }
    Ok(())
}

fn insert(arrays: &mut Arrays, name: String, path: PathBuf, bytes: Vec<u8>) -> Result<()> {
    if let Some((other, _)) = arrays.get(&name) {
        let what = format!("is there twice: {} holds the array {name}, too", other.display());
        return Err(DataError::refused(&path, what, "give each array once"));
    }
    arrays.insert(name, (path, bytes));
    Ok(())
}

fn from_arrays(place: &Path, arrays: &Arrays, options: &Options) -> Result<Imported> {
    let [whole, train, test] = PAIRS.map(|names| names.map(|name| arrays.get(name)));
    let (taken, train, test) = match (whole, train, test) {
        ([Some(_), Some(_)], [None, None], [None, None]) => (&PAIRS[..1], whole, [None, None]),
        ([None, None], [Some(_), Some(_)], [Some(_), Some(_)]) => (&PAIRS[1..], train, test),
        ([None, None], [Some(_), Some(_)], [None, None]) => (&PAIRS[1..2], train, test),
        _ => {
            let found: Vec<&str> = arrays.keys().map(String::as_str).collect();
            let found = if found.is_empty() { "no arrays".to_owned() } else { found.join(", ") };
            let what = format!("has {found}");
            let remedy = "name the arrays x_train, y_train, x_test and y_test, or x and y";
            return Err(DataError::refused(place, what.replace(char::is_control, "?"), remedy));
        }
    };
    let (train_path, mut train, labels) = pair(train)?.ok_or_else(|| empty(place))?;
    let test = pair(test)?;
    let (test_path, test, test_labels) = match test {
        Some((path, images, labels)) => (path, Some(images), labels),
        None => (train_path, None, Labels::default()),
    };
    let shape = |images: &Images| [images.channels, images.height, images.width];
    let classes = labels::classes((train_path, &labels), (test_path, &test_labels), None)?;
    train.labels = classes.train;
    let test = test.map(|images| Images { labels: classes.test, ..images });
    if let Some(test) = test.as_ref().filter(|test| shape(test) != shape(&train)) {
        let [found, expected] = [test, &train].map(|images| format!("{:?}", shape(images)));
        return Err(DataError::unfit(
            test_path,
            "shape of an image",
            found,
            expected,
            "are they of one data set?",
        ));
    }
    let told = ["images and labels", "training images and labels", "test images and labels"];
    let told = PAIRS.iter().zip(told).filter(|(pair, _)| taken.contains(pair));
    let taken = told.filter_map(|(pair, told)| Some((told, arrays.get(pair[0])?.0.clone()))).collect();
    let (place, notes) = (place.to_owned(), Vec::new());
    Found { place, train, test, classes: classes.count, class_names: classes.names, taken, notes }
        .finish(options)
}

/// Images and their labels, and the file of the labels; nothing, if they are not there.
fn pair(arrays: [Option<&(PathBuf, Vec<u8>)>; 2]) -> Result<Option<(&Path, Images, Labels)>> {
    let [Some((images_path, images)), Some((labels_path, labels))] = arrays else { return Ok(None) };
    let images = self::images(images_path, images)?;
    let array = Array::parse(labels_path, labels)?;
    let count = images.pixels.len() / images.stride();
    match array.shape[..] {
        [found] | [found, 1] if found == count => (),
        [found] | [found, 1] => {
            let (found, expected) = (counted(found, "label"), counted(count, "image"));
            let what = format!("has {found} where {} has {expected}", images_path.display());
            return Err(DataError::refused(labels_path, what, "are they of one data set?"));
        }
        _ => {
            let what = format!("has the shape {:?}", array.shape);
            return Err(DataError::unfit(labels_path, what, "", "one whole number for each image", ""));
        }
    }
    Ok(Some((labels_path, images, Labels::Numbers(array.integers(labels_path)?))))
}

/// Images without labels.
fn images(path: &Path, bytes: &[u8]) -> Result<Images> {
    let array = Array::parse(path, bytes)?;
    if array.kind != "|u1" {
        let remedy = "as bytes from 0 to 255: convert them with .astype(numpy.uint8)";
        return Err(DataError::unfit(path, "type of the images", array.kind, "uint8 (|u1)", remedy));
    }
    let (count, height, width, channels) = match array.shape[..] {
        [count, height, width] => (count, height, width, 1),
        [count, height, width, channels] => (count, height, width, channels),
        _ => {
            let expected = "count × rows × columns, or count × rows × columns × channels";
            return Err(DataError::unfit(
                path,
                "shape of the images",
                format!("{:?}", array.shape),
                expected,
                "",
            ));
        }
    };
    if array.bytes.is_empty() {
        return Err(empty(path));
    }
    if channels > CHANNELS_LIMIT {
        let expected = format!("1 to {CHANNELS_LIMIT}, the last dimension");
        let remedy = "if channels come second, use numpy.moveaxis(x, 1, -1)";
        return Err(DataError::unfit(path, "number of channels", channels, expected, remedy));
    }
    if height.max(width) > SIDE_LIMIT {
        let expected = format!("at most {SIDE_LIMIT} × {SIDE_LIMIT}");
        let found = format!("{height} × {width}");
        return Err(DataError::unfit(path, "size of the images", found, expected, "make them smaller"));
    }
    let plane = height * width;
    let mut pixels: Vec<u8> = Vec::with_capacity(array.bytes.len());
    for image in 0..count {
        let values = &array.bytes[image * plane * channels..][..plane * channels];
        let planes = (0..channels).flat_map(|channel| values.iter().skip(channel).step_by(channels));
        pixels.extend(planes);
    }
    Ok(Images { channels, height, width, pixels: pixels.into(), labels: Vec::new() })
}
