//! What is in score files: a pass over the columns `sample` and `epoch`, on several threads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use spfde_parquet_guard::ParquetFile;

use super::columns::{Batch, EPOCH, SAMPLE};
use super::{Part, ScoreFile, ScoreFiles, no_scores};
use crate::files::error::{DataError, Result};
use crate::files::plausible::score_rows_limit;
use crate::words::counted;

/// The samples that occur, while they are looked for: a bit for each number.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    /// Adds a sample, which has passed its limit.
    fn add(&mut self, sample: u32) {
        let word = (sample / u64::BITS) as usize;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (sample % u64::BITS);
    }

    /// Adds all of another set.
    fn join(&mut self, other: &Seen) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    /// The samples in ascending order.
    fn samples(&self) -> Vec<u32> {
        let occurs = |sample: &u32| self.0[(sample / u64::BITS) as usize] >> (sample % u64::BITS) & 1 == 1;
        (0..self.0.len() as u32 * u64::BITS).filter(occurs).collect()
    }
}

/// Indexes `files`, in which `path` was named; `None` if `stop` is set before that is done.
pub(super) fn index(
    files: Vec<ScoreFile>,
    path: &Path,
    threads: usize,
    losses: bool,
    stop: &AtomicBool,
) -> Result<Option<ScoreFiles>> {
    let mut parts = declared(&files, path, losses)?;
    // Every thread takes the next row group, until there are no more or one cannot be used.
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut seen, mut ranges) = (Seen::default(), Vec::new());
        // The file in hand stays open: mostly it has the next row group, too.
        let mut open = None;
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(place) else { break };
            let file = &files[part.file];
            let parquet = file.open(losses);
            let range = parquet.and_then(|parquet| look(file, open.insert(parquet), part, stop, &mut seen));
            let is_bad = range.is_err();
            ranges.push((place, range));
            if is_bad {
                break;
            }
        }
        (seen, ranges)
    };
    let (mut seen, mut ranges) = (Seen::default(), Vec::new());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let (found, looked) = thread.join().expect("indexing does not panic");
            seen.join(&found);
            ranges.extend(looked);
        }
    });
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    // The error is the same whichever thread met one first.
    ranges.sort_unstable_by_key(|(place, _)| *place);
    for (place, range) in ranges {
        (parts[place].first, parts[place].last) = range?;
    }
    parts.sort_unstable();
    let last = parts.iter().map(|part| part.last).max().ok_or_else(|| no_scores(path, "row"))?;
    Ok(Some(ScoreFiles { files, parts, samples: seen.samples(), epochs: last + 1, losses }))
}

/// The row groups of all files that declare rows, if so many can be believed.
fn declared(files: &[ScoreFile], path: &Path, losses: bool) -> Result<Vec<Part>> {
    let (mut parts, mut rows, mut bytes) = (Vec::new(), 0_u64, 0_u64);
    for (number, file) in files.iter().enumerate() {
        let parquet = file.open(losses)?;
        believe(&file.path, "number of rows", parquet.rows(), parquet.length())?;
        rows = rows.saturating_add(parquet.rows());
        bytes = bytes.saturating_add(parquet.length());
        let groups = (0..parquet.groups()).map(|group| (group, parquet.group_rows(group).unwrap_or(0)));
        let groups = groups.filter(|(_, rows)| *rows > 0);
        parts.extend(groups.map(|(group, rows)| Part { first: 0, file: number, group, rows, last: 0 }));
    }
    believe(path, "number of rows of its files", rows, bytes)?;
    Ok(parts)
}

/// Refuses more rows than so many bytes can hold: a few bytes can stand for any number. The stage that judges
/// the rows keeps something for each, and for every sample that occurs.
fn believe(path: &Path, field: &'static str, found: u64, bytes: u64) -> Result<()> {
    let limit = score_rows_limit(bytes);
    if found <= limit {
        return Ok(());
    }
    let found = format!("{found}, above the limit of {limit} for {}", counted(bytes, "byte"));
    let remedy = "no training compresses so well: if these are recorded scores, write \
                  them plain, without encoding and compression";
    Err(DataError::unfit(path, field, found, "", remedy))
}

/// The first and the last epoch of a row group, whose samples are added to `seen`; of nothing more once
/// `stop` is set.
fn look(
    file: &ScoreFile,
    parquet: &ParquetFile,
    part: &Part,
    stop: &AtomicBool,
    seen: &mut Seen,
) -> Result<(u32, u32)> {
    let (mut samples, mut epochs) = (Vec::new(), Vec::new());
    let (mut first, mut last, mut row) = (u32::MAX, 0, parquet.first_row(part.group));
    for batch in file.batches(parquet, part, &[SAMPLE, EPOCH])? {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let batch = Batch { path: &file.path, first: row, rows: &batch? };
        batch.samples(&mut samples)?;
        batch.epochs(&mut epochs)?;
        samples.iter().for_each(|sample| seen.add(*sample));
        first = epochs.iter().copied().fold(first, u32::min);
        last = epochs.iter().copied().fold(last, u32::max);
        row += samples.len() as u64;
    }
    Ok((first, last))
}
