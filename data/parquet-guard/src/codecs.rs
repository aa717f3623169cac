//! What the compression of a page can make of its bytes.
//!
//! With Snappy, Zstandard and raw LZ4 blocks the Parquet library stops at the size that a page claims. With
//! Gzip, Brotli and LZ4 frames it decompresses whatever is there before it compares: a few bytes could stand
//! for any amount of memory. Pages of the first two are decompressed here before, into nothing and up to one
//! byte more than they claim; LZ4 frames, which only old libraries wrote, are refused.

use std::io::{Read, copy, sink};

use brotli_decompressor::Decompressor;
use flate2::bufread::MultiGzDecoder;
use parquet::basic::Compression;

use crate::error::{Checked, Fault};

/// Bytes of the longest window of a Brotli stream, unless it is one of the large kind.
const BROTLI_WINDOW: u64 = 16 << 20;

/// Bytes of input that a Brotli decoder takes at a time.
const BROTLI_BUFFER: usize = 4 << 10;

/// What the first byte of a Brotli stream has in its lower seven bits if its window is of the large kind, up
/// to 1 GiB. The format of the Parquet standard, RFC 7932, has no such windows.
const LARGE_WINDOW: u8 = 0x11;

/// How an LZ4 frame begins, of today's kind and of the first.
const LZ4_FRAMES: [[u8; 4]; 2] = [[0x04, 0x22, 0x4D, 0x18], [0x02, 0x21, 0x4C, 0x18]];

/// Checks that the library can decompress the `bytes` of a page of `column`, and that they come to no more
/// than `size`. Those that do not decompress at all are left to the library, which comes no further with
/// them.
pub(crate) fn check_page(codec: Compression, bytes: &[u8], size: u64, column: &str) -> Checked {
    let found = match codec {
        Compression::GZIP(_) => length(MultiGzDecoder::new(bytes), size),
        Compression::BROTLI(_) if bytes.first().is_some_and(|first| first & 0x7F == LARGE_WINDOW) => {
            return Err(unknown(column, "Brotli with a large window"));
        }
        Compression::BROTLI(_) => length(Decompressor::new(bytes, BROTLI_BUFFER), size),
        Compression::LZ4 if LZ4_FRAMES.iter().any(|frame| bytes.starts_with(frame)) => {
            return Err(unknown(column, "LZ4 frames"));
        }
        _ => 0,
    };
    let expands = || format!("column {column} has a page of more than the {size} bytes that it claims");
    if found > size { Err(Fault(format!("{}; the file is damaged", expands()))) } else { Ok(()) }
}

/// Bytes that the library takes to decompress a page of `size` bytes, beside the page and the result.
pub(crate) fn scratch(codec: Compression, size: u64) -> u64 {
    match codec {
        // It reads through a buffer as long as the page.
        Compression::BROTLI(_) => size + BROTLI_WINDOW,
        _ => 0,
    }
}

/// How many bytes there are, up to one more than `size`, or up to an error.
fn length(source: impl Read, size: u64) -> u64 {
    let mut source = source.take(size + 1);
    // What came before an error is what the library gets, too: it is no more than asked for.
    let _ = copy(&mut source, &mut sink());
    size + 1 - source.limit()
}

/// That a column is compressed in a way that cannot be read.
pub(crate) fn unknown(column: &str, codec: &str) -> Fault {
    Fault(format!(
        "column {column} is compressed with {codec}, which spfde cannot read; write it with Zstandard, \
         Snappy, Gzip, Brotli, raw LZ4 blocks (LZ4_RAW) or none"
    ))
}
