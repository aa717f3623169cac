//! A recorded run as a source of rows: the committed segments of its streams, verified as they are read.

mod follow;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{DataError, Result};
use super::manifest::{MANIFEST_NAME, Manifest};
use super::parquet_store::{SegmentReader, check_epoch, read_columns};
use crate::segment::{RecordedSegment, Recording, RecordingError, Segment};
use crate::table::{Column, Columns};

pub use follow::{FollowedEnd, FollowedTrace};

/// The segments of some streams of a run.
///
/// A segment has to have the length, the BLAKE3, the stream and the number of rows that the manifest records, a known
/// schema version, and rows of its epoch only. Whatever differs is an error that names the file. One segment is in
/// memory at a time: its compressed bytes and a batch of rows.
#[derive(Clone, Debug)]
pub struct RecordedTrace {
    run: PathBuf,
    epochs: u32,
    segments: BTreeMap<(String, u32), Vec<Segment>>,
}

impl RecordedTrace {
    /// The given streams of the run directory `run`, over all committed epochs of its `manifest`.
    ///
    /// # Errors
    /// If one of the streams has no segments, or none in some committed epoch. The files are not looked at yet.
    pub fn new(run: &Path, manifest: &Manifest, streams: &[&str]) -> Result<Self> {
        let epochs = manifest.epochs_reached;
        let mut segments: BTreeMap<(String, u32), Vec<Segment>> = BTreeMap::new();
        for segment in manifest.segments.iter().filter(|segment| streams.contains(&segment.stream.as_str())) {
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
        Ok(Self { run: run.to_owned(), epochs, segments })
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

    fn content(&self, epochs: u32) -> String {
        let mut hasher = blake3::Hasher::new();
        for segment in self.segments.values().flatten().filter(|segment| segment.epoch < epochs) {
            hasher.update(segment.path.as_bytes()).update(segment.blake3.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
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
        let name = path.display().to_string();
        Ok(RecordedSegment {
            path: name,
            batches: Box::new(OfOneEpoch { path, reader: Some(reader), epoch, rows: 0 }),
        })
    }
}

/// The rows of a segment, each of them looked at for its epoch.
struct OfOneEpoch {
    path: PathBuf,
    /// `None` after an error.
    reader: Option<SegmentReader>,
    epoch: u32,
    rows: u64,
}

impl Iterator for OfOneEpoch {
    type Item = Result<Columns, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.as_mut()?.next()?;
        let checked = batch.and_then(|batch| self.check(batch));
        if checked.is_err() {
            self.reader = None;
        }
        Some(checked.map_err(RecordingError::from))
    }
}

impl OfOneEpoch {
    fn check(&mut self, batch: Columns) -> Result<Columns> {
        check_epoch(&self.path, self.rows, &batch, self.epoch)?;
        self.rows += batch.rows as u64;
        Ok(batch)
    }
}
