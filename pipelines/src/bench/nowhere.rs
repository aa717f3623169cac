//! A store that keeps nothing: the graph writes its tables as always, and they are gone.

use spfde_data::segment::{Commit, Segment, SegmentStore, SegmentWriter, StorageError};
use spfde_data::table::{Column, Columns};

/// Takes everything and keeps nothing.
pub(super) struct Nowhere;

/// A segment that counts its rows.
struct Counted {
    stream: String,
    epoch: u32,
    worker: u32,
    rows: u64,
}

impl SegmentStore for Nowhere {
    fn create(
        &self,
        stream: &str,
        _columns: &[Column],
        epoch: u32,
        worker: u32,
    ) -> Result<Box<dyn SegmentWriter>, StorageError> {
        Ok(Box::new(Counted { stream: stream.to_owned(), epoch, worker, rows: 0 }))
    }
}

impl SegmentWriter for Counted {
    fn append(&mut self, rows: &Columns) -> Result<(), StorageError> {
        self.rows += rows.rows as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Segment, StorageError> {
        let Self { stream, epoch, worker, rows } = *self;
        let (path, blake3) = (String::new(), String::new());
        Ok(Segment { stream, epoch, worker, path, rows, bytes: 0, blake3 })
    }
}

impl Commit for Nowhere {
    fn commit(&self, _epoch: u32, _segments: Vec<Segment>) -> Result<(), StorageError> {
        Ok(())
    }
}
