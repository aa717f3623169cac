//! A folder of pictures: a directory for each class, in `train` and `test`, or without these to be split.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::picture::{Collected, Pictures};
use super::{Found, Imported, Options, check_classes};
use crate::files::layout::{ends_in, entries, files_below};
use crate::files::picture::{ENDINGS, FILE_LIMIT};
use crate::files::{DataError, Result, read_limited};
use crate::{counted, visible};

/// Names of the directory with images to test on; the first that is there is taken.
const TEST: [&str; 4] = ["test", "val", "validation", "valid"];

/// Pictures by the name of their class.
type Classes = BTreeMap<String, Vec<PathBuf>>;

/// Imports the pictures below `directory`.
///
/// # Errors
/// If there are no classes, or pictures differ in size, are too large or cannot be read.
pub fn import(directory: &Path, pictures: &Pictures, options: &Options) -> Result<Imported> {
    let root = directory.join("train");
    let has_parts = root.is_dir();
    let root = if has_parts { root } else { directory.to_owned() };
    let test_root = TEST.iter().map(|name| directory.join(name)).find(|place| has_parts && place.is_dir());
    let mut others = 0;
    let train = classes(&root, &mut others)?;
    let test = test_root.as_deref().map(|root| classes(root, &mut others)).transpose()?.unwrap_or_default();
    if let Some(test_root) = &test_root
        && let Some(unknown) = test.keys().find(|class| !train.contains_key(*class))
    {
        let what = format!("has a class {:?} that {} lacks", visible(unknown), root.display());
        return Err(DataError::refused(test_root, what, "both need the same names of classes"));
    }
    let class_names: Vec<String> = train.keys().map(|name| visible(name).into_owned()).collect();
    if let [name] = &class_names[..] {
        let what = format!("has pictures of one class only, {name:?}");
        return Err(DataError::refused(
            &root,
            what,
            "name the directory that has a directory for each class",
        ));
    }
    if class_names.is_empty() {
        let what = format!("has no directories with pictures ({})", ENDINGS.join(", "));
        return Err(DataError::refused(&root, what, "each class needs a directory of its own"));
    }
    check_classes(&root, class_names.len())?;
    let numbers: BTreeMap<&String, u16> = train.keys().zip(0..).collect();
    let mut collected = Collected::new(pictures);
    let read = |root: &Path, classes: &Classes, collected: &mut Collected| -> Result<Vec<u16>> {
        let mut labels = Vec::new();
        for (name, files) in classes {
            for file in files {
                let bytes = read_limited(file, FILE_LIMIT).map_err(|error| error.to_string());
                let place = file.strip_prefix(directory).unwrap_or(file).display().to_string();
                if collected.add(root, place, bytes.as_deref().map_err(Clone::clone))? {
                    labels.push(numbers[name]);
                }
            }
        }
        Ok(labels)
    };
    let labels = read(&root, &train, &mut collected)?;
    collected.begin_test();
    let test_labels = read(&root, &test, &mut collected)?;
    let (mut train, mut test, mut notes) = collected.finish(directory)?;
    train.labels = labels;
    if let Some(test) = &mut test {
        test.labels = test_labels;
    }
    if others > 0 {
        notes.push(format!("{} beside the pictures were left alone", counted(others, "other file")));
    }
    let taken = [("training images", Some(root)), ("test images", test_root.filter(|_| test.is_some()))];
    let taken = taken.into_iter().filter_map(|(what, place)| Some((what, place?))).collect();
    let (place, classes) = (directory.to_owned(), class_names.len());
    Found { place, train, test, classes, class_names, taken, notes }.finish(options)
}

/// The pictures of each class: those in a directory of its name, and below it.
fn classes(root: &Path, others: &mut usize) -> Result<Classes> {
    // A directory that is not there would be an empty one.
    root.metadata().map_err(DataError::io(root, "open"))?;
    let mut classes = Classes::new();
    for entry in entries(root)? {
        let (place, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with(['.', '_']) || !place.is_dir() {
            continue;
        }
        let files: Vec<PathBuf> = files_below(&place, 8).collect::<Result<_>>()?;
        let (pictures, rest): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| ends_in(file, &ENDINGS));
        *others += rest.len();
        if !pictures.is_empty() {
            classes.insert(name, pictures);
        }
    }
    Ok(classes)
}
