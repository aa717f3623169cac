//! The header of an IDX file: two zero bytes, a type byte, the number of dimensions, then each as a
//! big-endian u32.

use std::path::Path;

use crate::files::data_set::empty;
use crate::files::error::{DataError, Result};
use crate::words::counted;

/// What to do about a file that is not whole.
pub(super) const AGAIN: &str = "fetch it again";

/// Bytes that an IDX file may hold uncompressed.
pub(super) const CONTENT_LIMIT: u64 = 4 << 30;

/// Rows or columns of an image, as far as an importer believes them.
const SIDE_LIMIT: u64 = 1 << 14;

/// Dimensions of a file of images: count, rows, columns.
pub(super) const IMAGES: usize = 3;
/// Dimensions of a file of labels: count.
pub(super) const LABELS: usize = 1;

/// Bytes of the header: the magic number and the dimensions.
pub(super) fn header_length(dimensions: usize) -> usize {
    4 + 4 * dimensions
}

/// A header whose declared size is plausible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The count, and of images their rows and columns.
    dimensions: Vec<u32>,
    /// Bytes of content: the product of the dimensions.
    pub(super) length: u64,
}

impl Header {
    /// Parses the header of a file with `expected` dimensions from `bytes`, which may be fewer than it takes.
    pub(super) fn parse(path: &Path, expected: usize, bytes: &[u8]) -> Result<Self> {
        let short = || {
            let (found, length) = (counted(bytes.len(), "byte"), header_length(expected));
            let what = format!("has {found} where the header alone takes {length}");
            DataError::refused(path, what, AGAIN)
        };
        let magic = *bytes.first_chunk::<4>().ok_or_else(short)?;
        let [0, 0, kind, count] = magic else {
            let found = format!("{:#010x}", u32::from_be_bytes(magic));
            let remedy = "an IDX file starts with two zero bytes; is it another format?";
            return Err(DataError::unfit(path, "magic number", found, "", remedy));
        };
        if kind != 0x08 {
            let remedy = "only 0x08 (unsigned bytes) can be imported";
            return Err(DataError::unfit(path, "type byte", format_args!("{kind:#04x}"), "", remedy));
        }
        if usize::from(count) != expected {
            let what = if expected == IMAGES { "images" } else { "labels" };
            let what = format!("has {} where {what} have {expected}", counted(count, "dimension"));
            return Err(DataError::refused(path, what, "are the files swapped?"));
        }
        let words = bytes.get(4..header_length(expected)).ok_or_else(short)?.as_chunks::<4>().0;
        let dimensions: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
        for (index, side) in dimensions.iter().enumerate().skip(1) {
            DataError::limit(path, &format!("dimension {index}"), u64::from(*side), SIDE_LIMIT)?;
            if *side == 0 {
                return Err(empty(path));
            }
        }
        // At most 2³² · 2¹⁴ · 2¹⁴: fits.
        let length = dimensions.iter().map(|dimension| u64::from(*dimension)).product();
        let header = Self { dimensions, length };
        DataError::limit(path, &format!("declared size {}", header.dimensions()), length, CONTENT_LIMIT)?;
        Ok(header)
    }

    /// How many images or labels.
    pub(super) fn count(&self) -> u64 {
        u64::from(self.dimensions[0])
    }

    /// Rows and columns of an image.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.dimensions[1] as usize, self.dimensions[2] as usize)
    }

    /// The dimensions as a person would write them.
    pub(super) fn dimensions(&self) -> String {
        let words: Vec<String> = self.dimensions.iter().map(u32::to_string).collect();
        words.join(" × ")
    }
}
