//! A file of what can be computed anew. It has no name and goes when it is closed, however the process ends.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::files::{DataError, operation};
use crate::{Scratch, segment};

/// Keeps bytes in a file below a directory, as long as what was written farthest behind.
///
/// The system keeps what it can of it in memory, as of every file. Dropped, it removes the directory, unless
/// something else lies there.
#[derive(Debug)]
pub struct ScratchFile {
    directory: PathBuf,
    file: Option<File>,
}

impl ScratchFile {
    /// Will keep what is written below `directory`, which it creates when it needs it.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), file: None }
    }

    fn create(directory: &Path) -> Result<File, DataError> {
        let made = if directory.is_dir() { Ok(()) } else { operation::create_directory(directory) };
        // Another thread may have been faster.
        let made = made.or_else(|error| if directory.is_dir() { Ok(()) } else { Err(error) });
        made.map_err(DataError::io(directory, "create the directory"))?;
        let file = operation::create_unnamed(directory);
        file.map_err(DataError::io(directory, "create a file in the directory"))
    }
}

impl Scratch for ScratchFile {
    fn write(&mut self, place: u64, bytes: &[u8]) -> segment::Result<()> {
        if self.file.is_none() {
            self.file = Some(Self::create(&self.directory)?);
        }
        let mut file = self.file.as_ref().expect("it is there now");
        let sought = file.seek(SeekFrom::Start(place));
        let written = sought.and_then(|_| operation::write(file, &self.directory, bytes));
        Ok(written.map_err(DataError::io(&self.directory, "write a file in the directory"))?)
    }

    fn read(&mut self, place: u64, into: &mut [u8]) -> segment::Result<()> {
        let mut file = self.file.as_ref().expect("something was written there");
        let read = file.seek(SeekFrom::Start(place)).and_then(|_| file.read_exact(into));
        Ok(read.map_err(DataError::io(&self.directory, "read a file in the directory"))?)
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        self.file = None;
        let _ = operation::remove_directory(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(of: u8, count: usize) -> Vec<u8> {
        (0..count).map(|place| of.wrapping_mul(31).wrapping_add(place as u8)).collect()
    }

    #[test]
    fn what_was_written_is_read_until_something_is_written_over_it_and_leaves_nothing() {
        let run = tempfile::tempdir().unwrap();
        let directory = run.path().join("cache");
        let mut scratch = ScratchFile::new(&directory);
        assert!(!directory.exists());
        // From back to front, then two over the first.
        for round in (0..20_u8).rev() {
            scratch.write(u64::from(round) * 700, &bytes(round, 700)).unwrap();
        }
        scratch.write(0, &bytes(50, 350)).unwrap();
        scratch.write(350, &bytes(51, 350)).unwrap();
        let expected = (1..20).map(|round| (u64::from(round) * 700, bytes(round, 700)));
        for (place, expected) in expected.chain([(0, bytes(50, 350)), (350, bytes(51, 350))]) {
            let mut found = vec![0; expected.len()];
            scratch.read(place, &mut found).unwrap();
            assert_eq!(found, expected);
        }
        assert_eq!(scratch.file.as_ref().unwrap().metadata().unwrap().len(), 14_000);
        // The file has no name.
        assert!(directory.is_dir() && (cfg!(windows) || directory.read_dir().unwrap().next().is_none()));
        let other = ScratchFile::new(&directory);
        drop((scratch, other));
        assert!(!directory.exists());
    }

    #[test]
    fn a_directory_that_cannot_be_is_an_error_that_names_it() {
        let run = tempfile::tempdir().unwrap();
        let directory = run.path().join("file").join("cache");
        std::fs::write(run.path().join("file"), "").unwrap();
        let error = ScratchFile::new(&directory).write(0, &[1]).unwrap_err().to_string();
        assert!(error.contains(&directory.display().to_string()), "{error}");
    }
}
