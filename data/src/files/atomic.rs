//! Files that appear whole or not at all: written as `*.part`, made durable, renamed.
//!
//! The one place that does this. After [`commit`] the file and its name survive a power loss; before, or when
//! the process dies, there is at most a file that ends in `.part`, which counts for nothing.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{DataError, Result, layout, operation};

/// A file under construction, called `*.part`, which is hashed on its way. Dropped before [`commit`], it is
/// removed.
#[derive(Debug)]
pub struct Part {
    file: File,
    hasher: blake3::Hasher,
    part: PathBuf,
    path: PathBuf,
    /// Whether it has its name.
    named: bool,
}

/// Starts the file that will be called `path`; a leftover of an earlier attempt is overwritten, unless it is
/// a link: what a link leads to is no file of the run.
pub fn create(path: &Path) -> Result<BufWriter<Part>> {
    let part = layout::part_of(path);
    refuse_link(&part)?;
    let file = operation::create(&part).map_err(DataError::io(&part, "create the file"))?;
    let (hasher, path) = (blake3::Hasher::new(), path.to_owned());
    Ok(BufWriter::new(Part { file, hasher, part, path, named: false }))
}

/// Makes the content durable, then gives it its name, replacing a file that has it; returns its length, and
/// its BLAKE3 in hexadecimal.
pub fn commit(mut written: BufWriter<Part>) -> Result<(u64, String)> {
    let flushed = written.flush();
    let Part { file, hasher, part, path, named } = written.get_mut();
    flushed.map_err(DataError::io(part, "write"))?;
    operation::sync(file, part).map_err(DataError::io(part, "make the file durable"))?;
    operation::rename(part, path).map_err(DataError::io(path, "rename the finished file"))?;
    *named = true;
    sync_directory(parent(path))?;
    Ok((hasher.count(), hasher.finalize().to_hex().to_string()))
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // All of them, so that it is known what was written.
        operation::write(&self.file, &self.part, bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.named {
            // That it may fail changes nothing, since a `.part` file counts for nothing.
            let _ = operation::remove_file(&self.part);
        }
    }
}

/// Writes a whole file, replacing one of the same name.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes).map_err(DataError::io(path, "write"))?;
    commit(file).map(drop)
}

/// An error if something has this name, even a dangling link.
pub fn refuse_existing(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(_) => {
            let remedy = "choose another path or remove it";
            Err(DataError::refused(path, "exists already and was left as it is", remedy))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(DataError::io(path, "look at the path")(error)),
    }
}

/// An error if a link has this name: a write through it may leave the run directory.
pub(super) fn refuse_link(path: &Path) -> Result<()> {
    if !path.is_symlink() {
        return Ok(());
    }
    let what = "is a symbolic link, which could lead out of the run directory";
    Err(DataError::refused(path, what, "put the file itself there"))
}

/// Creates a directory and those above it, and makes their names durable; existing ones are left as they are.
pub fn create_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = parent(path);
    if above != path {
        create_directory(above)?;
    }
    match operation::create_directory(path) {
        // Another worker may have been faster.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(DataError::io(path, "create the directory")(error)),
        Ok(()) => sync_directory(above),
    }
}

/// The directory that holds `path`.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in a directory durable. Only Unix opens a directory for that; elsewhere the rename must
/// do.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    if cfg!(unix) {
        operation::sync_directory(path).map_err(DataError::io(path, "make the directory durable"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_file_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.bin");
        let mut file = create(&path).unwrap();
        file.write_all(b"half").unwrap();
        file.flush().unwrap();
        assert_eq!(std::fs::read(directory.path().join("a.bin.part")).unwrap(), b"half");
        drop(file);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_committed_file_replaces_the_old_one_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.bin");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        let error = refuse_existing(&path).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{}: exists already and was left as it is; choose another path or remove it",
                path.display()
            )
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn directories_are_created_with_those_above_and_again_without_harm() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/c");
        create_directory(&path).unwrap();
        create_directory(&path).unwrap();
        assert!(path.is_dir());
        std::fs::write(directory.path().join("file"), b"").unwrap();
        let error = create_directory(&directory.path().join("file/below")).unwrap_err().to_string();
        assert!(error.contains("file: cannot create the directory: "), "{error}");
    }
}
