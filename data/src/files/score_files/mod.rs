//! Bare score files: Parquet written by any trainer, so that its training can be analysed too.
//!
//! Files, directories with all files `*.parquet` below them (without names that begin with `.` or `_`), or
//! patterns such as `scores/*/rank-?.parquet`. The columns are `sample`, `epoch`, `step` and `correct`,
//! optionally `loss` and `label`; others are ignored. Whole numbers may have any width and sign, `correct`
//! may be a boolean, or an integer that is 0 or 1. An epoch or a step that a file has no column of may be the
//! name of a directory, `epoch=3/part-0.parquet`. Every row needs a value in each column that is read;
//! losses, which are read if a policy asks for them, are finite. Labels, which are read if a policy cuts by
//! class, are below 65536, and the same in all rows of a sample. The samples are all that occur; `step` only
//! orders within an epoch. Files may be compressed with Zstandard, Snappy, Gzip, Brotli or LZ4.
//!
//! A sample may be a text. Its number is then its place among all texts that occur, in the order of their
//! bytes, so that it depends on neither the files nor the order of the rows.
//!
//! The columns `sample` and `epoch` are read once at the start, on all threads. A share of all samples can
//! only be taken when all are known. After that row groups are read when their first epoch is due. Memory
//! holds the open files of the row groups in hand (compressed) and a batch of rows of each. The stage that
//! judges the rows keeps those of an epoch until all of it has been read. So there is a limit to the rows
//! that so many bytes may stand for.

mod columns;
mod find;
mod index;
mod names;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::datatypes::DataType;
use spfde_parquet_guard::{Batches, FILE_LIMIT, ParquetFile};

use super::error::{DataError, Result};
use super::parquet_store::check_type;
use super::read_limited::read_limited;
use crate::{RecordingError, ScoreColumns, ScoreSource};
use columns::{Batch, LABEL, SAMPLE};
use names::Names;

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
    /// The numbers of the samples that occur, ascending: the slot of each is how many smaller ones occur.
    /// Those of texts are their slots.
    samples: Vec<u32>,
    /// The samples, if they are texts.
    names: Option<Names>,
    /// The epochs that occur, as the files number them.
    seen: Vec<u32>,
    losses: bool,
}

