//! Checks the files of a run against its manifest: hashes, schemas, row counts, epochs.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use crate::files::parquet_store::read_columns;
use crate::files::{DataError, Manifest, Result, checkpoint, plausible};
use crate::rows::{REPLAY_STREAMS, STREAMS};
use crate::{
    CensoredRow, Column, CostRow, EpochRow, FreezeEvidenceRow, FreezeRow, GradientRow, LayerRow, MaskRow,
    MaskUpdateRow, PredictionRow, Record, Row, ScoreRow, Segment, SieveRow, SimilarityRow, TimingRow,
};

/// Checks every file that `manifest` names, and that every stream has a segment for every committed epoch.
///
/// Returns all findings, missing segments first, then in the order of the manifest; none means that the files
/// are as they were committed. A manifest that names more rows than there can be is the only finding: no
/// reader reads that many.
pub fn segments(run: &Path, manifest: &Manifest) -> Vec<DataError> {
    if let Err(error) = plausible::rows(run, manifest) {
        return vec![error];
    }
    let streams = if manifest.replay_of.is_some() { &REPLAY_STREAMS[..] } else { &STREAMS[..] };
    // Streams of the user's, too.
    let recorded = manifest.segments.iter().map(|segment| segment.stream.as_str());
    let streams: BTreeSet<&str> = streams.iter().copied().chain(recorded).collect();
    let missing = streams.iter().filter_map(|stream| manifest.check_stream(run, stream).err());
    let mut findings: Vec<DataError> = missing.collect();
    findings.extend(manifest.segments.iter().filter_map(|segment| check_segment(run, segment).err()));
    let checkpoints = manifest.checkpoints.iter().chain(&manifest.best);
    findings.extend(checkpoints.filter_map(|file| checkpoint::check_file(run, file).err()));
    findings
}

/// Length, hash, stream, number of rows, columns, and that every row can be decoded and is of the segment's
/// epoch; that scores are finite.
fn check_segment(run: &Path, segment: &Segment) -> Result<()> {
    let reader = read_columns(run, segment, &columns_of(&segment.stream))?;
    let path = run.join(&segment.path);
    let mut rows = 0;
    for batch in reader {
        let batch = batch?;
        if segment.stream == ScoreRow::STREAM {
            let bad = (0..batch.rows)
                .find_map(|row| Some((row, ScoreRow::get(&mut batch.cells.iter(), row).not_finite()?)));
            if let Some((row, (column, found))) = bad {
                let what = format!("row {}: {column}", rows + row as u64);
                let remedy = "a step that comes to another is not recorded; the file was changed";
                return Err(DataError::unfit(&path, what, found, "a finite number", remedy));
            }
        }
        rows += batch.rows as u64;
    }
    Ok(())
}

/// The columns of a stream that every run records; of one of the user's only that is known which all have.
fn columns_of(stream: &str) -> Vec<Column> {
    match stream {
        ScoreRow::STREAM => ScoreRow::columns(),
        GradientRow::STREAM => GradientRow::columns(),
        LayerRow::STREAM => LayerRow::columns(),
        MaskRow::STREAM => MaskRow::columns(),
        MaskUpdateRow::STREAM => MaskUpdateRow::columns(),
        FreezeRow::STREAM => FreezeRow::columns(),
        FreezeEvidenceRow::STREAM => FreezeEvidenceRow::columns(),
        SieveRow::STREAM => SieveRow::columns(),
        SimilarityRow::STREAM => SimilarityRow::columns(),
        EpochRow::STREAM => EpochRow::columns(),
        TimingRow::STREAM => TimingRow::columns(),
        PredictionRow::STREAM => PredictionRow::columns(),
        CostRow::STREAM => CostRow::columns(),
        CensoredRow::STREAM => CensoredRow::columns(),
        _ => vec![Column::of::<u32>("epoch", false)],
    }
}
