//! Files that stand for more rows than so few bytes can hold.

use parquet::basic::{Encoding, ZstdLevel};
use parquet::file::properties::WriterVersion;

use super::*;

/// Writes rows whose columns compress to next to nothing.
fn write_dense(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BINARY_PACKED)
        .set_column_encoding("correct".into(), Encoding::RLE)
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_data_page_row_count_limit(1 << 22)
        .set_write_batch_size(1 << 22)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let bytes = path.metadata().unwrap().len();
    assert!(bytes < 1 << 12, "{bytes}");
}

/// So many rows of one sample.
fn of_one_sample(rows: usize) -> Vec<(&'static str, ArrayRef)> {
    plain(vec![7; rows], vec![0; rows], vec![0; rows], vec![true; rows])
}

#[test]
fn rows_that_so_few_bytes_cannot_hold_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scores.parquet");
    // Of one sample, and of as many samples: their numbers in a row are differences of one.
    let count = 3 << 19;
    let zeros = vec![0; count];
    let of_many = plain((0..count as i64).collect(), zeros.clone(), zeros, vec![true; count]);
    for columns in [of_one_sample(count), of_many] {
        write_dense(&path, columns);
        let bytes = path.metadata().unwrap().len();
        let most = (1 << 20) + 128 * bytes;
        for threads in [1, 3] {
            let error = open(directory.path(), threads, false).unwrap_err().to_string();
            let expected = format!(
                "{}: number of rows is 1572864, above the limit of {most} for {bytes} bytes; no \
                 training compresses so well: if these are recorded scores, write them plain, without \
                 encoding and compression",
                path.display()
            );
            assert_eq!(error, expected);
        }
    }
    // What the message says helps.
    let batch = RecordBatch::try_from_iter(of_one_sample(count)).unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let files = open(&path, 2, false).unwrap();
    assert_eq!((files.rows(), files.samples()), (count as u64, 1));
}

#[test]
fn the_rows_of_all_files_together_are_limited_by_all_of_their_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = |number: usize| directory.path().join(format!("{number}.parquet"));
    // Each of them alone is few enough.
    for number in 0..3 {
        write_dense(&path(number), of_one_sample(1 << 19));
        assert_eq!(open(&path(number), 1, false).unwrap().rows(), 1 << 19);
    }
    let bytes: u64 = (0..3).map(|number| path(number).metadata().unwrap().len()).sum();
    let most = (1 << 20) + 128 * bytes;
    for threads in [1, 3] {
        let error = open(directory.path(), threads, false).unwrap_err().to_string();
        let (path, rows) = (directory.path().display(), 3 << 19);
        let expected = format!(
            "{path}: number of rows of its files is {rows}, above the limit of {most} for {bytes} bytes; "
        );
        assert!(error.starts_with(&expected), "{error}");
    }
    // Bytes that are there make room, whichever file they are in.
    let many: Vec<i64> = (0..8000).map(|row| row * 7919 % 8009).collect();
    write(
        &path(9),
        plain(many.clone(), vec![1; 8000], many, vec![true; 8000]),
        8000,
        Compression::UNCOMPRESSED,
    );
    assert_eq!(open(directory.path(), 2, false).unwrap().rows(), (3 << 19) + 8000);
}
