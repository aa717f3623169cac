//! Compressed files: all that can be read, those that cannot, and pages that stand for far more than they
//! claim.
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::alloc::System;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch};
use cap::Cap;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterVersion};
use spfde_parquet_guard::ParquetFile;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes of the one value, and of its page.
const LENGTH: usize = 1000;

fn codecs() -> [Compression; 7] {
    [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(Default::default()),
    ]
}

/// A file with one value, whose page is compressed, and begins behind the magic number of the file.
fn file(codec: Compression, version: WriterVersion) -> Vec<u8> {
    let value: Vec<u8> = (0..LENGTH).map(|i| (i * i / 7) as u8).collect();
    let values: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([value].iter()).unwrap());
    let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_writer_version(version)
        .set_dictionary_enabled(false)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// The length of the value that is read, or the message.
fn read(bytes: Vec<u8>) -> Result<usize, String> {
    let file = ParquetFile::parse(Path::new("x.parquet"), bytes).map_err(|error| error.to_string())?;
    let batches = file.batches(0..file.groups(), &["x"], 8).map_err(|error| error.to_string())?;
    let batches: Result<Vec<_>, _> = batches.collect();
    let batches = batches.map_err(|error| error.to_string())?;
    Ok(batches[0]["x"].as_fixed_size_binary().value(0).len())
}

