//! Finds the four files of a data set among the paths given.

use std::path::{Path, PathBuf};

use crate::files::error::{DataError, Result};

/// The parts of a data set: how their file names start, and what they are called in full.
const PARTS: [(&str, &str); 4] = [
    ("train-images", "train-images-idx3-ubyte"),
    ("train-labels", "train-labels-idx1-ubyte"),
    ("t10k-images", "t10k-images-idx3-ubyte"),
    ("t10k-labels", "t10k-labels-idx1-ubyte"),
];

/// Takes files by the start of their names, and from directories the files with the usual names; of a file
/// that is there both plain and compressed it is unknown which is meant. The files are images and labels to
/// train, images and labels to test.
pub(super) fn find(paths: &[PathBuf]) -> Result<[PathBuf; 4]> {
    let mut found: [Option<PathBuf>; 4] = Default::default();
    for path in paths {
        if path.is_dir() {
            for (part, (_, name)) in PARTS.iter().enumerate() {
                for file in [path.join(name), path.join(format!("{name}.gz"))] {
                    // The reader refuses what is no ordinary file when it opens it.
                    if file.symlink_metadata().is_ok() {
                        set(&mut found[part], file)?;
                    }
                }
            }
        } else {
            let part = part_of(path).ok_or_else(|| {
                let what = "is not one of train-images…, train-labels…, t10k-images…, t10k-labels…";
                DataError::refused(path, what, "rename it or leave it out")
            })?;
            set(&mut found[part], path.clone())?;
        }
    }
    let place = paths.first().cloned().unwrap_or_default();
    let missing = |part: usize| {
        let name = PARTS[part].1;
        let remedy = "the four IDX files of a data set must all be there";
        DataError::refused(&place, format!("has no {name} or {name}.gz"), remedy)
    };
    match found.iter().position(Option::is_none) {
        Some(part) => Err(missing(part)),
        None => Ok(found.map(Option::unwrap_or_default)),
    }
}

/// The part that a file holds, by its name.
fn part_of(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_str()?;
    PARTS.iter().position(|(start, _)| name.starts_with(start))
}

fn set(place: &mut Option<PathBuf>, file: PathBuf) -> Result<()> {
    match place {
        Some(other) => {
            let what = format!("holds the same part as {}", other.display());
            Err(DataError::refused(&file, what, "give one of the two"))
        }
        None => {
            *place = Some(file);
            Ok(())
        }
    }
}
