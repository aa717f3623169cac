//! Files of what can be computed anew. They have no names and go when they are closed, however the process
//! ends.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::files::{DataError, operation};
use crate::{Scratch, segment};

/// Keeps bytes in files below a directory, one file for each length, each a list of slots.
///
/// The system keeps what it can of them in memory, as of every file. Dropped, it removes the directory,
/// unless something else lies there.
#[derive(Debug)]
pub struct ScratchFiles {
    directory: PathBuf,
    files: BTreeMap<usize, Slots>,
}

#[derive(Debug)]
struct Slots {
    file: File,
    /// Slots of the file.
    count: u64,
    /// Those among them that hold nothing.
    free: Vec<u64>,
}

impl ScratchFiles {
    /// Will keep what is written below `directory`, which it creates when it needs it.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), files: BTreeMap::new() }
    }

    fn create(directory: &Path) -> Result<Slots, DataError> {
        let made = if directory.is_dir() { Ok(()) } else { operation::create_directory(directory) };
        // Another thread may have been faster.
        let made = made.or_else(|error| if directory.is_dir() { Ok(()) } else { Err(error) });
        made.map_err(DataError::io(directory, "create the directory"))?;
        let file = operation::create_unnamed(directory);
        let file = file.map_err(DataError::io(directory, "create a file in the directory"))?;
        Ok(Slots { file, count: 0, free: Vec::new() })
    }
}

impl Scratch for ScratchFiles {
    fn write(&mut self, bytes: &[u8]) -> segment::Result<u64> {
        let Self { directory, files } = self;
        let slots = match files.entry(bytes.len()) {
            Entry::Occupied(slots) => slots.into_mut(),
            Entry::Vacant(place) => place.insert(Self::create(directory)?),
        };
        let slot = slots.free.last().copied().unwrap_or(slots.count);
        let written = slots
            .file
            .seek(SeekFrom::Start(slot * bytes.len() as u64))
            .and_then(|_| operation::write(&slots.file, directory, bytes));
        written.map_err(DataError::io(directory, "write a file in the directory"))?;
        if slots.free.pop().is_none() {
            slots.count += 1;
        }
        Ok(slot)
    }

    fn read(&mut self, place: u64, into: &mut [u8]) -> segment::Result<()> {
        let slots = self.files.get_mut(&into.len()).expect("a place of so many bytes was written");
        let start = SeekFrom::Start(place * into.len() as u64);
        let read = slots.file.seek(start).and_then(|_| slots.file.read_exact(into));
        Ok(read.map_err(DataError::io(&self.directory, "read a file in the directory"))?)
    }

    fn free(&mut self, place: u64, bytes: usize) {
        let slots = self.files.get_mut(&bytes).expect("a place of so many bytes was written");
        slots.free.push(place);
        // A file without content gives its room back.
        if slots.free.len() as u64 == slots.count {
            self.files.remove(&bytes);
        }
    }
}

impl Drop for ScratchFiles {
    fn drop(&mut self) {
        self.files.clear();
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
    fn what_was_written_is_read_until_it_is_freed_and_leaves_nothing() {
        let run = tempfile::tempdir().unwrap();
        let directory = run.path().join("cache");
        let mut scratch = ScratchFiles::new(&directory);
        assert!(!directory.exists());
        let mut kept: Vec<(u64, Vec<u8>)> = Vec::new();
        for round in 0..50_u8 {
            let written = bytes(round, if round % 3 == 0 { 700 } else { 70 });
            kept.push((scratch.write(&written).unwrap(), written));
            if round % 4 == 3 {
                let (place, freed) = kept.remove(usize::from(round) / 8);
                scratch.free(place, freed.len());
            }
            for (place, expected) in &kept {
                let mut found = vec![0; expected.len()];
                scratch.read(*place, &mut found).unwrap();
                assert_eq!(&found, expected);
            }
        }
        // As many slots as were in use at once, at most.
        let slots: u64 = scratch.files.values().map(|slots| slots.count).sum();
        assert!(slots <= kept.len() as u64 + 2, "{slots} of {}", kept.len());
        // The files have no names.
        assert!(directory.is_dir() && (cfg!(windows) || directory.read_dir().unwrap().next().is_none()));
        let other = ScratchFiles::new(&directory);
        drop((scratch, other));
        assert!(!directory.exists());
    }

    #[test]
    fn a_directory_that_cannot_be_is_an_error_that_names_it() {
        let run = tempfile::tempdir().unwrap();
        let directory = run.path().join("file").join("cache");
        std::fs::write(run.path().join("file"), "").unwrap();
        let error = ScratchFiles::new(&directory).write(&[1]).unwrap_err().to_string();
        assert!(error.contains(&directory.display().to_string()), "{error}");
    }
}
