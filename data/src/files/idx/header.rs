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

/// The most dimensions that a part of a data set has.
const DIMENSIONS: usize = 3;

/// What an IDX file should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    /// Images: count, rows, columns.
    Images,
    /// Labels: count.
    Labels,
}

impl Content {
    fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Labels => "labels",
        }
    }

    /// Bytes of the header: the magic number and the dimensions.
    pub(super) fn header_length(self) -> usize {
        4 + 4 * self.dimensions()
    }

    fn dimensions(self) -> usize {
        match self {
            Self::Images => 3,
            Self::Labels => 1,
        }
    }
}

/// A header whose declared size is plausible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    dimensions: [u32; DIMENSIONS],
    used: usize,
    /// Bytes of content: the product of the dimensions.
    pub(super) length: u64,
}

impl Header {
    /// Parses the header from `bytes`, which may be fewer than it takes.
    pub(super) fn parse(path: &Path, content: Content, bytes: &[u8]) -> Result<Self> {
        let short = || {
            let (found, expected) = (counted(bytes.len(), "byte"), content.header_length());
            let what = format!("has {found} where the header alone takes {expected}");
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
        let used = content.dimensions();
        if usize::from(count) != used {
            let (found, what) = (counted(count, "dimension"), content.name());
            let what = format!("has {found} where {what} have {used}");
            return Err(DataError::refused(path, what, "are the files swapped?"));
        }
        let words = bytes.get(4..content.header_length()).ok_or_else(short)?;
        let mut dimensions = [1; DIMENSIONS];
        for (dimension, word) in dimensions.iter_mut().zip(words.as_chunks::<4>().0) {
            *dimension = u32::from_be_bytes(*word);
        }
        for (index, side) in dimensions.iter().enumerate().skip(1) {
            DataError::limit(path, &format!("dimension {index}"), u64::from(*side), SIDE_LIMIT)?;
            if *side == 0 {
                return Err(empty(path));
            }
        }
        // At most 2³² · 2¹⁴ · 2¹⁴: fits.
        let length = dimensions.iter().map(|dimension| u64::from(*dimension)).product();
        let header = Self { dimensions, used, length };
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
        let words: Vec<String> = self.dimensions[..self.used].iter().map(u32::to_string).collect();
        words.join(" × ")
    }
}
