//! What is in score files: a pass over the columns `sample` and `epoch`, on several threads.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use spfde_parquet_guard::ParquetFile;

use super::columns::{EPOCH, SAMPLE};
use super::samples::{Samples, Seen};
use super::{BATCH_ROWS, Part, ScoreFile, ScoreFiles, columns, no_scores};
use crate::files::error::{DataError, Result};
use crate::files::plausible::score_rows_limit;
use crate::words::counted;

/// What a thread found.
#[derive(Default)]
struct Found {
    seen: Seen,
    parts: Vec<Part>,
    /// The row group that it is at.
    group: usize,
    /// The first row group that cannot be used, by the numbers of its file and its own.
    error: Option<((usize, usize), DataError)>,
}

/// Indexes `files`, in which `path` was named; `None` if `stop` is set before that is done.
pub(super) fn index(
    files: Vec<ScoreFile>,
    path: &Path,
    threads: usize,
    losses: bool,
    stop: &AtomicBool,
) -> Result<Option<ScoreFiles>> {
    let lengths = files.iter().map(ScoreFile::length).collect::<Result<Vec<u64>>>()?;
    let all = lengths.iter().fold(0, |all: u64, bytes| all.saturating_add(*bytes));
    // Every thread takes the next row group, file by file, until there are no more.
    let taken: Vec<AtomicUsize> = files.iter().map(|_| AtomicUsize::new(0)).collect();
    let work = || {
        let mut found = Found::default();
        let mut rows: u64 = 0;
        for (number, (file, taken)) in files.iter().zip(&taken).enumerate() {
            let believe = |declared: u64| {
                believe(&file.path, "number of rows", declared, lengths[number])?;
                rows = rows.saturating_add(declared);
                believe(path, "number of rows of its files", rows, all)
            };
            if let Err(error) = groups(number, file, taken, losses, (stop, believe), &mut found) {
                found.error = Some(((number, found.group), error));
                break;
            }
        }
        found
    };
    let found: Vec<Found> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut found = vec![work()];
        found.extend(others.into_iter().map(|other| other.join().expect("indexing does not panic")));
        found
    });
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let (mut seen, mut parts, mut errors) = (Seen::default(), Vec::new(), Vec::new());
    for found in found {
        seen.join(&found.seen);
        parts.extend(found.parts);
        errors.extend(found.error);
    }
    // The same error whoever met it first.
    if let Some((_, error)) = errors.into_iter().min_by_key(|(place, _)| *place) {
        return Err(error);
    }
    parts.sort_unstable();
    let Some(last) = parts.iter().map(|part| part.last).max() else {
        return Err(no_scores(path, "row"));
    };
    let rows = parts.iter().map(|part| part.rows).sum();
    let samples = Samples::new(seen);
    Ok(Some(ScoreFiles { files, parts, samples, epochs: last + 1, rows, losses }))
}

/// Refuses more rows than so many bytes can hold: a few bytes can stand for any number, and whoever judges
/// them keeps something for each, and for every sample that occurs.
fn believe(path: &Path, field: &'static str, found: u64, bytes: u64) -> Result<()> {
    let limit = score_rows_limit(bytes);
    if found <= limit {
        return Ok(());
    }
    let found = format!("{found}, above the limit of {limit} for {}", counted(bytes, "byte"));
    let remedy = "nobody's training compresses so well: if these are scores that somebody recorded, write \
                  them plain, \
                  without encoding and compression";
    Err(DataError::unfit(path, field, found, "", remedy))
}

/// Looks into the row groups of one file that no other thread has taken, once `believe` has passed how many
/// rows it declares: every thread asks that of every file, in their order, so that all of them stop at the
/// same one. Nothing more once `stop` is set.
fn groups(
    number: usize,
    file: &ScoreFile,
    taken: &AtomicUsize,
    losses: bool,
    (stop, believe): (&AtomicBool, impl FnOnce(u64) -> Result<()>),
    found: &mut Found,
) -> Result<()> {
    let mut open: Option<Arc<ParquetFile>> = None;
    found.group = 0;
    let (groups, rows) = match file.declared() {
        Some(declared) => declared,
        None => {
            let parquet = open.insert(file.open(losses)?);
            (parquet.groups(), parquet.rows())
        }
    };
    believe(rows)?;
    loop {
        let group = taken.fetch_add(1, Ordering::Relaxed);
        if group >= groups || stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        found.group = group;
        let parquet = match open.take() {
            Some(parquet) => parquet,
            None => file.open(losses)?,
        };
        let Some(rows) = parquet.group_rows(group) else { return Ok(()) };
        let (mut samples, mut epochs) = (Vec::new(), Vec::new());
        let (mut first, mut last, mut row) = (u32::MAX, 0, parquet.first_row(group));
        for batch in parquet.group_batches(group, &[SAMPLE, EPOCH], BATCH_ROWS)? {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let batch = batch?;
            columns::samples(&file.path, row, &batch, &mut samples)?;
            columns::epochs(&file.path, row, &batch, &mut epochs)?;
            samples.iter().for_each(|sample| found.seen.add(*sample));
            first = epochs.iter().copied().fold(first, u32::min);
            last = epochs.iter().copied().fold(last, u32::max);
            row += samples.len() as u64;
        }
        if rows > 0 {
            found.parts.push(Part { first, file: number, group, rows, last });
        }
        open = Some(parquet);
    }
}
