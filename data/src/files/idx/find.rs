//! Which files make a data set.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::files::layout::files_below;
use crate::files::{DataError, Result};

/// The parts of a data set, in the order of [`Files`]: what they are, and the usual names of their files.
const PARTS: [(&str, &str); 4] = [
    ("training images", "train-images-idx3-ubyte"),
    ("training labels", "train-labels-idx1-ubyte"),
    ("test images", "t10k-images-idx3-ubyte"),
    ("test labels", "t10k-labels-idx1-ubyte"),
];

/// What to do about a file with another name.
const SAY: &str = "say what a file holds with --train-images, --train-labels, --test-images or --test-labels";

/// The files of a data set: training images, training labels, test images, test labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The files, as far as they are known.
    pub parts: [Option<PathBuf>; 4],
    /// Where they were looked for.
    pub place: PathBuf,
}

impl Files {
    /// What is known of the files, each with what it holds.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        PARTS.iter().zip(&self.parts).filter_map(|(part, file)| Some((part.0, file.as_deref()?)))
    }

    /// The training files.
    pub(super) fn train(&self) -> Result<(&Path, &Path)> {
        Ok((self.part(0)?, self.part(1)?))
    }

    /// The test files; none if a share of the training images stands in for them, be it a `fraction` that was
    /// asked for.
    pub(super) fn test(&self, fraction: Option<f64>) -> Result<Option<(&Path, &Path)>> {
        match (&self.parts[2], &self.parts[3], fraction) {
            (None, None, _) => Ok(None),
            (Some(file), _, Some(_)) | (None, Some(file), Some(_)) => {
                let remedy = "leave out --test-fraction, or name the training files alone";
                Err(DataError::refused(file, "is part of a test set", remedy))
            }
            _ => Ok(Some((self.part(2)?, self.part(3)?))),
        }
    }

    /// What the place does: it is a directory or one of the files.
    fn lacks(&self) -> &'static str {
        if self.place.is_dir() { "has no" } else { "comes with no" }
    }

    fn part(&self, part: usize) -> Result<&Path> {
        let (what, usual) = PARTS[part];
        self.parts[part].as_deref().ok_or_else(|| {
            let elsewhere = folder(&self.place).filter(|folder| *folder != self.place);
            let elsewhere = elsewhere
                .map_or_else(String::new, |folder| format!(" (there are IDX files in {})", folder.display()));
            let what = format!("{} {what}, such as {usual} or {usual}.gz{elsewhere}", self.lacks());
            DataError::refused(&self.place, what, SAY)
        })
    }
}

/// Takes files by their names, and from directories the files that are called as IDX files are, plain rather
/// than compressed; those that are `given` come first.
///
/// # Errors
/// If a file's name does not say what it holds, or several hold the same part.
pub fn find(paths: &[PathBuf], given: [Option<PathBuf>; 4]) -> Result<Files> {
    for file in paths.iter().chain(given.iter().flatten()) {
        file.metadata().map_err(DataError::io(file, "open"))?;
    }
    let mut found: [Vec<PathBuf>; 4] = Default::default();
    for path in paths {
        let is_directory = path.is_dir();
        for file in files_below(path, 1) {
            let file = file?;
            match part_of(&file) {
                Some(part) if !is_directory || is_named(&file) => found[part].push(file),
                None if !is_directory => {
                    return Err(DataError::refused(&file, "has a name that does not say what it holds", SAY));
                }
                _ => (),
            }
        }
    }
    let mut parts = given;
    for ((known, mut files), (what, _)) in parts.iter_mut().zip(found).zip(PARTS) {
        files.sort();
        files.dedup();
        let plain = files.clone();
        files.retain(|file| {
            file.extension() != Some(OsStr::new("gz")) || !plain.contains(&file.with_extension(""))
        });
        match (&known, &files[..]) {
            (Some(_), _) | (None, []) => (),
            (None, [file]) => *known = Some(file.clone()),
            (None, [first, second, ..]) => {
                let what = format!("holds {what}, as does {}", first.display());
                return Err(DataError::refused(second, what, "give the four files of one data set"));
            }
        }
    }
    let place = paths.iter().chain(parts.iter().flatten()).next().cloned().unwrap_or_default();
    Ok(Files { parts, place })
}

/// The nearest directory with IDX files: `directory` itself, or one that is at most two levels below it; the
/// first by name.
pub fn folder(directory: &Path) -> Option<PathBuf> {
    if !directory.is_dir() {
        return None;
    }
    let mut files = files_below(directory, 3).flatten();
    Some(files.find(|file| is_named(file) && part_of(file).is_some())?.parent()?.to_owned())
}

/// Whether a file is called as IDX files are.
pub fn is_named(path: &Path) -> bool {
    ["idx", "ubyte"].iter().any(|mark| name(path).contains(mark))
}

/// The name of a file, in lower case.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Which part a file holds, by its name.
fn part_of(path: &Path) -> Option<usize> {
    let name = name(path);
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let set = if has(&["train"]) { 0 } else { has(&["t10k", "test"]).then_some(2)? };
    if has(&["image"]) { Some(set) } else { has(&["label"]).then_some(set + 1) }
}
