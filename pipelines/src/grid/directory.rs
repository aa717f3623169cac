//! Where the results of a grid go: all of them or nothing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::layout::{TRACE, entries, is_segment, part_of};
use spfde_data::files::table_file::{self, Columns};
use spfde_data::files::{DataError, ParquetStore, atomic, run_directory};
use spfde_data::{FreezeRow, Row, SegmentStore, SieveRow};

use super::table::columns;
use super::{GridOptions, JudgedRun, KEPT_NAME, NAMES_NAME, TABLE_NAME};

/// The tables in the directory of results, in the order in which they are written.
const TABLES: [&str; 3] = [NAMES_NAME, KEPT_NAME, TABLE_NAME];

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
    /// Creates that of the results, if one is asked for, or takes an empty one.
    pub(super) fn create(options: &GridOptions) -> Result<Option<Self>, DataError> {
        let Some(path) = options.directory.clone() else { return Ok(None) };
        let existed = path.exists();
        atomic::create_directory(&path)?;
        refuse_taken(&path)?;
        Ok(Some(Self { path, existed, below: Vec::new(), kept: false }))
    }

    /// A store for decisions, if they are wanted, in its directory `name` or, without a name, in itself.
    pub(super) fn store(&mut self, options: &GridOptions, name: &str) -> Option<Arc<dyn SegmentStore>> {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        options.decisions.then(|| {
            self.below.push(path.clone());
            Arc::new(ParquetStore::new(&path)) as Arc<dyn SegmentStore>
        })
    }

    /// Removes a file of decisions again, below the directory `name` or itself.
    pub(super) fn remove(&self, name: &str, file: &str) -> Result<(), DataError> {
        let path = self.path.join(name).join(file);
        let failed = |source| DataError::Io { path: path.clone(), action: "remove the file", source };
        std::fs::remove_file(&path).map_err(failed)
    }

    /// Writes a table of results, one of those that come before the last: row group by row group.
    pub(super) fn write(&self, name: &str, groups: impl Iterator<Item = Columns>) -> Result<(), DataError> {
        table_file::write_groups(&self.path.join(name), groups)
    }

    /// Writes the table, and keeps all that is there.
    pub(super) fn keep(mut self, runs: &[JudgedRun]) -> Result<(), DataError> {
        table_file::write(&self.path.join(TABLE_NAME), columns(runs))?;
        self.kept = true;
        Ok(())
    }
}

/// An error if something is in the directory already; what a grid leaves that was killed is told from all
/// else.
pub(crate) fn refuse_taken(path: &Path) -> Result<(), DataError> {
    if !path.is_dir() || entries(path)?.is_empty() {
        return Ok(());
    }
    if !is_left(path) {
        return Err(run_directory::taken(path));
    }
    let what = format!(
        "holds nothing but what a grid writes before its table {TABLE_NAME}, \
         as one leaves that was killed"
    );
    let remedy = "nothing was changed; remove the directory, unless a grid is still at work there, \
                  or choose another";
    Err(DataError::refused(path, what, remedy))
}

/// Whether all that is in the directory of results is what a grid has there before its table is whole:
/// decisions, of several runs below a directory for each, the beginning of a table, and whole tables beside
/// one of these. (A table alone may be the user's.)
fn is_left(path: &Path) -> bool {
    let is_begun = |name: &OsStr| TABLES.iter().any(|table| name == part_of(Path::new(table)));
    let is_sure = |entry: &Path, is_directory: bool| match is_directory {
        true => are_decisions(entry) || (!is_empty(entry) && all(entry, |below, _| are_decisions(below))),
        false => entry.file_name().is_some_and(is_begun),
    };
    let is_table = |entry: &Path| is(entry, &[NAMES_NAME, KEPT_NAME]);
    let has_sure = !all(path, |entry, is_directory| !is_sure(entry, is_directory));
    has_sure
        && all(path, |entry, is_directory| is_sure(entry, is_directory) || !is_directory && is_table(entry))
}

/// Whether a path ends in one of these names.
fn is(path: &Path, names: &[&str]) -> bool {
    names.iter().any(|name| path.file_name().is_some_and(|found| found == *name))
}

/// Whether a directory is the one of a grid's decisions, with nothing else in it.
fn are_decisions(path: &Path) -> bool {
    is(path, &[TRACE])
        && all(path, |stream, is_directory| {
            is_directory
                && is(stream, &[SieveRow::STREAM, FreezeRow::STREAM])
                && all(stream, |file, is_directory| !is_directory && file.file_name().is_some_and(is_segment))
        })
}

/// Whether `fits` holds of all that is in a directory, which is told what are directories and ordinary files:
/// nothing else fits, nor what cannot be looked at.
fn all(directory: &Path, fits: impl Fn(&Path, bool) -> bool) -> bool {
    entries(directory).is_ok_and(|found| {
        found.iter().all(|entry| {
            let kind = entry.file_type().ok().filter(|kind| kind.is_dir() || kind.is_file());
            kind.is_some_and(|kind| fits(&entry.path(), kind.is_dir()))
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
        for name in TABLES {
            let _ = std::fs::remove_file(self.path.join(name));
        }
        if !self.existed {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}
