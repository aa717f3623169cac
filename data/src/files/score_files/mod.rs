//! Bare score files: Parquet written by any trainer, so that its training can be analysed too.
//!
//! A file, or a directory of files, with the columns `sample`, `epoch`, `step` and `correct`, optionally
//! `loss`; others are ignored. Whole numbers may have any width and sign, `correct` may be a boolean, or an
//! integer that is 0 or 1. Every row needs a value in each of them, and a loss, where there is one, is
//! finite. The samples are all that occur; `step` only orders within an epoch. Any compression that this
//! program can read will do: none, Snappy, Zstandard.
//!
//! The columns `sample` and `epoch` are read once at the start, on all threads. A share of all samples can
//! only be taken when all are known. After that row groups are read when their first epoch is due. Memory
//! holds the open files of the row groups in hand (compressed) and a batch of rows of each. The stage that
//! judges the rows keeps those of an epoch until all of it has been read. So there is a limit to the rows
//! that so many bytes may stand for.

mod columns;
mod index;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use spfde_parquet_guard::{Batches, FILE_LIMIT, ParquetFile};

use super::error::{DataError, Result};
use super::layout::entries;
use super::read_limited::read_limited;
use crate::scores::{ScoreColumns, ScoreSource};
use crate::segment::RecordingError;
use columns::{Batch, REQUIRED};

/// The greatest number a sample may have. State is kept for the samples that occur; a bit for each up to the
/// greatest.
pub const SAMPLE_LIMIT: u32 = (1 << 28) - 1;

/// The greatest number an epoch may have: every epoch up to the last is decided.
pub const EPOCH_LIMIT: u32 = 9_999;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 1 << 16;

/// Score files, indexed: which samples and epochs occur, and where.
#[derive(Debug)]
pub struct ScoreFiles {
    files: Vec<ScoreFile>,
    /// Ordered by first epoch, then file, then row group.
    parts: Vec<Part>,
    /// The samples that occur, ascending. The slot of each is how many smaller ones occur.
    samples: Vec<u32>,
    epochs: u32,
    losses: bool,
}

/// One file.
#[derive(Debug)]
struct ScoreFile {
    path: PathBuf,
    /// The file, while a thread reads from it.
    open: Mutex<Weak<ParquetFile>>,
}

/// One row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    first: u32,
    file: usize,
    group: usize,
    rows: u64,
    last: u32,
}

impl ScoreFile {
    /// The file with its columns checked, read anew unless another thread has it open.
    fn open(&self, losses: bool) -> Result<Arc<ParquetFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.upgrade() {
            return Ok(file);
        }
        let file = Arc::new(ParquetFile::parse(&self.path, read_limited(&self.path, FILE_LIMIT)?)?);
        columns::check(&file, losses)?;
        *open = Arc::downgrade(&file);
        Ok(file)
    }

    /// Decodes some columns of a row group of the open `file`.
    fn batches(&self, file: &ParquetFile, part: &Part, columns: &[&str]) -> Result<Batches> {
        if file.group_rows(part.group) != Some(part.rows) {
            return Err(self.changed());
        }
        Ok(file.batches(part.group..part.group + 1, columns, BATCH_ROWS)?)
    }

    fn changed(&self) -> DataError {
        DataError::refused(&self.path, "was changed while it was read", "leave it as it is, and start again")
    }
}

impl ScoreFiles {
    /// Opens the score file `path`, or all files `*.parquet` in the directory `path`, and finds out on
    /// `threads` threads which samples and epochs occur. `losses`: whether they are asked for. `None` if
    /// `stop` is set before all is found out, which it looks at every some thousand rows.
    ///
    /// # Errors
    /// If there is no such file, one is damaged or lacks a column or a value, a number is negative or above
    /// its limit, there is no row at all, or losses are wanted and a file has none; if a file, or all of them
    /// together, have more than 128 rows for each byte, beside a million.
    pub fn open(path: &Path, threads: usize, losses: bool, stop: &AtomicBool) -> Result<Option<Self>> {
        let file = |path| ScoreFile { path, open: Mutex::default() };
        index::index(list(path)?.into_iter().map(file).collect(), path, threads, losses, stop)
    }

    /// The slot of a sample, if it occurs.
    fn slot(&self, sample: u32) -> Option<u32> {
        // Mostly there are no gaps.
        if self.samples.get(sample as usize) == Some(&sample) {
            return Some(sample);
        }
        self.samples.binary_search(&sample).ok().map(|slot| slot as u32)
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files.len()
    }
}

impl ScoreSource for ScoreFiles {
    fn samples(&self) -> u32 {
        self.samples.len() as u32
    }

    fn sample(&self, slot: u32) -> u32 {
        self.samples[slot as usize]
    }

    fn epochs(&self) -> u32 {
        self.epochs
    }

    fn parts(&self, epoch: u32) -> Range<usize> {
        let from = self.parts.partition_point(|part| part.first < epoch);
        from..self.parts.partition_point(|part| part.first <= epoch)
    }

    fn read(&self, part: usize, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<(), RecordingError> {
        let part = &self.parts[part];
        let file = &self.files[part.file];
        let parquet = file.open(self.losses)?;
        let mut names = REQUIRED.to_vec();
        // A record with a loss that is no number is none of a training, also where losses are not looked at.
        names.extend(columns::has_losses(&parquet).then_some(columns::LOSS));
        let mut rows = ScoreColumns::default();
        let mut first = parquet.first_row(part.group);
        for batch in file.batches(&parquet, part, &names)? {
            let batch = batch.map_err(DataError::from)?;
            Batch { path: &file.path, first, rows: &batch }.decode(self.losses, &mut rows)?;
            // What was counted before must still hold: memory was reserved by it.
            if !rows.epochs.iter().all(|epoch| (part.first..=part.last).contains(epoch)) {
                return Err(file.changed().into());
            }
            for sample in &mut rows.slots {
                *sample = self.slot(*sample).ok_or_else(|| file.changed())?;
            }
            first += rows.slots.len() as u64;
            visit(&rows);
        }
        Ok(())
    }
}

/// The files at `path`, by name.
fn list(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = entries(path)?.into_iter().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "parquet")).collect();
    files.sort();
    if files.is_empty() {
        return Err(no_scores(path, "file *.parquet"));
    }
    Ok(files)
}

/// That there is nothing to analyse.
fn no_scores(path: &Path, lacks: &str) -> DataError {
    let remedy = "score files are Parquet with the columns sample, epoch, step and correct";
    DataError::refused(path, format!("has no {lacks}"), remedy)
}
