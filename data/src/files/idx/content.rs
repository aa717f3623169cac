//! What an IDX file holds.

use std::io::Read;
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::CONTENT_LIMIT;
use crate::counted;
use crate::files::data_set::empty;
use crate::files::{DataError, Result};

/// A dimension of an image, as far as an importer believes it.
const SIDE_LIMIT: u64 = 1 << 14;

/// What to do about a file that is not whole.
const AGAIN: &str = "fetch it again";

/// What a file should hold.
struct Wanted {
    what: &'static str,
    /// How many dimensions it may have.
    dimensions: &'static [u8],
    /// The type bytes that it may have. 0x08 and 0x09 are bytes without and with a sign. 0x0b and 0x0c are
    /// whole numbers of 16 and 32 bits.
    types: &'static [u8],
    wrong_type: &'static str,
    wrong_dimensions: &'static str,
}

const IMAGES: Wanted = Wanted {
    what: "images have 3 (count, rows, columns) or 4 (with channels)",
    dimensions: &[3, 4],
    types: &[0x08],
    wrong_type: "images must be unsigned bytes (0x08)",
    wrong_dimensions: "are these labels, or images that were flattened?",
};

const LABELS: Wanted = Wanted {
    what: "labels have 1",
    dimensions: &[1],
    types: &[0x08, 0x09, 0x0B, 0x0C],
    wrong_type: "labels must be whole numbers of 8, 16 or 32 bits (0x08, 0x09, 0x0b, 0x0c)",
    wrong_dimensions: "are these images, or labels of several columns?",
};

/// The dimensions of a file of images, three or four, and its bytes; `path` is for messages. Whether it is
/// compressed is seen from its first bytes, not from its name. What its header declares is compared with its
/// length before anything is allocated.
pub fn images(path: &Path, bytes: &[u8]) -> Result<(Vec<usize>, Vec<u8>)> {
    let (shape, _, pixels) = parse(path, &IMAGES, bytes)?;
    Ok((shape, pixels))
}

/// The labels in a file, whatever their width; as [`images`].
pub fn labels(path: &Path, bytes: &[u8]) -> Result<Vec<i32>> {
    let (_, kind, values) = parse(path, &LABELS, bytes)?;
    Ok(match kind {
        0x08 => values.into_iter().map(i32::from).collect(),
        0x09 => values.into_iter().map(|value| i32::from(value.cast_signed())).collect(),
        0x0B => values.as_chunks().0.iter().map(|value| i32::from(i16::from_be_bytes(*value))).collect(),
        _ => values.as_chunks().0.iter().map(|value| i32::from_be_bytes(*value)).collect(),
    })
}

/// The dimensions of a file, its type byte and the bytes of its values.
fn parse(path: &Path, wanted: &Wanted, bytes: &[u8]) -> Result<(Vec<usize>, u8, Vec<u8>)> {
    let mut rest = bytes;
    let mut source: Box<dyn Read> = match bytes.starts_with(&[0x1F, 0x8B]) {
        true => Box::new(GzDecoder::new(&mut rest)),
        false => Box::new(&mut rest),
    };
    // Grows with what is really there.
    let mut read = |length: u64| {
        let mut read = Vec::new();
        let done = source.by_ref().take(length).read_to_end(&mut read);
        done.map(|_| read).map_err(DataError::io(path, "decompress"))
    };
    let short = |found: usize, dimensions: u8| {
        let (found, length) = (counted(found, "byte"), 4 + 4 * usize::from(dimensions));
        DataError::refused(path, format!("has {found} where the header alone takes {length}"), AGAIN)
    };
    let magic = read(4)?;
    let [zero, second, kind, dimensions] = magic[..] else {
        return Err(short(magic.len(), wanted.dimensions[0]));
    };
    if [zero, second] != [0, 0] {
        let found = format!("0x{zero:02x}{second:02x}{kind:02x}{dimensions:02x}");
        let remedy = "an IDX file starts with two zero bytes; is it another format?";
        return Err(DataError::unfit(path, "magic number", found, "", remedy));
    }
    if !wanted.types.contains(&kind) {
        return Err(DataError::unfit(path, "type byte", format!("{kind:#04x}"), "", wanted.wrong_type));
    }
    let width = match kind {
        0x0B => 2,
        0x0C => 4,
        _ => 1,
    };
    if !wanted.dimensions.contains(&dimensions) {
        let what = format!("has {} where {}", counted(dimensions, "dimension"), wanted.what);
        return Err(DataError::refused(path, what, wanted.wrong_dimensions));
    }
    let header = read(4 * u64::from(dimensions))?;
    let shape: Vec<u32> = header.as_chunks().0.iter().map(|side| u32::from_be_bytes(*side)).collect();
    if shape.len() < usize::from(dimensions) {
        return Err(short(4 + header.len(), dimensions));
    }
    for (index, side) in shape.iter().enumerate().skip(1) {
        DataError::limit(path, &format!("dimension {index}"), u64::from(*side), SIDE_LIMIT)?;
        if *side == 0 {
            return Err(empty(path));
        }
    }
    let mut factors: Vec<u64> = shape.iter().map(|side| u64::from(*side)).collect();
    factors.extend((width > 1).then_some(width));
    let words = factors.iter().map(u64::to_string).collect::<Vec<_>>().join(" × ");
    let length = factors.into_iter().fold(1, u64::saturating_mul);
    DataError::limit(path, &format!("declared size {words}"), length, CONTENT_LIMIT)?;
    // One byte more, which must not be there: reading on checks the checksum.
    let values = read(length + 1)?;
    drop(source);
    let found = values.len() as u64;
    if found < length {
        let length = counted(length, "byte");
        let what = format!("the header declares {words} = {length}, the file has {found}");
        return Err(DataError::refused(path, what, AGAIN));
    }
    // Nor may anything follow the one compressed stream.
    if found > length || !rest.is_empty() {
        let what = format!("bytes follow the {length} that the header declares ({words})");
        return Err(DataError::refused(path, what, AGAIN));
    }
    Ok((shape.into_iter().map(|side| side as usize).collect(), kind, values))
}
