//! Where the results of a grid go: all of them or nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::layout::{TRACE, is_segment, part_of};
use spfde_data::files::parquet_store::ParquetStore;
use spfde_data::files::run_directory;
use spfde_data::files::{DataError, atomic};
use spfde_data::rows::{FreezeRow, SieveRow};
use spfde_data::segment::SegmentStore;
use spfde_data::table::Row;

use super::TABLE_NAME;

/// The directory of results; what is in it goes again unless it is kept.
pub(super) struct Directory {
    path: PathBuf,
    /// Whether it was there before.
    existed: bool,
    /// Directories in or below it that hold decisions.
    below: Vec<PathBuf>,
    kept: bool,
}

impl Directory {
    /// Creates it, or takes an empty one.
    pub(super) fn create(path: &Path) -> Result<Self, DataError> {
        let existed = path.exists();
        atomic::create_directory(path)?;
        refuse_taken(path)?;
        Ok(Self { path: path.to_owned(), existed, below: Vec::new(), kept: false })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A store for decisions in its directory `name`, or in itself.
    pub(super) fn store(&mut self, name: &str) -> Arc<dyn SegmentStore> {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        self.below.push(path.clone());
        Arc::new(ParquetStore::new(&path))
    }

    /// Removes a file of decisions again, below the directory `name` or itself.
    pub(super) fn remove(&self, name: &str, file: &str) -> Result<(), DataError> {
        let path = self.path.join(name).join(file);
        std::fs::remove_file(&path).map_err(|source| DataError::Io {
            path,
            action: "remove the file",
            source,
        })
    }

    /// Keeps it, with all that is in it.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

/// An error if something is in the directory already; what a grid leaves that was killed is told from all
/// else.
pub(crate) fn refuse_taken(path: &Path) -> Result<(), DataError> {
    if !path.is_dir() {
        return Ok(());
    }
    let failed = |source| DataError::Io { path: path.to_owned(), action: "list the directory", source };
    if path.read_dir().map_err(failed)?.next().is_none() {
        return Ok(());
    }
    Err(match is_left(path) {
        true => {
            let what = format!(
                "holds nothing but what a grid writes before its table {TABLE_NAME}, \
                 as one leaves that was killed"
            );
            let remedy = "nothing was changed; remove the directory, unless a grid is still at work there, \
                          or choose another";
            DataError::refused(path, what, remedy)
        }
        false => run_directory::taken(path),
    })
}

/// Whether all that is in the directory of results is what a grid has there before its table is whole:
/// decisions, of several runs below a directory for each, and the beginning of the table.
fn is_left(path: &Path) -> bool {
    let begun = part_of(Path::new(TABLE_NAME));
    all(path, |entry, is_directory| match is_directory {
        true => are_decisions(entry) || (!is_empty(entry) && all(entry, |below, _| are_decisions(below))),
        false => entry.file_name().is_some_and(|name| name == begun),
    })
}

/// Whether a directory is the one of a grid's decisions, with nothing else in it.
fn are_decisions(path: &Path) -> bool {
    let is_stream = |name: &str| [SieveRow::STREAM, FreezeRow::STREAM].contains(&name);
    let named = |path: &Path, is: &dyn Fn(&str) -> bool| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(is)
    };
    named(path, &|name| name == TRACE)
        && all(path, |stream, is_directory| {
            is_directory
                && named(stream, &is_stream)
                && all(stream, |file, is_directory| !is_directory && file.file_name().is_some_and(is_segment))
        })
}

/// Whether `fits` holds of all that is in a directory, which is told what are directories and ordinary files:
/// nothing else fits, nor what cannot be looked at.
fn all(directory: &Path, fits: impl Fn(&Path, bool) -> bool) -> bool {
    directory.read_dir().is_ok_and(|mut entries| {
        entries.all(|entry| {
            entry.is_ok_and(|entry| match entry.file_type() {
                Ok(kind) if kind.is_dir() || kind.is_file() => fits(&entry.path(), kind.is_dir()),
                _ => false,
            })
        })
    })
}

fn is_empty(directory: &Path) -> bool {
    all(directory, |_, _| false)
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // That it may fail changes nothing: without its table the directory is no result.
        for path in &self.below {
            let _ = std::fs::remove_dir_all(path.join(TRACE));
            if *path != self.path {
                let _ = std::fs::remove_dir(path);
            }
        }
        if !self.existed {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}
