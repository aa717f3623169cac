//! The format `.npy` of NumPy: a header, which is a dictionary as Python writes it, then the values.
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::path::Path;

use crate::counted;
use crate::files::import::{AGAIN, CONTENT_LIMIT};
use crate::files::{DataError, Result};

/// Bytes of a header, as far as NumPy itself reads them.
const HEADER_LIMIT: u64 = 10_000;

/// An array in the bytes of a file.
pub(super) struct Array<'a> {
    /// Byte order, kind and bytes of a value, such as `<i8`.
    pub(super) kind: String,
    pub(super) shape: Vec<usize>,
    /// The values, the last dimension running fastest.
    pub(super) bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// Reads a file; `path` is for messages.
    ///
    /// # Errors
    /// If it is damaged, or holds something else than numbers in the order of C.
    pub(super) fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let Some(rest) = bytes.strip_prefix(b"\x93NUMPY") else {
            let remedy = "a file of NumPy starts with \\x93NUMPY; is it another format?";
            return Err(DataError::refused(path, "has another magic number", remedy));
        };
        let short = || DataError::refused(path, "ends within its header", AGAIN);
        let (header, values) = match rest {
            [1, _, rest @ ..] => {
                let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
                (u64::from(u16::from_le_bytes(*length)), rest)
            }
            [2 | 3, _, rest @ ..] => {
                let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
                (u64::from(u32::from_le_bytes(*length)), rest)
            }
            [version, _, ..] => {
                return Err(DataError::unfit(
                    path,
                    "version of the format",
                    version,
                    "1 to 3",
                    "use a newer spfde",
                ));
            }
            _ => return Err(short()),
        };
        DataError::limit(path, "length of the header", header, HEADER_LIMIT)?;
        let (header, bytes) = values.split_at_checked(header as usize).ok_or_else(short)?;
        let header = String::from_utf8_lossy(header);
        let field = |name: &str| {
            let key = format!("'{name}':");
            let mut values =
                header.match_indices(&key).map(|(at, key)| header[at + key.len()..].trim_start());
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                (Some(_), Some(_)) => {
                    Err(DataError::refused(path, format!("header has {name} twice"), AGAIN))
                }
                (None, _) => Err(DataError::refused(path, format!("header has no {name}"), AGAIN)),
            }
        };
        let kind = field("descr")?.strip_prefix('\'').and_then(|kind| kind.split('\'').next());
        let Some(kind) = kind.filter(|kind| !kind.contains('O')) else {
            let remedy = "save arrays of numbers";
            return Err(DataError::refused(path, "holds structures or objects of Python", remedy));
        };
        if !field("fortran_order")?.starts_with("False") {
            let remedy = "save numpy.ascontiguousarray(x)";
            return Err(DataError::refused(path, "has its values in the order of Fortran", remedy));
        }
        let shape = field("shape")?.strip_prefix('(').and_then(|shape| shape.split(')').next());
        let sides = shape.into_iter().flat_map(|shape| shape.split(',')).map(str::trim);
        let sides = sides.filter(|side| !side.is_empty()).map(|side| side.parse().ok());
        let unfit = || DataError::refused(path, "header has a shape that is none", AGAIN);
        let shape: Vec<usize> = sides.collect::<Option<_>>().ok_or_else(unfit)?;
        let array = Self { kind: kind.to_owned(), shape, bytes };
        let words = array.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
        let factors = array.shape.iter().map(|side| *side as u64).chain(array.width(path)?);
        let length = factors.fold(1, u64::saturating_mul);
        DataError::limit(path, "declared size", length, CONTENT_LIMIT)?;
        if length != bytes.len() as u64 {
            let found = counted(bytes.len(), "byte");
            let what =
                format!("has {found} of values where the header declares {length} ({words} of type {kind})");
            return Err(DataError::refused(path, what, AGAIN));
        }
        Ok(array)
    }

    /// Bytes of a value.
    fn width(&self, path: &Path) -> Result<Option<u64>> {
        let is_number = matches!(self.kind.as_bytes(), [_, b'i' | b'u' | b'f' | b'b' | b'c', ..]);
        let width = self.kind.get(2..).filter(|_| is_number).and_then(|width| width.parse().ok());
        let unfit = || DataError::unfit(path, "type of the values", &self.kind, "a number", "");
        width.filter(|width| (1..=16).contains(width)).map(Some).ok_or_else(unfit)
    }

    /// The values as whole numbers.
    ///
    /// # Errors
    /// If they are of another type.
    pub(super) fn integers(&self, path: &Path) -> Result<Vec<i64>> {
        let mut kind = self.kind.chars();
        let (order, sign) = (kind.next(), kind.next());
        let width = self.width(path)?.unwrap_or(1) as usize;
        if !matches!(sign, Some('i' | 'u' | 'b')) || width > 8 {
            return Err(DataError::unfit(path, "type of the labels", &self.kind, "a whole number", ""));
        }
        let integer = |value: &[u8]| {
            let mut wide = [0; 8];
            wide[..width].copy_from_slice(value);
            if order == Some('>') {
                wide[..width].reverse();
            }
            let unused = 64 - 8 * width;
            let bits = u64::from_le_bytes(wide) << unused;
            if sign == Some('i') { bits.cast_signed() >> unused } else { (bits >> unused).cast_signed() }
        };
        Ok(self.bytes.chunks_exact(width).map(integer).collect())
    }
}
