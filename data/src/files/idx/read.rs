//! Reads one IDX file, plain or gzip: what it declares is compared with its length before anything is
//! allocated.

use std::cmp::Ordering;
use std::io::Read;
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::header::{AGAIN, CONTENT_LIMIT, Header, header_length};
use crate::files::error::{DataError, Result};
use crate::files::read_limited::read_limited;
use crate::words::counted;

/// Reads a file of so many `dimensions`; whether it is compressed is seen from its first bytes, not from
/// its name.
pub(super) fn read(path: &Path, dimensions: usize) -> Result<(Header, Vec<u8>)> {
    parse(path, dimensions, &read_limited(path, CONTENT_LIMIT)?)
}

/// As [`read`], from the bytes of a file; `path` is for messages.
pub(super) fn parse(path: &Path, dimensions: usize, bytes: &[u8]) -> Result<(Header, Vec<u8>)> {
    if bytes.starts_with(&[0x1F, 0x8B]) {
        return decompress(path, dimensions, bytes);
    }
    let header = Header::parse(path, dimensions, bytes)?;
    let found = &bytes[header_length(dimensions)..];
    check_length(path, &header, found.len() as u64)?;
    Ok((header, found.to_vec()))
}

fn decompress(path: &Path, dimensions: usize, bytes: &[u8]) -> Result<(Header, Vec<u8>)> {
    let mut decoder = GzDecoder::new(bytes);
    let mut read = |length: u64, into: &mut Vec<u8>| {
        decoder.by_ref().take(length).read_to_end(into).map_err(DataError::io(path, "decompress"))
    };
    let mut start = Vec::new();
    read(header_length(dimensions) as u64, &mut start)?;
    let header = Header::parse(path, dimensions, &start)?;
    // Grows with what is really there.
    let mut values = Vec::new();
    // One byte more, which must not be there: reading on checks the checksum.
    read(header.length + 1, &mut values)?;
    // Nor may anything follow the one compressed stream.
    let (found, behind) = (values.len() as u64, decoder.into_inner().len() as u64);
    check_length(path, &header, if found < header.length { found } else { found + behind })?;
    Ok((header, values))
}

/// Checks that there are as many bytes behind the header as it declares.
fn check_length(path: &Path, header: &Header, found: u64) -> Result<()> {
    let what = match found.cmp(&header.length) {
        Ordering::Equal => return Ok(()),
        Ordering::Less => {
            let (dimensions, length) = (header.dimensions(), counted(header.length, "byte"));
            format!("the header declares {dimensions} = {length}, the file has {found}")
        }
        Ordering::Greater => {
            format!("bytes follow the {} that the header declares ({})", header.length, header.dimensions())
        }
    };
    Err(DataError::refused(path, what, AGAIN))
}