/// A number as Thrift writes it, twice as large since it has a sign.
fn varint(number: usize) -> Vec<u8> {
    let (mut number, mut bytes) = (2 * number, Vec::new());
    while number >= 0x80 {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// The kind of a page, and the struct that its header ends with: a data page of one plain value of a column
/// that has no levels.
const DATA: (u8, &[u8]) = (0x00, &[0x2C, 0x15, 0x02, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x00, 0x00]);

/// The same of the second version, up to where it may say whether it is compressed.
const DATA_2: [u8; 13] = [0x5C, 0x15, 0x02, 0x15, 0x00, 0x15, 0x02, 0x15, 0x00, 0x15, 0x00, 0x15, 0x00];

/// As [`with_header`], of the first version.
fn with_page(codec: Compression, page: &[u8]) -> Vec<u8> {
    with_header(codec, DATA, page)
}

/// The same file with `page` in place of its page, which claims [`LENGTH`] bytes still.
fn with_header(codec: Compression, (kind, nested): (u8, &[u8]), page: &[u8]) -> Vec<u8> {
    let header = [&[0x15, kind, 0x15][..], &varint(LENGTH), &[0x15], &varint(page.len()), nested].concat();
    let whole = file(codec, WriterVersion::PARQUET_1_0);
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new()
        .parse_and_finish(&bytes::Bytes::from(whole))
        .unwrap();
    let chunk = metadata.row_group(0).column(0).clone();
    let length = (header.len() + page.len()) as i64;
    let chunk = chunk
        .into_builder()
        .set_total_compressed_size(length)
        .set_data_page_offset(4)
        .set_offset_index_offset(None)
        .set_offset_index_length(None)
        .build()
        .unwrap();
    let group =
        metadata.row_group(0).clone().into_builder().set_column_metadata(vec![chunk]).build().unwrap();
    let metadata = metadata.into_builder().set_row_groups(vec![group]).build();
    let mut bytes = [&b"PAR1"[..], &header, page].concat();
    let writer = parquet::file::metadata::ParquetMetaDataWriter::new(&mut bytes, &metadata);
    writer.finish().unwrap();
    bytes
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn brotli(content: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut compressed, 4096, 5, 22);
    encoder.write_all(content).unwrap();
    drop(encoder);
    compressed
}

#[test]
fn pages_of_every_codec_are_read_and_none_holds_more_than_it_claims() {
    for codec in codecs() {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            assert_eq!(read(file(codec, version)), Ok(LENGTH), "{codec} {version:?}");
        }
    }
    let compressed = |content: &[u8]| {
        [
            (Compression::GZIP(Default::default()), gzip(content)),
            (Compression::BROTLI(Default::default()), brotli(content)),
        ]
    };
    for (codec, page) in compressed(&[7; LENGTH]) {
        assert_eq!(read(with_page(codec, &page)), Ok(LENGTH), "{codec}");
    }
    let expands = "column x has a page of more than the 1000 bytes that it claims; the file is damaged";
    for (codec, page) in compressed(&[7; LENGTH + 1]) {
        assert_eq!(read(with_page(codec, &page)), Err(format!("x.parquet: {expands}")), "{codec}");
    }
    // Several streams one after the other, of which each is short enough.
    let page = [gzip(&[7; LENGTH]), gzip(&[7; 1])].concat();
    let file = with_page(Compression::GZIP(Default::default()), &page);
    assert_eq!(read(file), Err(format!("x.parquet: {expands}")));

    // 256 MiB in some hundred kilobytes; what is held while they are read stays far below.
    let bombs = compressed(&vec![7; 256 << 20]).map(|(codec, page)| with_page(codec, &page));
    for bomb in bombs {
        assert!(bomb.len() < 2 << 20, "{}", bomb.len());
        let before = ALLOCATOR.allocated();
        ALLOCATOR.set_limit(before + (24 << 20)).unwrap();
        let found = read(bomb);
        ALLOCATOR.set_limit(usize::MAX).unwrap();
        assert_eq!(found, Err(format!("x.parquet: {expands}")));
    }

    // What is no stream at all is left to the library.
    for codec in codecs().into_iter().skip(1) {
        let found = read(with_page(codec, &[0xFF; 300])).unwrap_err();
        assert!(found.starts_with("x.parquet: cannot read rows: "), "{codec}: {found}");
    }
}

#[test]
fn pages_that_say_that_they_are_not_compressed_are_not_decompressed() {
    let (gzip_codec, brotli_codec) =
        (Compression::GZIP(Default::default()), Compression::BROTLI(Default::default()));
    let read_second = |codec, end: &[u8], page: &[u8]| {
        read(with_header(codec, (0x06, &[&DATA_2[..], end].concat()[..]), page))
    };
    // Values that look like a Brotli stream with a large window, and like one of Gzip that expands.
    for (codec, start) in [
        (brotli_codec, vec![0x11]),
        (brotli_codec, vec![0x91]),
        (brotli_codec, brotli(&[7; LENGTH + 1])),
        (gzip_codec, gzip(&[7; LENGTH + 1])),
    ] {
        let page = [&start[..], &vec![0; LENGTH - start.len()]].concat();
        assert_eq!(read_second(codec, &[0x12, 0x00, 0x00], &page), Ok(LENGTH), "{codec} {start:?}");
        // Compressed is what says so, or says nothing.
        for end in [&[0x11, 0x00, 0x00][..], &[0x00, 0x00]] {
            assert!(read_second(codec, end, &page).is_err(), "{codec} {start:?}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let cannot = |codec: &str| {
        Err(format!(
            "x.parquet: column x is compressed with {codec}, which spfde cannot read; write it with \
             Zstandard, Snappy, Gzip, Brotli, raw LZ4 blocks (LZ4_RAW) or none"
        ))
    };
    // A frame of LZ4, and one of the first kind, as old libraries wrote them.
    for magic in [[0x04, 0x22, 0x4D, 0x18], [0x02, 0x21, 0x4C, 0x18]] {
        let page = [&magic[..], &[0; 40]].concat();
        assert_eq!(read(with_page(Compression::LZ4, &page)), cannot("LZ4 frames"));
    }
    // A window of up to 1 GiB.
    let page = [&[0x11][..], &[0; 40]].concat();
    let found = read(with_page(Compression::BROTLI(Default::default()), &page));
    assert_eq!(found, cannot("Brotli with a large window"));
    // No writer has LZO: its number stands in the footer instead of Snappy's.
    let mut bytes = file(Compression::SNAPPY, WriterVersion::PARQUET_1_0);
    let place = bytes.windows(5).rposition(|five| five == [0x19, 0x18, 0x01, b'x', 0x15]).unwrap() + 5;
    assert_eq!(bytes[place], 2, "the zigzag of 1");
    bytes[place] = 2 * 3;
    assert_eq!(read(bytes.clone()), cannot("LZO"));
    // Nor is there a codec 9.
    bytes[place] = 2 * 9;
    let found = read(bytes).unwrap_err();
    assert!(found.contains("CompressionCodec"), "{found}");
}
