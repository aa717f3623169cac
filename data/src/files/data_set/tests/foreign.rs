//! Data sets that other programs wrote, with as little as need be, in every codec.

use arrow::array::{Int8Array, Int64Array};
use parquet::basic::Compression;

use super::*;
use crate::augment::Augmentation;

/// Writes both files with this description, if any, and labels of another type.
fn written_by_hand(set: &DataSet, json: Option<&str>, codec: Compression) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, images) in [("train.parquet", &set.train), ("test.parquet", &set.test)] {
        let rows = (0..images.len()).map(|row| images.image(row));
        let labels: Vec<i64> = images.labels.iter().map(|label| i64::from(*label)).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("label", Arc::new(Int64Array::from(labels))),
            ("image", Arc::new(FixedSizeBinaryArray::try_from_iter(rows).unwrap())),
        ];
        let properties = WriterProperties::builder().set_compression(codec);
        write_columns(&directory.path().join(name), json.map(str::to_owned), columns, properties);
    }
    directory
}

fn plain(set: &DataSet, json: Option<&str>) -> crate::files::Result<DataSet> {
    read(written_by_hand(set, json, Compression::SNAPPY).path())
}

#[test]
fn what_is_not_stated_is_inferred() {
    for (channels, side) in [(1, 7), (3, 5)] {
        let set = assemble("x", 3, images(20, channels, side, side), images(7, channels, side, side));
        let directory = written_by_hand(&set, None, Compression::SNAPPY);
        let read = read(directory.path()).unwrap();
        assert_eq!((&read.train, &read.test, read.classes), (&set.train, &set.test, 3));
        assert_eq!((read.fingerprint, read.augment), (set.fingerprint, Augmentation::None));
        assert_eq!(read.name, directory.path().file_name().unwrap().to_str().unwrap());
    }
    // Three channels of 4 × 3 pixels could be one of 6 × 6: a note says what was taken, unless it is stated.
    let set = assemble("x", 3, images(20, 3, 4, 3), images(7, 3, 4, 3));
    let noted = |json| read_within(written_by_hand(&set, json, Compression::SNAPPY).path(), 1 << 20).unwrap();
    let (read, note) = noted(None);
    assert_eq!((read.train.channels, read.train.height, read.train.width), (1, 6, 6));
    let start = "images of 36 bytes are taken as 1 × 6 × 6; state channels, height and width in the metadata";
    assert!(note.is_some_and(|note| note.starts_with(start)));
    let (read, note) = noted(Some(r#"{"channels": 3, "height": 4, "width": 3}"#));
    assert_eq!((read.fingerprint, note), (set.fingerprint.clone(), None));
    // Neither square nor of one or three channels.
    let set = small();
    let message = plain(&set, None).unwrap_err().to_string();
    let end = "train.parquet: images have 60 bytes, whose shape cannot be told; state it in the metadata key \
               spfde.data, such as {\"channels\": 3, \"height\": 32, \"width\": 24}";
    assert!(message.ends_with(end), "{message}");
    for json in [
        r#"{"height": 4, "width": 5}"#,
        r#"{"channels": 3, "width": 5}"#,
        r#"{"channels": 3, "height": 4, "width": 5, "more": [1]}"#,
    ] {
        assert_eq!(plain(&set, Some(json)).unwrap().fingerprint, set.fingerprint, "{json}");
    }
    let stated = r#"{"name": "toys", "channels": 3, "height": 4, "classes": 9, "augment": "flip"}"#;
    let read = plain(&set, Some(stated)).unwrap();
    assert_eq!((read.name.as_str(), read.classes, read.augment), ("toys", 9, Augmentation::Flip));
    for (json, part) in [
        (
            r#"{"channels": 7}"#,
            "train.parquet: images have 60 bytes, whose shape cannot be told; state it in",
        ),
        (r#"{"height": 0}"#, "train.parquet: holds no images; a data set needs at least one"),
        (
            r#"{"augment": "mirror"}"#,
            "train.parquet: unknown augmentation `mirror`, expected none; flip, crop",
        ),
    ] {
        let message = plain(&set, Some(json)).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn inferred_classes_have_no_gaps_and_hold_the_test_labels() {
    let square = |labels: Vec<u16>| Images { labels, ..images(4, 1, 3, 3) };
    let gap = assemble("x", 4, square(vec![0, 1, 3, 3]), square(vec![0; 4]));
    let message = plain(&gap, None).unwrap_err().to_string();
    let expected = "label 2 never occurs though 3 does; classes must be numbered without gaps";
    assert!(message.ends_with(&format!("train.parquet: {expected}")), "{message}");
    assert_eq!(plain(&gap, Some(r#"{"classes": 4}"#)).unwrap().classes, 4);
    let beyond = assemble("x", 4, square(vec![0, 1, 2, 2]), square(vec![0, 3, 0, 0]));
    let message = plain(&beyond, None).unwrap_err().to_string();
    let expected = "test.parquet: row 1: label is 3; expected one of 3 classes, numbered from 0";
    assert!(message.ends_with(expected), "{message}");

    let directory = written(&assemble("x", 3, square(vec![0, 1, 2, 2]), square(vec![0; 4])));
    let rows: Vec<&[u8]> = vec![&[1; 9]; 4];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("image", Arc::new(BinaryArray::from_iter_values(rows))),
        ("label", Arc::new(Int8Array::from(vec![0, 1, -1, 2]))),
    ];
    let properties = WriterProperties::builder().set_dictionary_enabled(false);
    write_columns(&directory.path().join("train.parquet"), None, columns, properties);
    let expected = "train.parquet: row 2: label is -1; expected one of 3 classes, numbered from 0";
    assert_eq!(super::message(directory.path()), expected);
}

#[test]
fn one_description_is_enough_for_both_files() {
    let set = small();
    let directory = written(&set);
    let path = directory.path().join("test.parquet");
    let replace = |images: &Images| {
        let rows = (0..images.len()).map(|row| images.image(row));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("image", Arc::new(FixedSizeBinaryArray::try_from_iter(rows).unwrap())),
            ("label", Arc::new(UInt16Array::from(images.labels.clone()))),
        ];
        write_columns(&path, None, columns, WriterProperties::builder());
    };
    replace(&set.test);
    assert_eq!(read(directory.path()).unwrap().fingerprint, set.fingerprint);
    // The fingerprint that the other one states still holds.
    replace(&images(6, 3, 4, 5));
    let found = message(directory.path());
    assert!(found.contains("fingerprint of the content of train.parquet and test.parquet"), "{found}");
}

#[test]
fn every_codec_that_there_is_can_be_read() {
    let set = assemble("x", 3, images(50, 3, 8, 8), images(7, 3, 8, 8));
    for codec in crate::files::codecs() {
        let directory = written_by_hand(&set, None, codec);
        assert_eq!(read(directory.path()).unwrap().fingerprint, set.fingerprint, "{codec}");
    }
}

#[test]
fn the_augmentation_is_stored() {
    let set = DataSet { augment: Augmentation::Crop, ..small() };
    assert_eq!(read(written(&set).path()).unwrap().augment, Augmentation::Crop);
    assert_eq!(read(written(&small()).path()).unwrap().augment, Augmentation::None);
    assert_eq!(embedded().unwrap().augment, Augmentation::Flip);
}

/// The data sets in `data/tests/foreign`, written by the program beside them.
#[test]
fn data_sets_of_other_programs_are_read() {
    let pixels = |count: usize| (0..48 * count).map(|place| (place * 7 % 251) as u8).collect();
    let labels = |count: usize| (0..count).map(|image| (image % 3) as u16).collect();
    let images =
        |count| Images { channels: 3, height: 4, width: 4, pixels: pixels(count), labels: labels(count) };
    let expected = assemble("x", 3, images(12), images(4));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign");
    for name in ["pyarrow-brotli", "pyarrow-lz4-v2", "pandas", "pandas-gzip", "duckdb", "duckdb-lz4"] {
        let set = read(&folder.join(name)).unwrap();
        assert_eq!((set.name.as_str(), &set.train, &set.test), (name, &expected.train, &expected.test));
        assert_eq!(set.fingerprint, expected.fingerprint);
    }
}