/// One file.
#[derive(Debug)]
struct ScoreFile {
    path: PathBuf,
    /// What its directories say of all its rows.
    partitions: Vec<(&'static str, u64)>,
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
        columns::check(&file, &self.partitions, losses)?;
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
    /// Opens the score files at `paths`, and finds out on `threads` threads which samples and epochs occur.
    /// `losses`: whether they are asked for. `None` if `stop` is set before all is found out, which it looks
    /// at every some thousand rows.
    ///
    /// # Errors
    /// If there is no such file, one is damaged or lacks a column or a value, a number is negative or above
    /// its limit, there is no row at all, samples are texts in some files only, or losses are wanted and a
    /// file has none; if a file, or all of them together, have more than 128 rows for each byte, beside a
    /// million, or names of samples with more than 64 bytes for each byte, beside 64 MiB.
    pub fn open(paths: &[PathBuf], threads: usize, losses: bool, stop: &AtomicBool) -> Result<Option<Self>> {
        let file =
            |path: PathBuf| ScoreFile { partitions: find::partitions(&path), path, open: Mutex::default() };
        let files = find::find(paths)?.into_iter().map(file).collect();
        index::index(files, &called(paths), threads, losses, stop)
    }

    /// Replaces `slots` by those of the samples of a batch of a file.
    fn slots(&self, batch: &Batch<'_>, slots: &mut Vec<u32>) -> Result<()> {
        let changed = || batch.file.changed();
        if let Some(names) = &self.names {
            slots.clear();
            return batch.texts(|name| {
                slots.push(*names.slots.get(name).ok_or_else(changed)?);
                Ok(())
            });
        }
        batch.samples(slots)?;
        for sample in slots {
            // Mostly there are no gaps.
            if self.samples.get(*sample as usize) != Some(sample) {
                *sample = self.samples.binary_search(sample).map_err(|_| changed())? as u32;
            }
        }
        Ok(())
    }

    /// The label of every sample, by its slot; `None` if `stop` is set before all are read.
    ///
    /// # Errors
    /// If a file lacks the column `label` or a value there, one is no number of 16 bits, or a sample has two.
    pub fn labels(&self, stop: &AtomicBool) -> Result<Option<Vec<u16>>> {
        let mut known: Vec<Option<u16>> = vec![None; self.samples() as usize];
        let (mut slots, mut labels) = (Vec::new(), Vec::new());
        for part in &self.parts {
            let file = &self.files[part.file];
            let parquet = file.open(self.losses)?;
            check_type(&parquet, LABEL, "Int64 or another integer", DataType::is_integer)?;
            let mut first = parquet.first_row(part.group);
            for rows in file.batches(&parquet, part, &[SAMPLE, LABEL])? {
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let batch = Batch { file, first, rows: &rows.map_err(DataError::from)? };
                self.slots(&batch, &mut slots)?;
                batch.labels(&mut labels)?;
                for (row, (slot, label)) in slots.iter().zip(&labels).enumerate() {
                    let one = *known[*slot as usize].get_or_insert(*label);
                    if one != *label {
                        let expected = format_args!("{one}, as in another row of the sample");
                        return Err(DataError::unfit(
                            &file.path,
                            batch.value(row, LABEL),
                            label,
                            expected,
                            "",
                        ));
                    }
                }
                first += slots.len() as u64;
            }
        }
        let all = known.into_iter().collect::<Option<_>>();
        Ok(Some(all.ok_or_else(|| self.files[0].changed())?))
    }

    /// The names of the samples by their numbers, if they are texts.
    pub fn names(&self) -> Option<&[Arc<str>]> {
        self.names.as_ref().map(|names| &names.all[..])
    }

    /// The first epoch, as the files number it: epoch 0 of the source.
    pub fn first_epoch(&self) -> u32 {
        self.seen[0]
    }

    /// The epochs between the first and the last that have no rows, as the files number them.
    pub fn missing_epochs(&self) -> Vec<u32> {
        let between = self.seen.windows(2).flat_map(|pair| pair[0] + 1..pair[1]);
        between.collect()
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
        self.seen[self.seen.len() - 1] - self.seen[0] + 1
    }

    fn parts(&self, epoch: u32) -> Range<usize> {
        let epoch = epoch + self.first_epoch();
        let from = self.parts.partition_point(|part| part.first < epoch);
        from..self.parts.partition_point(|part| part.first <= epoch)
    }

    fn read(&self, part: usize, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<(), RecordingError> {
        let part = &self.parts[part];
        let file = &self.files[part.file];
        let parquet = file.open(self.losses)?;
        let mut rows = ScoreColumns::default();
        let mut first = parquet.first_row(part.group);
        for batch in file.batches(&parquet, part, columns::names(self.losses))? {
            let batch = Batch { file, first, rows: &batch.map_err(DataError::from)? };
            batch.decode(self.losses, &mut rows)?;
            self.slots(&batch, &mut rows.slots)?;
            for epoch in &mut rows.epochs {
                // What was counted before must still hold: memory was reserved by it.
                if !(part.first..=part.last).contains(epoch) {
                    return Err(file.changed().into());
                }
                *epoch -= self.seen[0];
            }
            first += rows.slots.len() as u64;
            visit(&rows);
        }
        Ok(())
    }
}

/// What messages call all files at `paths` together.
fn called(paths: &[PathBuf]) -> PathBuf {
    match paths {
        [] => PathBuf::from("no path"),
        [path] => path.clone(),
        [first, others @ ..] => PathBuf::from(format!("{} and {} more", first.display(), others.len())),
    }
}

/// That there is nothing to analyse.
fn no_scores(path: &Path, lacks: &str) -> DataError {
    let remedy = "score files are Parquet with the columns sample, epoch, step and correct";
    DataError::refused(path, format!("has no {lacks}"), remedy)
}
