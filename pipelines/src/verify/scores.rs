//! Does what a replay of bare scores wrote hold together?
//!
//! No manifest names its files, so that there are no hashes. But its tables say the same thing three times:
//! the decisions one by one, their sums, and what is left in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use spfde_data::files::Result;
use spfde_data::files::layout::{TRACE, entries, is_segment};
use spfde_data::files::table_file::{self, Values};
use spfde_data::{Purpose, Row, SieveRow, counted, draw};

use super::Findings;
use crate::Error;
use crate::grid::{KEPT_NAME, TABLE_NAME};

/// A number of a file, which has 64 bits: sums of as many as a file can have do not overflow.
type Number = i128;

/// Samples by the member that has them: how many, and a sum by which two sets differ, however they are read.
type Sets = BTreeMap<Number, (Number, u64)>;

/// Checks what a replay of bare scores wrote to `directory`: that the decisions of every member add up to the
/// sums in `grid.parquet` and to what `kept.parquet` says. What was found sound, in words.
///
/// # Errors
/// If it is a grid over runs; if a table cannot be read; if anything does not add up: the error has the
/// findings.
pub fn verify_scores(directory: &Path) -> Result<String, Error> {
    let table = directory.join(TABLE_NAME);
    // Only a grid over runs has this column.
    if table_file::read(&table, &["run"], |_| ()).is_ok() {
        let what = "holds a grid over runs, which has no hashes; verify the runs";
        return Err(Error::usage(format!("{}: {what}", directory.display())));
    }
    let mut findings = Findings::default();
    // By member and epoch, and by member.
    let mut net = BTreeMap::<(Number, Number), Number>::new();
    let (mut sums, mut active) = (BTreeMap::<(Number, Number), (Number, Number)>::new(), Sets::new());
    let segments = segments(directory)?;
    let mut read = 0;
    for path in &segments {
        let names = ["epoch", "member", "sample", "diff"];
        read += rows(path, names, &mut findings, |[epoch, member, sample, diff], _| {
            *net.entry((member, epoch)).or_default() += diff;
            add(&mut active, member, sample, diff);
        })?;
    }
    let place =
        |member: &Number, epoch: &Number| format!("{TABLE_NAME}: member {member}, epoch {}", epoch + 1);
    let names = ["member", "epoch", "active_samples", "entered", "left"];
    read += rows(&table, names, &mut findings, |[member, epoch, active, entered, left], findings| {
        if sums.insert((member, epoch), (active, entered - left)).is_some() {
            findings.push(format_args!("{} occurs twice", place(&member, &epoch)));
        }
        if !segments.is_empty() {
            net.entry((member, epoch)).or_default();
        }
    })?;
    let mut before = None;
    for ((member, epoch), (active, change)) in &sums {
        let held = before.filter(|(of, _)| *of == member).map_or(active - change, |(_, held)| held);
        let expected = held + change;
        if expected != *active {
            let place = place(member, epoch);
            findings.push(format_args!("{place}: active_samples is {active}, not {expected}"));
        }
        before = Some((member, *active));
    }
    for ((member, epoch), decided) in &net {
        let (active, change) = sums.get(&(*member, *epoch)).unwrap_or(&(0, 0));
        // The whole initial set enters at epoch 0.
        let expected = if *epoch == 0 { active } else { change };
        if decided != expected {
            let place = place(member, epoch);
            findings.push(format_args!("{place}: the decisions add up to {decided}, not {expected}"));
        }
    }
    let what = match segments.len() {
        0 => format!("the sums of {TABLE_NAME} agree; no decisions were written to compare them with"),
        _ => {
            let (kept, of_kept) = kept(directory, &mut findings)?;
            read += of_kept;
            active.retain(|_, set| *set != (0, 0));
            let members: BTreeSet<&Number> = active.keys().chain(kept.keys()).collect();
            for member in members.into_iter().filter(|member| active.get(member) != kept.get(member)) {
                findings.push(format_args!("{KEPT_NAME}: member {member}: the decisions keep other samples"));
            }
            format!("decisions, {TABLE_NAME} and {KEPT_NAME} agree; there are no hashes to check")
        }
    };
    findings.refuse(directory)?;
    let count = |part: fn(&(Number, Number)) -> Number| sums.keys().map(part).collect::<BTreeSet<_>>().len();
    let (members, epochs) = (counted(count(|key| key.0), "member"), counted(count(|key| key.1), "epoch"));
    let (segments, rows) = (counted(segments.len(), "segment"), counted(read, "row"));
    Ok(format!("{members}, {epochs}, {segments}, {rows}; {what}"))
}

