//! Checks the files of a run against its manifest: hashes, schemas, row counts, epochs.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::files::checkpoint;
use crate::files::error::{DataError, Result};
use crate::files::manifest::{MANIFEST_NAME, Manifest};
use crate::files::parquet_store::{FoundColumn, read_columns};
use crate::files::plausible;
use crate::rows::{
    CensoredRow, CostRow, EpochRow, FreezeRow, GradientRow, LayerRow, MaskRow, REPLAY_STREAMS, STREAMS,
    ScoreRow, SieveRow, TimingRow,
};
use crate::segment::Segment;
use crate::table::{Cells, Column, ColumnType, Row};

/// Checks every file that `manifest` names, and that every stream has a segment for every committed epoch.
///
/// Returns all findings, missing segments first, then in the order of the manifest; none means that the files are as
/// they were committed. A manifest that names more rows than there can be is the only finding: nobody reads that many.
pub fn segments(run: &Path, manifest: &Manifest) -> Vec<DataError> {
    if let Err(error) = plausible::rows(run, manifest) {
        return vec![error];
    }
    let streams = if manifest.replay_of.is_some() { &REPLAY_STREAMS[..] } else { &STREAMS[..] };
    let mut epochs: BTreeMap<&str, BTreeSet<u32>> =
        streams.iter().map(|stream| (*stream, BTreeSet::new())).collect();
    for segment in &manifest.segments {
        epochs.entry(&segment.stream).or_default().insert(segment.epoch);
    }
    let reached = manifest.epochs_reached;
    let missing = epochs.iter().filter_map(|(stream, epochs)| {
        // Not epoch by epoch: how many there should be is only what the manifest says.
        let first = (0..reached).find(|epoch| !epochs.contains(epoch))?;
        Some(DataError::SegmentMissing {
            path: run.join(MANIFEST_NAME),
            stream: (*stream).to_owned(),
            epoch: first,
            count: u64::from(reached) - epochs.range(..reached).count() as u64,
        })
    });
    let mut findings: Vec<DataError> = missing.collect();
    findings.extend(manifest.segments.iter().filter_map(|segment| check_segment(run, segment).err()));
    let checkpoints = manifest.checkpoints.iter();
    findings.extend(checkpoints.filter_map(|file| checkpoint::check_file(run, file).err()));
    findings
}

/// Length, hash, stream, number of rows, columns, and that every row can be decoded and is of the segment's epoch; that scores
/// are finite.
fn check_segment(run: &Path, segment: &Segment) -> Result<()> {
    let epoch = vec![Column { name: "epoch", kind: ColumnType::U32, nullable: false, added: false }];
    let columns = known_columns(&segment.stream).unwrap_or(epoch);
    let reader = read_columns(run, segment, &columns)?;
    check_nullable(run, segment, &reader.found_columns()?, &columns)?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch?;
        let Some(Cells::U32(epochs)) = batch.cells.first() else {
            panic!("the first column of {} is the epoch", segment.stream);
        };
        if let Some(row) = epochs.iter().position(|epoch| *epoch != segment.epoch) {
            return Err(DataError::Epoch {
                path: run.join(&segment.path),
                row: rows + row as u64,
                found: epochs[row],
                expected: segment.epoch,
            });
        }
        if segment.stream == ScoreRow::STREAM {
            let bad = (0..batch.rows).find_map(|row| Some((row, ScoreRow::get(&batch, row).not_finite()?)));
            if let Some((row, (column, found))) = bad {
                return Err(DataError::NotFinite {
                    path: run.join(&segment.path),
                    column,
                    row: rows + row as u64,
                    found: found.to_string(),
                    remedy: "a step that comes to another is not recorded; the file was changed",
                });
            }
        }
        rows += batch.rows as u64;
    }
    Ok(())
}

/// A column that always has values is declared so, and the other way round.
fn check_nullable(run: &Path, segment: &Segment, found: &[FoundColumn], columns: &[Column]) -> Result<()> {
    let words = |nullable| if nullable { "nullable" } else { "not nullable" }.to_owned();
    for column in columns {
        let field = found.iter().find(|field| field.name == column.name);
        if let Some(field) = field.filter(|field| field.nullable != column.nullable) {
            return Err(DataError::ColumnType {
                path: run.join(&segment.path),
                column: field.name.clone(),
                found: words(field.nullable),
                expected: words(column.nullable),
            });
        }
    }
    Ok(())
}

/// The columns of a stream that every run records; `None` for one of the user's.
fn known_columns(stream: &str) -> Option<Vec<Column>> {
    Some(match stream {
        ScoreRow::STREAM => ScoreRow::columns(),
        GradientRow::STREAM => GradientRow::columns(),
        LayerRow::STREAM => LayerRow::columns(),
        MaskRow::STREAM => MaskRow::columns(),
        FreezeRow::STREAM => FreezeRow::columns(),
        SieveRow::STREAM => SieveRow::columns(),
        EpochRow::STREAM => EpochRow::columns(),
        TimingRow::STREAM => TimingRow::columns(),
        CostRow::STREAM => CostRow::columns(),
        CensoredRow::STREAM => CensoredRow::columns(),
        _ => return None,
    })
}
