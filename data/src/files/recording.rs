//! A recorded run as a source of rows: the committed segments of its streams, verified as they are read.

mod follow;
#[cfg(test)]
mod tests;
mod version2;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{DataError, Result};
use super::manifest::{MANIFEST_NAME, Manifest};
use super::parquet_store::{check_epoch, read_columns};
use crate::rows::LayerRow;
use crate::segment::{RecordedSegment, Recording, RecordingError, Segment};
use crate::table::{Column, Row};

pub use follow::{FollowedEnd, FollowedTrace};
use version2::Nonzero;

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
        let path = self.run.join(&segment.path);
        let reader = read_columns(&self.run, segment, columns)?;
        let fill = Nonzero::lacking(self, stream, columns, epoch)?.map(|nonzero| (nonzero, columns.to_vec()));
        let name = path.display().to_string();
        let (mut reader, mut rows) = (Some(reader), 0);
        let batches = std::iter::from_fn(move || {
            let checked = reader.as_mut()?.next()?.and_then(|batch| {
                check_epoch(&path, rows, &batch, epoch)?;
                rows += batch.rows as u64;
                Ok(match &fill {
                    Some((nonzero, columns)) => nonzero.fill(columns, batch),
                    None => batch,
                })
            });
            if checked.is_err() {
                reader = None;
            }
            Some(checked.map_err(RecordingError::from))
        });
        Ok(RecordedSegment { path: name, batches: Box::new(batches) })
    }
}
