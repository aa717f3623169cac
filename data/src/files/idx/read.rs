//! Reads one IDX file, plain or gzip: what it declares is compared with its length before anything is allocated.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::header::{AGAIN, Content, Header};
use crate::files::error::{DataError, Result};
use crate::files::read_limited::{open, reserve};
use crate::words::counted;

/// Deflate cannot shrink data to less than one part in 1032: 258 bytes take at least 2 bits.
const INFLATION_LIMIT: u64 = 1032;

/// Reads a file that should hold `content`; whether it is compressed is seen from its first bytes, not from its name.
pub(super) fn read(path: &Path, content: Content) -> Result<(Header, Vec<u8>)> {
    let (file, length) = open(path)?;
    read_from(path, content, BufReader::with_capacity(1 << 16, file), length)
}

/// As [`read`], from the `length` bytes of `file`; `path` is for messages.
pub(super) fn read_from(
    path: &Path,
    content: Content,
    mut file: impl BufRead,
    length: u64,
) -> Result<(Header, Vec<u8>)> {
    let start = file.fill_buf().map_err(DataError::io(path, "read"))?;
    if start.starts_with(&[0x1F, 0x8B]) {
        read_gzip(path, content, file, length)
    } else {
        read_plain(path, content, file, length)
    }
}

fn read_plain(
    path: &Path,
    content: Content,
    mut file: impl BufRead,
    length: u64,
) -> Result<(Header, Vec<u8>)> {
    let header = read_header(path, content, &mut file, "read")?;
    let found = length.saturating_sub(content.header_length() as u64);
    if found < header.length {
        return Err(truncated(path, &header, found));
    }
    if found > header.length {
        return Err(trailing(path, &header));
    }
    Ok((header, read_content(path, &header, &mut file, "read")?))
}

fn read_gzip(
    path: &Path,
    content: Content,
    file: impl BufRead,
    compressed: u64,
) -> Result<(Header, Vec<u8>)> {
    const ACTION: &str = "decompress";
    let mut decoder = GzDecoder::new(file);
    let header = read_header(path, content, &mut decoder, ACTION)?;
    if header.length > compressed.saturating_mul(INFLATION_LIMIT) {
        let more = format!("more than {} can hold", counted(compressed, "compressed byte"));
        return Err(DataError::refused(path, declares(&header, &more), AGAIN));
    }
    let bytes = read_content(path, &header, &mut decoder, ACTION)?;
    let mut rest = decoder.into_inner();
    // Nothing may follow the one compressed stream.
    if !rest.fill_buf().map_err(DataError::io(path, "read"))?.is_empty() {
        return Err(trailing(path, &header));
    }
    Ok((header, bytes))
}

fn read_header(
    path: &Path,
    content: Content,
    source: &mut impl Read,
    action: &'static str,
) -> Result<Header> {
    let mut bytes = Vec::new();
    let length = content.header_length() as u64;
    source.take(length).read_to_end(&mut bytes).map_err(DataError::io(path, action))?;
    Header::parse(path, content, &bytes)
}

/// Reads what the header declares and one byte more, which must not be there; for gzip that checks the checksum.
fn read_content(
    path: &Path,
    header: &Header,
    source: &mut impl Read,
    action: &'static str,
) -> Result<Vec<u8>> {
    let mut bytes = reserve(path, &format!("declared size {}", header.dimensions()), header.length + 1)?;
    source.take(header.length + 1).read_to_end(&mut bytes).map_err(DataError::io(path, action))?;
    match (bytes.len() as u64).cmp(&header.length) {
        std::cmp::Ordering::Less => Err(truncated(path, header, bytes.len() as u64)),
        std::cmp::Ordering::Equal => Ok(bytes),
        std::cmp::Ordering::Greater => Err(trailing(path, header)),
    }
}

fn truncated(path: &Path, header: &Header, found: u64) -> DataError {
    DataError::refused(path, declares(header, &format!("the file has {found}")), AGAIN)
}

/// What a header declares, and what there is.
fn declares(header: &Header, found: &str) -> String {
    format!("the header declares {} = {}, {found}", header.dimensions(), counted(header.length, "byte"))
}

fn trailing(path: &Path, header: &Header) -> DataError {
    let (expected, dimensions) = (header.length, header.dimensions());
    let what = format!("bytes follow the {expected} that the header declares ({dimensions})");
    DataError::refused(path, what, AGAIN)
}
