//! The rows of a file of a data set, row group by row group: of a file on disk only the group is in memory.

use std::fs::File;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use spfde_parquet_guard::{Batches, END_BYTES, ParquetFile};

use super::format::{IMAGE, ValueType, batch_rows};
use crate::counted;
use crate::files::parquet_store::check_nulls;
use crate::files::{DataError, Result, open, read_range};

/// Bytes of a file of which no more than a row group is in memory.
const DISK_LIMIT: u64 = 1 << 40;

/// A file of a data set.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: ParquetFile,
    /// `None` if all of it is in memory.
    disk: Option<File>,
}

impl Source {
    /// Opens a file and reads its footer.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (disk, length) = open(path)?;
        DataError::limit(path, "file length", length, DISK_LIMIT)?;
        let end = read_range(path, &disk, length.saturating_sub(END_BYTES)..length)?;
        // What has been read of it goes; the footer stays, as what it says.
        let file = ParquetFile::parse_end(path, length, end)?.with_part(0, Vec::new());
        Ok(Self { file, disk: Some(disk) })
    }

    /// A file in memory.
    pub(super) fn of(file: ParquetFile) -> Self {
        Self { file, disk: None }
    }

    /// Decodes a column of a row group, at most so many rows at a time; none may be missing.
    pub(super) fn rows(
        &self,
        group: usize,
        column: &'static str,
        rows: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let (path, columns) = (self.file.path().to_owned(), [column]);
        let batches: Batches = match &self.disk {
            None => self.file.batches(group..group + 1, &columns, rows)?,
            Some(disk) => {
                let place = self.file.place(group, &columns);
                let part = self.file.with_part(place.start, read_range(&path, disk, place)?);
                part.batches(group..group + 1, &columns, rows)?
            }
        };
        Ok(batches.map(move |batch| {
            let batch = batch?;
            check_nulls(&path, column, &batch[column])?;
            Ok(batch)
        }))
    }

    /// Shows the bytes of the images of a row group to `take`, many at a time; each has `stride` bytes.
    pub(super) fn images(
        &self,
        group: usize,
        stride: usize,
        values: ValueType,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let path = self.file.path();
        let (mut row, mut bytes) = (self.file.first_row(group), Vec::new());
        for batch in self.rows(group, IMAGE, batch_rows(stride))? {
            bytes.clear();
            for image in images(&batch?).flatten() {
                if image.len() != stride {
                    let what = format!("row {row}: image has {}", counted(image.len(), "byte"));
                    let four = if values == ValueType::F32 { " · 4" } else { "" };
                    let expected = format!("{stride} (channels · height · width{four})");
                    return Err(DataError::unfit(path, what, "", expected, ""));
                }
                bytes.extend_from_slice(image);
                row += 1;
            }
            if values == ValueType::F32 {
                let first = row as usize - bytes.len() / stride;
                let is_finite = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes).is_finite();
                if let Some(at) = bytes.as_chunks().0.iter().position(|number| !is_finite(number)) {
                    let what = format!("row {}: a number of the image", first + 4 * at / stride);
                    let found = f32::from_le_bytes(bytes.as_chunks().0[at]);
                    return Err(DataError::unfit(path, what, found, "finite numbers", ""));
                }
            }
            take(&bytes)?;
        }
        Ok(())
    }

    /// The first row of each row group.
    pub(super) fn row_groups(&self) -> Vec<u32> {
        let rows = (0..self.file.groups()).map(|group| self.file.group_rows(group).unwrap_or(0) as u32);
        let before = |sum: &mut u32, rows: u32| Some(std::mem::replace(sum, *sum + rows));
        rows.scan(0, before).collect()
    }

    /// Bytes of the first image.
    pub(super) fn image_bytes(&self) -> Result<usize> {
        for group in 0..self.file.groups() {
            if let Some(batch) = self.rows(group, IMAGE, 1)?.next() {
                return Ok(images(&batch?).flatten().map(<[u8]>::len).sum());
            }
        }
        Err(super::empty(self.file.path()))
    }
}

/// The images of a batch.
fn images(batch: &RecordBatch) -> Box<dyn Iterator<Item = Option<&[u8]>> + '_> {
    match batch[IMAGE].as_fixed_size_binary_opt() {
        Some(array) => Box::new(array.iter()),
        None => Box::new(batch[IMAGE].as_binary::<i32>().iter()),
    }
}

/// The numbers in little-endian bytes.
pub(super) fn numbers(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}
