//! A recorded run as a source of rows: the committed segments of its streams, verified as they are read.

mod follow;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::parquet_store::read_columns;
use super::{DataError, MANIFEST_NAME, Manifest};
use crate::segment::Result;
use crate::{Cells, Column, GradientRow, LayerRow, Record, RecordedSegment, Recording, Row};

pub use follow::{FollowedEnd, FollowedTrace};

/// The committed segments of a run.
///
/// A segment has to have the length, the BLAKE3, the stream and the number of rows that the manifest records,
/// a known schema version, and rows of its epoch only. Whatever differs is an error that names the file. One
/// segment is in memory at a time: its compressed bytes and a batch of rows.
#[derive(Clone, Debug)]
pub struct RecordedTrace {
    run: PathBuf,
    manifest: Manifest,
}

impl RecordedTrace {
    /// Those that `manifest` names of the run directory `run`; the given `streams` have to be among them.
    ///
    /// # Errors
    /// If one of these streams has no segments, or none in some committed epoch. The files are not looked at
    /// yet.
    pub fn new(run: &Path, manifest: &Manifest, streams: &[&str]) -> Result<Self, DataError> {
        let epochs = manifest.epochs_reached;
        for stream in streams {
            if epochs > 0 && manifest.segments_of(stream, 0..epochs).is_empty() {
                let what =
                    format!("stream {stream} was not recorded, or its segments are gone from the manifest");
                let remedy = "only a run that recorded it can be replayed";
                return Err(DataError::refused(&run.join(MANIFEST_NAME), what, remedy));
            }
            manifest.check_stream(run, stream)?;
        }
        Ok(Self { run: run.to_owned(), manifest: manifest.clone() })
    }

    /// The existing weights of each layer in `epoch`, if the `columns` of a stream ask for them and the run,
    /// of manifest version 2, lacks them: masks changed at the start of an epoch only, so those at its end.
    fn nonzero(&self, stream: &str, columns: &[Column], epoch: u32) -> Result<Option<BTreeMap<u16, u32>>> {
        let asked = columns.iter().any(|column| column.name == "nonzero");
        if self.manifest.version != 2 || stream != GradientRow::STREAM || !asked {
            return Ok(None);
        }
        let mut nonzero = BTreeMap::new();
        for segment in self.manifest.segments_at(LayerRow::STREAM, epoch) {
            for batch in read_columns(&self.run, segment, &LayerRow::columns())? {
                nonzero.extend(batch?.into_rows::<LayerRow>().iter().map(|row| (row.layer, row.nonzero)));
            }
        }
        Ok(Some(nonzero))
    }
}

impl Recording for RecordedTrace {
    #[expect(clippy::misnamed_getters, reason = "a record has the epochs that its run reached")]
    fn epochs(&self) -> u32 {
        self.manifest.epochs_reached
    }

    fn segments(&self, stream: &str, epoch: u32) -> usize {
        self.manifest.segments_at(stream, epoch).len()
    }

    /// # Panics
    /// If there is no such segment, or the first of the columns is not the epoch.
    fn open(&self, stream: &str, columns: &[Column], epoch: u32, segment: usize) -> Result<RecordedSegment> {
        let segment = &self.manifest.segments_at(stream, epoch)[segment];
        let reader = read_columns(&self.run, segment, columns)?;
        let nonzero = self.nonzero(stream, columns, epoch)?;
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let places = (place("layer"), place("nonzero"));
        let batches = reader.map(move |batch| {
            let mut rows = batch?;
            if let (Some(known), (Some(layer), Some(nonzero))) = (&nonzero, places)
                && let Cells::U16(layers) = &rows.cells[layer]
            {
                let of = |layer: &u16| known.get(layer).copied().unwrap_or_default();
                rows.cells[nonzero] = Cells::U32(layers.iter().map(of).collect());
            }
            Ok(rows)
        });
        let path = self.run.join(&segment.path).display().to_string();
        Ok(RecordedSegment { path, batches: Box::new(batches) })
    }
}