/// The files with decisions, if they were written.
fn segments(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = entries(&directory.join(TRACE).join(SieveRow::STREAM))?;
    let named = entries.iter().filter(|entry| is_segment(&entry.file_name()));
    let mut paths: Vec<PathBuf> = named.map(DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

/// Shows the rows of the columns `names`, which are of whole numbers, to `visit`; how many rows there are. A
/// row that lacks a number is a finding, and is not shown.
fn rows<const N: usize>(
    path: &Path,
    names: [&str; N],
    findings: &mut Findings,
    mut visit: impl FnMut([Number; N], &mut Findings),
) -> Result<u64> {
    let (mut count, file) = (0, path.file_name().unwrap_or_default().display());
    table_file::read(path, &names, |columns| {
        let whole = columns.iter().filter_map(|column| match column {
            Values::Integer(values) => Some(values),
            _ => None,
        });
        let whole: Vec<&Vec<Option<i64>>> = whole.collect();
        if whole.len() < N {
            let names = names.join(", ");
            return findings.push(format_args!("{file}: one of the columns {names} is of another type"));
        }
        for (row, first) in whole[0].iter().enumerate() {
            let value = |column: usize| if column == 0 { *first } else { whole[column][row] };
            let values: [Option<i64>; N] = std::array::from_fn(value);
            match values.contains(&None) {
                true => findings.push(format_args!("{file}: row {count} lacks a value")),
                false => visit(values.map(|value| value.unwrap_or_default().into()), findings),
            }
            count += 1;
        }
    })?;
    Ok(count)
}

/// Adds a sample to those of a member, or takes it away.
fn add(sets: &mut Sets, member: Number, sample: Number, diff: Number) {
    let (count, sum) = sets.entry(member).or_default();
    let term = draw(0, Purpose::User, 0, sample as u64).wrapping_mul(diff as u64);
    (*count, *sum) = (*count + diff, sum.wrapping_add(term));
}

/// The samples that `kept.parquet` says are kept, by their numbers in the decisions; the rows of the table.
fn kept(directory: &Path, findings: &mut Findings) -> Result<(Sets, u64)> {
    let (mut sets, mut count) = (Sets::new(), 0);
    // A text has the number of its place among the rows of a member.
    let mut places = BTreeMap::<Option<i64>, i64>::new();
    table_file::read(&directory.join(KEPT_NAME), &["member", "sample", "kept"], |columns| {
        let [Values::Integer(members), samples, Values::Boolean(kept)] = &columns[..] else {
            return findings.push(format_args!("{KEPT_NAME}: column member or kept is of another type"));
        };
        for (row, (member, kept)) in members.iter().zip(kept).enumerate() {
            let place = places.entry(*member).or_default();
            let sample = match samples {
                Values::Integer(samples) => samples[row],
                Values::Text(samples) => samples[row].as_ref().map(|_| *place),
                _ => None,
            };
            *place += 1;
            match (member, sample, kept) {
                (Some(member), Some(sample), Some(true)) => {
                    add(&mut sets, (*member).into(), sample.into(), 1);
                }
                (Some(_), Some(_), Some(false)) => (),
                _ => findings.push(format_args!("{KEPT_NAME}: row {count} lacks a value")),
            }
            count += 1;
        }
    })?;
    Ok((sets, count))
}
