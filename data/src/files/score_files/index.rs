//! What is in score files: a pass over the columns `sample` and `epoch`, on several threads.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use spfde_parquet_guard::ParquetFile;

use super::columns::{self, Batch, EPOCH, SAMPLE};
use super::names::NameSet;
use super::{Part, ScoreFile, ScoreFiles, no_scores};
use crate::counted;
use crate::files::plausible::{score_names_limit, score_rows_limit};
use crate::files::{DataError, Result};

/// The numbers that occur, while they are looked for: a bit for each.
#[derive(Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    /// Adds a number, which has passed its limit.
    fn add(&mut self, number: u32) {
        let word = (number / u64::BITS) as usize;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % u64::BITS);
    }

    /// Adds all of another set.
    fn join(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    /// The numbers in ascending order.
    fn ascending(&self) -> Vec<u32> {
        let occurs = |number: &u32| self.0[(number / u64::BITS) as usize] >> (number % u64::BITS) & 1 == 1;
        (0..self.0.len() as u32 * u64::BITS).filter(occurs).collect()
    }
}

/// What one thread, or all, have seen.
#[derive(Default)]
struct Seen {
    samples: Numbers,
    epochs: Numbers,
    /// Those that the thread need not add again to the set of all threads.
    names: HashSet<Arc<str>>,
}

/// Indexes `files`, in which `path` was named; `None` if `stop` is set before that is done.
pub(super) fn index(
    files: Vec<ScoreFile>,
    path: &Path,
    threads: usize,
    losses: bool,
    stop: &AtomicBool,
) -> Result<Option<ScoreFiles>> {
    let (mut parts, are_texts, bytes) = declared(&files, path, losses)?;
    let names = NameSet::new(score_names_limit(bytes));
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
            let range =
                parquet.and_then(|parquet| look(file, open.insert(parquet), part, stop, &mut seen, &names));
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
            seen.samples.join(&found.samples);
            seen.epochs.join(&found.epochs);
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
    if parts.is_empty() {
        return Err(no_scores(path, "row"));
    }
    let names = are_texts.then(|| names.all().ok_or_else(|| too_long(path, bytes))).transpose()?;
    let samples = match &names {
        Some(names) => (0..names.all.len() as u32).collect(),
        None => seen.samples.ascending(),
    };
    Ok(Some(ScoreFiles { files, parts, samples, names, seen: seen.epochs.ascending(), losses }))
}

/// The row groups of all files that declare rows, if so many can be believed; whether samples are texts;
/// bytes of the files.
fn declared(files: &[ScoreFile], path: &Path, losses: bool) -> Result<(Vec<Part>, bool, u64)> {
    let (mut parts, mut rows, mut bytes, mut are_texts) = (Vec::new(), 0_u64, 0_u64, None);
    for (number, file) in files.iter().enumerate() {
        let parquet = file.open(losses)?;
        let is_text = columns::check(&parquet, &file.partitions, losses)?;
        if *are_texts.get_or_insert(is_text) != is_text {
            let (found, expected) = if is_text { ("a text", "a number") } else { ("a number", "a text") };
            let expected = format!("{expected}, as in {}", files[0].path.display());
            return Err(DataError::unfit(&file.path, "column sample", found, expected, ""));
        }
        believe(&file.path, "number of rows", parquet.rows(), parquet.length())?;
        rows = rows.saturating_add(parquet.rows());
        bytes = bytes.saturating_add(parquet.length());
        let groups = (0..parquet.groups()).map(|group| (group, parquet.group_rows(group).unwrap_or(0)));
        let groups = groups.filter(|(_, rows)| *rows > 0);
        parts.extend(groups.map(|(group, rows)| Part { first: 0, file: number, group, rows, last: 0 }));
    }
    believe(path, "number of rows of its files", rows, bytes)?;
    Ok((parts, are_texts.unwrap_or(false), bytes))
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

/// That the names of the samples are longer than files of so many bytes can hold.
fn too_long(path: &Path, bytes: u64) -> DataError {
    let limit = score_names_limit(bytes);
    let found = format!("above the limit of {limit} bytes for {}", counted(bytes, "byte"));
    DataError::unfit(path, "size of the names of samples", found, "", "shorten them, or number the samples")
}

/// The first and the last epoch of a row group, whose samples and epochs are added to `seen` and `names`; of
/// nothing more once `stop` is set. Names beyond their limit are left out: the rest is still looked at, so
/// that the error is the same for any number of threads.
fn look(
    file: &ScoreFile,
    parquet: &ParquetFile,
    part: &Part,
    stop: &AtomicBool,
    seen: &mut Seen,
    names: &NameSet,
) -> Result<(u32, u32)> {
    let (mut samples, mut epochs) = (Vec::new(), Vec::new());
    let (mut first, mut last, mut row) = (u32::MAX, 0, parquet.first_row(part.group));
    let are_texts = columns::check(parquet, &file.partitions, false)?;
    for batch in file.batches(parquet, part, &[SAMPLE, EPOCH])? {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let batch = Batch { file, first: row, rows: &batch? };
        if are_texts {
            batch.texts(|text| {
                if !seen.names.contains(text) {
                    seen.names.extend(names.add(text));
                }
                Ok(())
            })?;
        } else {
            batch.samples(&mut samples)?;
            samples.iter().for_each(|sample| seen.samples.add(*sample));
        }
        batch.epochs(&mut epochs)?;
        for run in epochs.chunk_by(|one, next| one == next) {
            seen.epochs.add(run[0]);
            (first, last) = (first.min(run[0]), last.max(run[0]));
        }
        row += epochs.len() as u64;
    }
    Ok((first, last))
}
