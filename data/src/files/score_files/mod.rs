//! Bare score files: Parquet written by any trainer, so that its training can be analysed too.
//!
//! A file, or a directory of files, with the columns `sample`, `epoch`, `step` and `correct`, optionally
//! `loss`; others are ignored. Whole numbers may have any width and sign, `correct` may be a boolean, or an
//! integer that is 0 or 1. Every row needs a value in each of them, and a loss, where there is one, is
//! finite. The samples are all that occur; `step` only orders within an epoch. Any compression that this
//! program can read will do: none, Snappy, Zstandard.
//!
//! The columns `sample` and `epoch` are read once at the start, on all threads, because a share of all
//! samples can only be taken when all are known; after that row groups are read when their first epoch is
//! due. Memory holds the open files of the row groups in hand (compressed) and a batch of rows of each.
//! Whoever judges them keeps the rows of an epoch until all of it has been read, so there is a limit to the
//! rows that so many bytes may stand for.

mod columns;
mod index;
mod samples;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use spfde_parquet_guard::{FILE_LIMIT, ParquetFile};

use super::error::{DataError, Result};
use super::layout::entries;
use super::read_limited::read_limited;
use crate::scores::{ScoreColumns, ScoreSource};
use crate::segment::RecordingError;
use columns::REQUIRED;
use samples::Samples;

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
    samples: Samples,
    epochs: u32,
    rows: u64,
    losses: bool,
}

/// One file.
#[derive(Debug)]
struct ScoreFile {
    path: PathBuf,
    /// Its content, if it is no file but bytes in memory.
    bytes: Option<Bytes>,
    opened: Mutex<Opened>,
}

/// What is known of a file once somebody has opened it.
#[derive(Debug, Default)]
struct Opened {
    /// The file, while somebody reads from it.
    file: Weak<ParquetFile>,
    /// How many row groups it has, and how many rows it declares.
    declared: Option<(usize, u64)>,
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
    fn new(path: PathBuf) -> Self {
        Self { path, bytes: None, opened: Mutex::default() }
    }

    /// The file with its columns checked, read anew unless another thread has it open.
    fn open(&self, losses: bool) -> Result<Arc<ParquetFile>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = opened.file.upgrade() {
            return Ok(file);
        }
        let bytes = match &self.bytes {
            Some(bytes) => bytes.clone(),
            None => Bytes::from(read_limited(&self.path, FILE_LIMIT)?),
        };
        let file = Arc::new(ParquetFile::parse(&self.path, bytes)?);
        columns::check(&file, losses)?;
        *opened = Opened { file: Arc::downgrade(&file), declared: Some((file.groups(), file.rows())) };
        Ok(file)
    }

    /// How many bytes it has.
    fn length(&self) -> Result<u64> {
        match &self.bytes {
            Some(bytes) => Ok(bytes.len() as u64),
            None => Ok(self.path.metadata().map_err(DataError::io(&self.path, "open"))?.len()),
        }
    }

    /// How many row groups it has, and how many rows it declares, if somebody has opened it.
    fn declared(&self) -> Option<(usize, u64)> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).declared
    }
}

impl ScoreFiles {
    /// Opens the score file `path`, or all files `*.parquet` in the directory `path`, and finds out on
    /// `threads` threads which samples and epochs occur. `losses`: whether somebody will want the losses.
    ///
    /// # Errors
    /// If there is no such file, one is damaged or lacks a column or a value, a number is negative or above
    /// its limit, there is no row at all, or losses are wanted and a file has none; if a file, or all of them
    /// together, have more than 128 rows for each byte, beside a million.
    pub fn open(path: &Path, threads: usize, losses: bool) -> Result<Self> {
        let found = Self::open_unless(path, threads, losses, &AtomicBool::new(false))?;
        Ok(found.expect("nobody asks it to stop"))
    }

    /// As [`ScoreFiles::open`]; `None` if `stop` is set before all is found out, which it looks at every some
    /// thousand rows.
    ///
    /// # Errors
    /// As [`ScoreFiles::open`].
    pub fn open_unless(path: &Path, threads: usize, losses: bool, stop: &AtomicBool) -> Result<Option<Self>> {
        let files = list(path)?.into_iter().map(ScoreFile::new).collect();
        index::index(files, path, threads, losses, stop)
    }

    /// As [`ScoreFiles::open`], of one file with these bytes; `path` is for messages.
    pub fn parse(path: &Path, bytes: Vec<u8>, losses: bool) -> Result<Self> {
        let file = ScoreFile { bytes: Some(bytes.into()), ..ScoreFile::new(path.to_owned()) };
        let found = index::index(vec![file], path, 1, losses, &AtomicBool::new(false))?;
        Ok(found.expect("nobody asks it to stop"))
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files.len()
    }
}

impl ScoreSource for ScoreFiles {
    fn samples(&self) -> u32 {
        self.samples.count()
    }

    fn sample(&self, slot: u32) -> u32 {
        self.samples.sample(slot)
    }

    fn epochs(&self) -> u32 {
        self.epochs
    }

    fn parts(&self, epoch: u32) -> Range<usize> {
        let from = self.parts.partition_point(|part| part.first < epoch);
        from..self.parts.partition_point(|part| part.first <= epoch)
    }

    fn read(&self, part: usize, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<(), RecordingError> {
        Ok(self.read_part(self.parts[part], visit)?)
    }
}

impl ScoreFiles {
    fn read_part(&self, part: Part, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<()> {
        let path = &self.files[part.file].path;
        let file = self.files[part.file].open(self.losses)?;
        let changed = || {
            let what = "was changed while it was read";
            DataError::refused(path, what, "leave it as it is, and start again")
        };
        if file.group_rows(part.group) != Some(part.rows) {
            return Err(changed());
        }
        let mut names = REQUIRED.to_vec();
        // A record with a loss that is no number is none of a training, also where losses are not looked at.
        names.extend(columns::has_losses(&file).then_some(columns::LOSS));
        let mut rows = ScoreColumns::default();
        let mut row = file.first_row(part.group);
        for batch in file.group_batches(part.group, &names, BATCH_ROWS)? {
            let batch = batch?;
            columns::decode(path, row, &batch, self.losses, &mut rows)?;
            // What was counted before must still hold: memory was reserved by it.
            if !rows.epochs.iter().all(|epoch| (part.first..=part.last).contains(epoch)) {
                return Err(changed());
            }
            for sample in &mut rows.slots {
                *sample = self.samples.slot(*sample).ok_or_else(changed)?;
            }
            row += rows.slots.len() as u64;
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
