//! What is in score files: a pass over the columns `sample` and `epoch`, on several threads.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::columns::{EPOCH, SAMPLE};
use super::samples::{Samples, Seen};
use super::{BATCH_ROWS, Part, ScoreFile, ScoreFiles, columns};
use crate::files::error::{DataError, Result};
use crate::files::parquet_file::ParquetFile;
use crate::files::plausible::samples_limit;

/// What a thread found.
#[derive(Default)]
struct Found {
    seen: Seen,
    parts: Vec<Part>,
    /// The first file that cannot be used, by number.
    error: Option<(usize, DataError)>,
}

/// Indexes `files`, in which `path` was named.
pub(super) fn index(files: Vec<ScoreFile>, path: &Path, threads: usize, losses: bool) -> Result<ScoreFiles> {
    // Every thread takes the next row group, file by file, until there are no more.
    let taken: Vec<AtomicUsize> = files.iter().map(|_| AtomicUsize::new(0)).collect();
    let work = || {
        let mut found = Found::default();
        for (number, (file, taken)) in files.iter().zip(&taken).enumerate() {
            if let Err(error) = groups(number, file, taken, losses, &mut found) {
                found.error = Some((number, error));
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
    let (mut seen, mut parts, mut errors) = (Seen::default(), Vec::new(), Vec::new());
    for found in found {
        seen.join(&found.seen);
        parts.extend(found.parts);
        errors.extend(found.error);
    }
    // The same error whoever met it first.
    if let Some((_, error)) = errors.into_iter().min_by_key(|(number, _)| *number) {
        return Err(error);
    }
    parts.sort_unstable();
    let Some(last) = parts.iter().map(|part| part.last).max() else {
        return Err(DataError::NoScores { path: path.to_owned(), lacks: "row" });
    };
    // A few bytes can stand for any number of samples, and for each of them whoever judges them keeps something.
    let bytes = files.iter().map(ScoreFile::length).sum::<Result<u64>>()?;
    DataError::limit(path, "number of samples", seen.count(), samples_limit(bytes))?;
    let rows = parts.iter().map(|part| part.rows).sum();
    Ok(ScoreFiles { files, parts, samples: Samples::new(seen), epochs: last + 1, rows, losses })
}

/// Looks into the row groups of one file that no other thread has taken.
fn groups(
    number: usize,
    file: &ScoreFile,
    taken: &AtomicUsize,
    losses: bool,
    found: &mut Found,
) -> Result<()> {
    let mut open: Option<Arc<ParquetFile>> = None;
    loop {
        let group = taken.fetch_add(1, Ordering::Relaxed);
        if file.lacks(group) {
            return Ok(());
        }
        let parquet = match open.take() {
            Some(parquet) => parquet,
            None => file.open(losses)?,
        };
        let Some(rows) = parquet.group_rows(group) else { return Ok(()) };
        let (mut samples, mut epochs) = (Vec::new(), Vec::new());
        let (mut first, mut last, mut row) = (u32::MAX, 0, 0);
        for batch in parquet.group_batches(group, &[SAMPLE, EPOCH], BATCH_ROWS)? {
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
