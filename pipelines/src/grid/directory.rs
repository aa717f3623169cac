//! Where the results of a grid go: all of them or nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::parquet_store::ParquetStore;
use spfde_data::files::{DataError, atomic};
use spfde_data::segment::SegmentStore;

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
        let mut entries = path.read_dir().map_err(|source| DataError::Io {
            path: path.to_owned(),
            action: "list the directory",
            source,
        })?;
        match entries.next() {
            Some(_) => Err(DataError::NotEmpty { path: path.to_owned() }),
            None => Ok(Self { path: path.to_owned(), existed, below: Vec::new(), kept: false }),
        }
    }

    /// The directory of process 0, which keeps or removes all that is in it.
    pub(super) fn joined(path: &Path) -> Self {
        Self { path: path.to_owned(), existed: true, below: Vec::new(), kept: true }
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

impl Drop for Directory {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // That it may fail changes nothing: without its table the directory is no result.
        for path in &self.below {
            let _ = std::fs::remove_dir_all(path.join("trace"));
            if *path != self.path {
                let _ = std::fs::remove_dir(path);
            }
        }
        if !self.existed {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}
