//! Files that declare more than they hold: read in a process that may have far less memory than what they
//! declare, so that a reservation made before the check would end it.
#![cfg(feature = "files")]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::alloc::System;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use cap::Cap;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::parse_columns;
use spfde_data::files::{Result, data_set, idx, weights};
use spfde_data::images::Images;
use spfde_data::row;
use spfde_data::segment::Segment;
use spfde_data::table::Row;
use spfde_parquet_guard::ParquetFile;

/// In the child process: a directory of files that were written for it.
const CHILD: &str = "SPFDE_TEST_DECLARED_SIZES";

/// Bytes that the child may hold. All sizes declared below are above it.
const MEMORY_LIMIT: usize = 512 * 1_000_000;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Runs a test again as a child.
fn run_child(test: &str, given: &OsStr) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(CHILD, given)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{given:?}: {:?}: {text}", output.status);
}

#[test]
fn declared_sizes_are_checked_before_memory_is_reserved() {
    if let Some(written) = std::env::var_os(CHILD) {
        ALLOCATOR.set_limit(MEMORY_LIMIT).unwrap();
        return read_hostile_files(Path::new(&written));
    }
    // To write these takes more than the child has.
    let written = tempfile::tempdir().unwrap();
    std::fs::write(written.path().join("note"), long_texts(&["a"], 12)).unwrap();
    std::fs::write(written.path().join("notes"), long_texts(&["a", "b", "c", "d", "e"], 1)).unwrap();
    run_child("declared_sizes_are_checked_before_memory_is_reserved", written.path().as_os_str());
}

fn read_hostile_files(written: &Path) {
    let mut unlimited = Vec::<u8>::new();
    assert!(unlimited.try_reserve_exact(1 << 30).is_err(), "the limit is in force");
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let check = |message: String, expected: &str| assert!(message.contains(expected), "{message}");

    let read_images = |name: &str| idx::images(&at(name), &std::fs::read(at(name)).unwrap());
    // 4.2 GB of images in 16 bytes, plain and compressed.
    let header =
        [&[0, 0, 8, 3][..], &700_000_000_u32.to_be_bytes(), &2_u32.to_be_bytes(), &3_u32.to_be_bytes()]
            .concat();
    std::fs::write(at("plain"), &header).unwrap();
    check(read_images("plain").unwrap_err().to_string(), "4200000000 bytes, the file has 0");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&header).unwrap();
    std::fs::write(at("gzip"), encoder.finish().unwrap()).unwrap();
    check(read_images("gzip").unwrap_err().to_string(), "4200000000 bytes, the file has 0");

    // Tensors of 4 TB, and a header of 2⁶⁴ − 1 bytes.
    let tensor = r#"{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#;
    let bytes = [&(tensor.len() as u64).to_le_bytes()[..], tensor.as_bytes(), &[0; 4]].concat();
    for bytes in [bytes, u64::MAX.to_le_bytes().to_vec()] {
        std::fs::write(at("tensors"), bytes).unwrap();
        check(weights::read(&at("tensors")).unwrap_err().to_string(), "cannot read the tensors: ");
    }

    // A file of 1 TB that takes no room on the disk, instead of each kind of file.
    let sparse = std::fs::File::create(at("manifest.json")).unwrap();
    if sparse.set_len(1 << 40).is_ok() {
        let expected = "file length is 1099511627776, above the limit of ";
        std::fs::hard_link(at("manifest.json"), at("train.parquet")).unwrap();
        check(Manifest::read(directory.path()).unwrap_err().to_string(), expected);
        check(weights::read(&at("manifest.json")).unwrap_err().to_string(), expected);
        // Only its end is looked at.
        check(
            data_set::read(directory.path()).unwrap_err().to_string(),
            "Invalid Parquet file. Corrupt footer",
        );
    }

    read_hostile_parquet(&at("set"), check);
    read_long_texts(written, check);
}

