//! What the row groups and pages of a file claim, compared with limits before anything is decoded.

use parquet::basic::Type;

use super::ParquetFile;
use super::pages::{self, Claims, PAGE_LIMIT, PageFault};
use crate::files::error::{DataError, Result};

/// Rows for each byte of a file. Runs of equal values take next to nothing, so that a few bytes could stand for more
/// rows than anybody can wait for; the files of a run stay a hundred times below.
const ROWS_PER_BYTE: u64 = 1 << 16;

/// Bytes of the pages that the columns of a batch hold at the same time, each a page and a dictionary: a page of a few bytes
/// may become [`PAGE_LIMIT`], and a table has a dozen columns. The tables of a run stay below 16 MiB.
const TOGETHER_LIMIT: u64 = 256 << 20;

/// Bytes of variable length that a batch may come to: a value may be as long as a page, whose bytes it shares with nobody.
const BATCH_BYTES: u64 = 64 << 20;

impl ParquetFile {
    /// Checks counts, and the pages of the wanted columns (all of them by default); returns the rows that the row groups
    /// declare, and what the pages claim.
    pub(super) fn check(&self, wanted: Option<&[&str]>) -> Result<(u64, Vec<Claims>)> {
        let damaged = || DataError::ParquetDamaged { path: self.path.clone(), action: "read the row groups" };
        let (mut rows, mut walked) = (0_u64, 0);
        let mut claims = vec![Claims::default(); self.metadata.parquet_schema().num_columns()];
        for group in self.metadata.metadata().row_groups() {
            let declared = u64::try_from(group.num_rows()).map_err(|_| damaged())?;
            rows = rows.checked_add(declared).ok_or_else(damaged)?;
            for (column, claims) in group.columns().iter().zip(&mut claims) {
                let root = column.column_path().parts().first().map_or("", String::as_str);
                if wanted.is_some_and(|wanted| !wanted.contains(&root)) {
                    continue;
                }
                let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
                let start = usize::try_from(start).map_err(|_| damaged())?;
                let length = usize::try_from(column.compressed_size()).map_err(|_| damaged())?;
                let end = start.checked_add(length).ok_or_else(damaged)?;
                let chunk = self.bytes.get(start..end).ok_or_else(damaged)?;
                // Every column has its own part of the file: many that share one would take longer to walk over than to read.
                walked += length;
                if walked > self.bytes.len() {
                    return Err(damaged());
                }
                let checked = pages::check(chunk, column.column_type());
                *claims =
                    claims.and(checked.map_err(|fault| self.fault(&column.column_path().string(), fault))?);
            }
        }
        let limit = (self.bytes.len() as u64).saturating_mul(ROWS_PER_BYTE);
        DataError::limit(&self.path, "number of rows", rows, limit)?;
        if i64::try_from(rows) != Ok(self.metadata.metadata().file_metadata().num_rows()) {
            return Err(damaged());
        }
        Ok((rows, claims))
    }

    /// What is wrong with the pages of a column.
    fn fault(&self, column: &str, fault: PageFault) -> DataError {
        let path = self.path.clone();
        let too_large = |what: &str, found, limit| DataError::TooLarge {
            path: self.path.clone(),
            field: format!("{what} of column {column}"),
            found,
            limit,
        };
        match fault {
            PageFault::Broken => DataError::ParquetDamaged { path, action: "read the row groups" },
            PageFault::TooLarge(found) => too_large("page size", found, PAGE_LIMIT),
            PageFault::Dictionary { values, limit } => {
                too_large("number of dictionary values", values, limit)
            }
            PageFault::Expands => DataError::Dictionary { path, column: column.to_owned() },
        }
    }

    /// Checks what the pages of the named columns claim together; returns how many rows a batch of at most `batch` can have.
    pub(super) fn batch_rows(&self, columns: &[&str], batch: usize) -> Result<usize> {
        let schema = self.metadata.parquet_schema();
        let named = |leaf: &usize| columns.contains(&schema.get_column_root(*leaf).name());
        let (mut together, mut rows) = (0_u64, batch);
        for leaf in (0..schema.num_columns()).filter(named) {
            let Claims { dictionary, page, total } = self.claims[leaf];
            together = together.saturating_add(dictionary + page);
            if schema.column(leaf).physical_type() == Type::BYTE_ARRAY && total > BATCH_BYTES {
                // No value is longer than its page.
                rows = rows.min(usize::try_from(BATCH_BYTES / page.max(1)).unwrap_or(usize::MAX).max(1));
            }
        }
        DataError::limit(&self.path, "size of the pages of a batch", together, TOGETHER_LIMIT)?;
        Ok(rows)
    }
}
