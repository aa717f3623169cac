//! Does what a replay of bare scores wrote hold together?
//!
//! No manifest names its files, so that there are no hashes. But its tables say the same thing three times:
//! the decisions one by one, their sums, and what is left in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use spfde_data::files::layout::{TRACE, is_segment};
use spfde_data::files::table_file::{self, Values};
use spfde_data::files::{DataError, Result};
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::SieveRow;
use spfde_data::table::Row;
use spfde_data::words::counted;

use super::Findings;
use crate::error::Error;
use crate::grid::{KEPT_NAME, TABLE_NAME};

/// Samples by the member that has them: how many, and a sum by which two sets differ, however they are read.
type Sets = BTreeMap<i64, (i64, u64)>;

/// Checks what a replay of bare scores wrote to `directory`: that the decisions of every member add up to the
/// sums in `grid.parquet` and to what `kept.parquet` says. What was found sound, in words.
///
/// # Errors
/// If a table cannot be read; if anything does not add up: the error has the findings.
pub(crate) fn verify_scores(directory: &Path) -> Result<String, Error> {
    let mut findings = Findings::default();
    // By member and epoch, and by member.
    let (mut net, mut active, mut sums) = (BTreeMap::<(i64, i64), i64>::new(), Sets::new(), BTreeMap::new());
    let segments = segments(directory)?;
    let mut read = 0;
    for path in &segments {
        read += rows(path, ["epoch", "member", "sample", "diff"], |[epoch, member, sample, diff]| {
            *net.entry((member, epoch)).or_default() += diff;
            add(&mut active, member, sample, diff);
        })?;
    }
    let columns = ["member", "epoch", "active_samples", "entered", "left"];
    read += rows(&directory.join(TABLE_NAME), columns, |[member, epoch, active, entered, left]| {
        if sums.insert((member, epoch), (active, entered - left)).is_some() {
            findings.push(format_args!("{TABLE_NAME}: member {member} has epoch {epoch} twice"));
        }
        if !segments.is_empty() {
            net.entry((member, epoch)).or_default();
        }
    })?;
    let mut before = (-1, 0);
    for ((member, epoch), (active, change)) in &sums {
        let held = if before.0 == *member { before.1 } else { active - change };
        if held + change != *active {
            let place = format_args!("{TABLE_NAME}: member {member}, epoch {epoch}");
            findings.push(format_args!("{place}: active_samples is {active}, not {}", held + change));
        }
        before = (*member, *active);
    }
    for ((member, epoch), decided) in &net {
        let (active, change) = sums.get(&(*member, *epoch)).unwrap_or(&(0, 0));
        // The whole initial set enters at epoch 0.
        let expected = if *epoch == 0 { active } else { change };
        if decided != expected {
            let place = format_args!("{TABLE_NAME}: member {member}, epoch {epoch}");
            findings.push(format_args!("{place}: the decisions add up to {decided}, not {expected}"));
        }
    }
    let what = match segments.len() {
        0 => format!("the sums of {TABLE_NAME} agree; no decisions were written to compare them with"),
        _ => {
            let (kept, of_kept) = kept(directory, &mut findings)?;
            read += of_kept;
            active.retain(|_, set| *set != (0, 0));
            let members: BTreeSet<&i64> = active.keys().chain(kept.keys()).collect();
            for member in members.into_iter().filter(|member| active.get(member) != kept.get(member)) {
                findings.push(format_args!("{KEPT_NAME}: member {member}: the decisions keep other samples"));
            }
            format!("decisions, {TABLE_NAME} and {KEPT_NAME} agree; there are no hashes to check")
        }
    };
    findings.refuse(directory)?;
    let count = |part: fn(&(i64, i64)) -> i64| sums.keys().map(part).collect::<BTreeSet<i64>>().len();
    let (members, epochs) = (counted(count(|key| key.0), "member"), counted(count(|key| key.1), "epoch"));
    let (segments, rows) = (counted(segments.len(), "segment"), counted(read, "row"));
    Ok(format!("{members}, {epochs}, {segments}, {rows}; {what}"))
}

/// The files with decisions, if they were written.
fn segments(directory: &Path) -> Result<Vec<PathBuf>> {
    let stream = directory.join(TRACE).join(SieveRow::STREAM);
    if !stream.exists() {
        return Ok(Vec::new());
    }
    let failed = |source| DataError::Io { path: stream.clone(), action: "list the directory", source };
    let entries: Vec<_> = stream.read_dir().and_then(Iterator::collect).map_err(failed)?;
    let named = entries.iter().filter(|entry| is_segment(&entry.file_name()));
    let mut paths: Vec<PathBuf> = named.map(std::fs::DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

/// Shows rows of whole numbers to `visit`; how many there are. What is missing, or no whole number, is −1,
/// which is nothing that a replay writes there.
fn rows<const N: usize>(path: &Path, names: [&str; N], mut visit: impl FnMut([i64; N])) -> Result<u64> {
    let mut count = 0;
    table_file::read(path, &names, |columns| {
        let columns = columns.iter().map(|column| match column {
            Values::Integer(values) => values.as_slice(),
            _ => &[],
        });
        let columns: Vec<&[Option<i64>]> = columns.collect();
        for row in 0..columns.iter().map(|column| column.len()).max().unwrap_or(0) {
            let value = |column: usize| columns[column].get(row).copied().flatten().unwrap_or(-1);
            visit(std::array::from_fn(value));
            count += 1;
        }
    })?;
    Ok(count)
}

/// Adds a sample to those of a member, or takes it away.
fn add(sets: &mut Sets, member: i64, sample: i64, diff: i64) {
    let (count, sum) = sets.entry(member).or_default();
    let term = draw(0, Purpose::User, 0, sample as u64).wrapping_mul(diff as u64);
    (*count, *sum) = (*count + diff, sum.wrapping_add(term));
}

/// The samples that `kept.parquet` says are kept, by their numbers in the decisions; the rows of the table.
fn kept(directory: &Path, findings: &mut Findings) -> Result<(Sets, u64)> {
    let (mut sets, mut count) = (Sets::new(), 0);
    // A text has the number of its place among the rows of a member.
    let mut places = BTreeMap::new();
    table_file::read(&directory.join(KEPT_NAME), &["member", "sample", "kept"], |columns| {
        let [Values::Integer(members), samples, Values::Boolean(kept)] = &columns[..] else { return };
        for (row, (member, kept)) in members.iter().zip(kept).enumerate() {
            count += 1;
            let place: &mut i64 = places.entry(*member).or_default();
            let sample = match samples {
                Values::Integer(samples) => samples[row],
                _ => Some(*place),
            };
            *place += 1;
            match (member, sample, kept) {
                (Some(member), Some(sample), Some(true)) => add(&mut sets, *member, sample, 1),
                (Some(_), Some(_), Some(false)) => (),
                _ => findings.push(format_args!("{KEPT_NAME}: row {} lacks a value", count - 1)),
            }
        }
    })?;
    Ok((sets, count))
}