fn read_hostile_parquet(directory: &Path, check: fn(String, &str)) {
    // One page of 2 MB of zeros, whose header states its size in four bytes right behind the file's magic
    // number.
    let images = |count: usize| Images {
        channels: 1,
        height: 32,
        width: 32,
        pixels: vec![0_u8; count * 1024].into(),
        labels: vec![0; count],
    };
    data_set::write(&data_set::assemble("zeros", 1, images(2000), images(1)), directory).unwrap();
    let path = directory.join("train.parquet");
    let good = std::fs::read(&path).unwrap();
    assert_eq!(good[4..11], [0x15, 0, 0x15, 0x80, 0x80, 0xFA, 0x01], "field 2 is the zigzag of 2000 · 1024");
    let mut bytes = good.clone();
    bytes[7..11].copy_from_slice(&[0xFE, 0xFF, 0xFF, 0x7F]);
    std::fs::write(&path, &bytes).unwrap();
    check(
        data_set::read(directory).unwrap_err().to_string(),
        "page size of column image is 134217727, above the limit of 67108864",
    );

    // A footer of 2 GB.
    let mut bytes = good.clone();
    let place = bytes.len() - 8;
    bytes[place..place + 4].copy_from_slice(&0x7FFF_FFFF_u32.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    check(
        data_set::read(directory).unwrap_err().to_string(),
        "footer length is 2147483647, above the limit of 4194304",
    );
    std::fs::write(&path, &good).unwrap();
    assert!(data_set::read(directory).is_ok());
}

row! {
    /// A stream of one text.
    struct Note in "notes" by (epoch) {
        epoch: u32,
        a: String,
    }
}

row! {
    /// A stream of five texts.
    struct Notes in "notes" by (epoch) {
        epoch: u32,
        a: String,
        b: String,
        c: String,
        d: String,
        e: String,
    }
}

/// A segment of rows whose texts are each as long as a page may be, near enough; some kilobytes each when
/// compressed.
fn long_texts(columns: &[&str], rows: usize) -> Vec<u8> {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a".repeat(60 << 20)]));
    let epoch: ArrayRef = Arc::new(UInt32Array::from(vec![3]));
    let columns = columns.iter().map(|name| (*name, Arc::clone(&text)));
    let batch = RecordBatch::try_from_iter([("epoch", epoch)].into_iter().chain(columns)).unwrap();
    let keys = [("spfde.schema", "1"), ("spfde.stream", "notes")];
    let keys = keys.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(1)
        .set_write_batch_size(1)
        .set_key_value_metadata(Some(keys.to_vec()))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    (0..rows).for_each(|_| writer.write(&batch).unwrap());
    writer.into_inner().unwrap()
}

/// The rows of each batch.
fn batches<R: Row>(bytes: Vec<u8>) -> Result<Vec<usize>> {
    let path = Path::new("notes.parquet");
    let segment = Segment {
        stream: R::STREAM.to_owned(),
        epoch: 3,
        worker: 0,
        path: String::new(),
        rows: ParquetFile::parse(path, bytes.clone())?.rows(),
        bytes: bytes.len() as u64,
        blake3: blake3::hash(&bytes).to_hex().to_string(),
    };
    parse_columns(path, bytes, &segment, &R::columns())?.map(|batch| Ok(batch?.rows)).collect()
}

fn read_long_texts(written: &Path, check: fn(String, &str)) {
    // Together the twelve values are 720 MiB.
    let file = std::fs::read(written.join("note")).unwrap();
    assert!(file.len() < 1 << 20, "{}", file.len());
    assert_eq!(batches::<Note>(file).unwrap(), [1; 12]);
    let file = std::fs::read(written.join("notes")).unwrap();
    assert!(file.len() < 1 << 20, "{}", file.len());
    check(
        batches::<Notes>(file).unwrap_err().to_string(),
        "notes.parquet: size of the pages of a batch is 3",
    );
}
