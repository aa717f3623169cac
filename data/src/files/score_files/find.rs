//! Where score files are: files, directories with all that lies below them, and patterns as shells have them.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::columns::{EPOCH, STEP};
use super::no_scores;
use crate::files::layout::files_below;
use crate::files::{DataError, Result};

/// The score files at `paths`, each once, by name: of a directory all files `*.parquet` in and below it.
///
/// # Errors
/// If a directory has none, a pattern fits nothing, or a directory cannot be listed.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    // By where they really are: a file that is named twice is still one.
    let mut files = BTreeMap::new();
    for path in paths {
        for place in places(path)? {
            let (before, is_directory) = (files.len(), place.is_dir());
            for file in files_below(&place, u32::MAX) {
                let file = file?;
                if !is_directory || file.extension().is_some_and(|extension| extension == "parquet") {
                    files.insert(file.canonicalize().unwrap_or_else(|_| file.clone()), file);
                }
            }
            if files.len() == before && !files.values().any(|file| file.starts_with(&place)) {
                return Err(no_scores(&place, "file *.parquet"));
            }
        }
    }
    let mut files: Vec<PathBuf> = files.into_values().collect();
    files.sort();
    Ok(files)
}

/// What `path` names: itself, if it is there, or else all that fits it as a pattern of a shell.
fn places(path: &Path) -> Result<Vec<PathBuf>> {
    let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']) && !path.exists());
    let Some(pattern) = pattern else { return Ok(vec![path.to_owned()]) };
    let options = glob::MatchOptions {
        require_literal_separator: true,
        require_literal_leading_dot: true,
        ..glob::MatchOptions::new()
    };
    let refused = |what: String| DataError::refused(path, what, "");
    let found =
        glob::glob_with(pattern, options).map_err(|error| refused(format!("is no pattern: {error}")))?;
    let listed = |error: glob::GlobError| {
        let path = error.path().to_owned();
        DataError::io(&path, "list the directory")(error.into())
    };
    let places: Vec<PathBuf> = found.collect::<Result<_, _>>().map_err(listed)?;
    if places.is_empty() {
        return Err(refused("is a pattern that no file fits".to_owned()));
    }
    Ok(places)
}

/// What the directories of a file say of all its rows, as Hive names partitions: `epoch=3/part-0.parquet`.
pub(super) fn partitions(file: &Path) -> Vec<(&'static str, u64)> {
    let directories = file.parent().into_iter().flat_map(Path::components);
    let value = |component: Component<'_>| {
        let (name, value) = component.as_os_str().to_str()?.split_once('=')?;
        let name = [EPOCH, STEP].into_iter().find(|known| *known == name)?;
        Some((name, value.parse().ok()?))
    };
    directories.filter_map(value).collect()
}
