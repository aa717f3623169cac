//! A recorded run as a source of rows: the committed segments of its streams, verified as they are read.

mod follow;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{DataError, Result};
use super::manifest::{MANIFEST_NAME, Manifest};
use super::parquet_store::read_columns;
use crate::rows::{GradientRow, LayerRow};
use crate::segment::{RecordedSegment, Recording, RecordingError, Segment};
use crate::table::{Cells, Column, Columns, Record, Row};

pub use follow::{FollowedEnd, FollowedTrace};

/// The segments of some streams of a run.
///
/// A segment has to have the length, the BLAKE3, the stream and the number of rows that the manifest records,
/// a known schema version, and rows of its epoch only. Whatever differs is an error that names the file. One
/// segment is in memory at a time: its compressed bytes and a batch of rows.
#[derive(Clone, Debug)]
pub struct RecordedTrace {
    run: PathBuf,
    epochs: u32,
    segments: BTreeMap<(String, u32), Vec<Segment>>,
    /// Whether a program of manifest version 2 recorded it.
    version2: bool,
}

impl RecordedTrace {
    /// The given streams of the run directory `run`, over all committed epochs of its `manifest`.
    ///
    /// # Errors
    /// If one of the streams has no segments, or none in some committed epoch. The files are not looked at
    /// yet.
    pub fn new(run: &Path, manifest: &Manifest, streams: &[&str]) -> Result<Self> {
        let epochs = manifest.epochs_reached;
        // A run that lacks a column has what it follows from.
        let version2 = manifest.version == 2;
        let wanted = |stream: &str| streams.contains(&stream) || version2 && stream == LayerRow::STREAM;
        let mut segments: BTreeMap<(String, u32), Vec<Segment>> = BTreeMap::new();
        for segment in manifest.segments.iter().filter(|segment| wanted(&segment.stream)) {
            segments.entry((segment.stream.clone(), segment.epoch)).or_default().push(segment.clone());
        }
        segments.values_mut().for_each(|segments| segments.sort_by_key(|segment| segment.worker));
        for stream in streams {
            if epochs > 0 && manifest.segments_of(stream, 0..epochs).is_empty() {
                let what =
                    format!("stream {stream} was not recorded, or its segments are gone from the manifest");
                let remedy = "only a run that recorded it can be replayed";
                return Err(DataError::refused(&run.join(MANIFEST_NAME), what, remedy));
            }
            manifest.check_stream(run, stream)?;
        }
        Ok(Self { run: run.to_owned(), epochs, segments, version2 })
    }

    fn segment(&self, stream: &str, epoch: u32, segment: usize) -> &Segment {
        let segments = self.segments.get(&(stream.to_owned(), epoch));
        segments.and_then(|segments| segments.get(segment)).expect("only segments that there are can be read")
    }
}

impl Recording for RecordedTrace {
    fn epochs(&self) -> u32 {
        self.epochs
    }

    fn segments(&self, stream: &str, epoch: u32) -> usize {
        self.segments.get(&(stream.to_owned(), epoch)).map_or(0, Vec::len)
    }

    /// # Panics
    /// If there is no such segment, or the first of the columns is not the epoch.
    fn open(
        &self,
        stream: &str,
        columns: &[Column],
        epoch: u32,
        segment: usize,
    ) -> Result<RecordedSegment, RecordingError> {
        let segment = self.segment(stream, epoch, segment);
        let reader = read_columns(&self.run, segment, columns)?;
        let nonzero = Nonzero::lacking(self, stream, columns, epoch)?;
        let columns = columns.to_vec();
        let batches = reader.map(move |batch| match &nonzero {
            Some(nonzero) => Ok(nonzero.fill(&columns, batch?)),
            None => Ok(batch?),
        });
        let path = self.run.join(&segment.path).display().to_string();
        Ok(RecordedSegment { path, batches: Box::new(batches) })
    }
}

/// The existing weights of each layer in one epoch: masks changed at the start of an epoch only, so those at
/// its end.
struct Nonzero(BTreeMap<u16, u32>);

impl Nonzero {
    /// Those of `epoch`, if the `columns` of a stream ask for them and the run lacks them.
    ///
    /// # Errors
    /// If the stream `layers` cannot be read.
    fn lacking(trace: &RecordedTrace, stream: &str, columns: &[Column], epoch: u32) -> Result<Option<Self>> {
        let asked = columns.iter().any(|column| column.name == "nonzero");
        if !trace.version2 || stream != GradientRow::STREAM || !asked {
            return Ok(None);
        }
        let mut nonzero = BTreeMap::new();
        for segment in trace.segments.get(&(LayerRow::STREAM.to_owned(), epoch)).into_iter().flatten() {
            for batch in read_columns(&trace.run, segment, &LayerRow::columns())? {
                nonzero.extend(batch?.into_rows::<LayerRow>().iter().map(|row| (row.layer, row.nonzero)));
            }
        }
        Ok(Some(Self(nonzero)))
    }

    /// Fills in the column `nonzero` of some rows with these `columns`.
    fn fill(&self, columns: &[Column], mut rows: Columns) -> Columns {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let (Some(layer), Some(nonzero)) = (place("layer"), place("nonzero")) else { return rows };
        if let Cells::U16(layers) = &rows.cells[layer] {
            let of = |layer: &u16| self.0.get(layer).copied().unwrap_or_default();
            rows.cells[nonzero] = Cells::U32(layers.iter().map(of).collect());
        }
        rows
    }
}
