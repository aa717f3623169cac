//! Round trips, and files that are not data sets.

mod by_need;
mod damage;
mod embedded;
mod fingerprints;
mod foreign;
mod stated;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, FixedSizeBinaryArray, Float32Array, RecordBatch, UInt16Array};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

use super::format::{Description, KEY_DATA};
use super::*;

fn images(count: usize, channels: usize, height: usize, width: usize) -> Images {
    let bytes = count * channels * height * width;
    let pixels = (0..bytes).map(|i| (i * i * 7 % 253) as u8).collect();
    let labels = (0..count).map(|i| (i % 3) as u16).collect();
    Images { channels, height, width, pixels, labels }
}

fn small() -> DataSet {
    assemble("small", 3, images(20, 3, 4, 5), images(7, 3, 4, 5))
}

fn written(set: &DataSet) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(set, directory.path()).unwrap();
    directory
}

/// Writes a file of the description and columns given, as another program might.
fn write_foreign(path: &Path, description: &Description, columns: Vec<(&str, ArrayRef)>, dictionary: bool) {
    let json = serde_json::to_string(description).unwrap();
    write_columns(path, Some(json), columns, WriterProperties::builder().set_dictionary_enabled(dictionary));
}

/// Writes a file of the columns given, with this description if there is one.
fn write_columns(
    path: &Path,
    json: Option<String>,
    columns: Vec<(&str, ArrayRef)>,
    properties: WriterPropertiesBuilder,
) {
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let keys = json.map(|json| vec![KeyValue::new(KEY_DATA.to_owned(), json)]);
    let properties = properties.set_key_value_metadata(keys).build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).unwrap();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.close().unwrap();
}

fn description(set: &DataSet) -> Description {
    let (mean, deviation) = set.normalization.moments().into_iter().unzip();
    Description {
        version: Some(1),
        name: Some(set.name.clone()),
        channels: Some(set.train.channels),
        height: Some(set.train.height),
        width: Some(set.train.width),
        classes: Some(set.classes),
        augment: set.augment,
        fingerprint: Some(set.fingerprint.clone()),
        mean: Some(mean),
        deviation: Some(deviation),
        ..Description::default()
    }
}

fn rows(set: &DataSet) -> Vec<&[u8]> {
    (0..set.train.len()).map(|sample| set.train.image(sample)).collect()
}

fn labels(set: &DataSet) -> ArrayRef {
    Arc::new(UInt16Array::from(set.train.labels.clone()))
}

/// The message of reading the directory, without the directory in front.
fn message(directory: &Path) -> String {
    let message = read(directory).unwrap_err().to_string();
    message.replace(&format!("{}/", directory.display()), "")
}

#[test]
fn a_data_set_comes_back_as_it_was() {
    // 1024 images of 12 KiB do not fit one row group.
    for set in [small(), assemble("large", 3, images(1024, 3, 64, 64), images(1, 3, 64, 64))] {
        let directory = written(&set);
        let again = read(directory.path()).unwrap();
        assert_eq!(again.train, set.train);
        assert_eq!(again.test, set.test);
        assert_eq!(
            (again.name, again.classes, again.normalization, again.fingerprint),
            (set.name, set.classes, set.normalization, set.fingerprint)
        );
    }
}

#[test]
fn the_same_set_gives_the_same_bytes() {
    let (first, second) = (written(&small()), written(&small()));
    for name in ["train.parquet", "test.parquet"] {
        let bytes = |directory: &tempfile::TempDir| std::fs::read(directory.path().join(name)).unwrap();
        assert_eq!(bytes(&first), bytes(&second));
    }
}

#[test]
fn existing_files_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.parquet");
    std::fs::write(&path, b"precious").unwrap();
    let error = write(&small(), directory.path()).unwrap_err().to_string();
    let expected = "exists already and was left as it is; choose another path or remove it";
    assert_eq!(error, format!("{}: {expected}", path.display()));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert_eq!(directory.path().read_dir().unwrap().count(), 1);
}

#[test]
#[cfg(unix)]
fn what_cannot_be_written_whole_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // A link is refused when the first file is there already.
    let part = directory.path().join("test.parquet.part");
    std::os::unix::fs::symlink("elsewhere", &part).unwrap();
    assert!(write(&small(), directory.path()).is_err());
    let left = || directory.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(left(), [part.as_path()]);
    std::fs::remove_file(part).unwrap();
    // A name that is refused, and a directory that cannot be made below others that can.
    let unprintable = DataSet { name: "\u{1b}".to_owned(), ..small() };
    assert!(write(&unprintable, &directory.path().join("new")).is_err());
    assert!(write(&small(), &directory.path().join("new/below").join("x".repeat(300))).is_err());
    assert!(left().is_empty());
}

#[test]
fn variable_length_images_of_other_programs_are_read() {
    let set = small();
    let directory = written(&set);
    let path = directory.path().join("train.parquet");
    let binary = || -> ArrayRef { Arc::new(BinaryArray::from_iter_values(rows(&set))) };
    let columns = || vec![("label", labels(&set)), ("image", binary()), ("more", labels(&set))];
    write_foreign(&path, &description(&set), columns(), false);
    assert_eq!(read(directory.path()).unwrap().train, set.train);
    write_foreign(&path, &description(&set), columns(), true);
    assert_eq!(read(directory.path()).unwrap().train, set.train);
}

#[test]
fn wrong_columns_are_named() {
    let set = small();
    let directory = written(&set);
    let path = directory.path().join("train.parquet");
    let fixed = |width: i32| -> ArrayRef {
        let rows = rows(&set).into_iter().map(|row| Some(&row[..width as usize]));
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows, width).unwrap())
    };
    let check = |columns: Vec<(&str, ArrayRef)>, expected: &str| {
        write_foreign(&path, &description(&set), columns, false);
        assert_eq!(message(directory.path()), format!("train.parquet: {expected}"));
    };
    let integer = "UInt16 or another integer";
    check(vec![("image", fixed(60))], &format!("has no column label; expected one of type {integer}"));
    check(
        vec![("label", labels(&set))],
        "has no column image; expected one of type Binary or FixedSizeBinary",
    );
    check(
        vec![("image", labels(&set)), ("label", labels(&set))],
        "column image is of type UInt16; expected Binary or FixedSizeBinary",
    );
    let real = Arc::new(Float32Array::from(vec![0.0; 20]));
    check(
        vec![("image", fixed(60)), ("label", real)],
        &format!("column label is of type Float32; expected {integer}"),
    );
    check(
        vec![("image", fixed(59)), ("label", labels(&set))],
        "row 0: image has 59 bytes; expected 60 (channels · height · width)",
    );
    let mut ragged = rows(&set);
    ragged[4] = &ragged[4][..8];
    check(
        vec![("image", Arc::new(BinaryArray::from_iter_values(ragged))), ("label", labels(&set))],
        "row 4: image has 8 bytes; expected 60 (channels · height · width)",
    );
    let mut wrong = set.train.labels.clone();
    wrong[5] = 3;
    check(
        vec![("image", fixed(60)), ("label", Arc::new(UInt16Array::from(wrong)))],
        "row 5: label is 3; expected one of 3 classes, numbered from 0",
    );
    let missing = set.train.labels.iter().enumerate().map(|(i, label)| (i % 2 == 0).then_some(*label));
    check(
        vec![("image", fixed(60)), ("label", Arc::new(UInt16Array::from_iter(missing)))],
        "column label lacks 10 of its values; every row needs one",
    );
    let none: [&[u8]; 0] = [];
    check(
        vec![
            ("image", Arc::new(BinaryArray::from_iter_values(none))),
            ("label", Arc::new(UInt16Array::from(Vec::<u16>::new()))),
        ],
        "holds no images; a data set needs at least one to train and one to test",
    );
}

#[test]
fn wrong_descriptions_are_named() {
    let set = small();
    let directory = written(&set);
    let path = directory.path().join("train.parquet");
    let good = description(&set);
    let check = |description: Description, expected: &str| {
        let binary: ArrayRef = Arc::new(BinaryArray::from_iter_values(rows(&set)));
        write_foreign(&path, &description, vec![("image", binary), ("label", labels(&set))], false);
        assert_eq!(message(directory.path()), expected);
    };
    check(
        Description { version: Some(2), ..good.clone() },
        "train.parquet: spfde.data is 2, this program knows versions up to 1; use a newer spfde",
    );
    check(
        Description { channels: Some(usize::MAX), ..good.clone() },
        "train.parquet: spfde.data.channels is 18446744073709551615, above the limit of 16777216; the file \
         is \
         damaged or not meant for spfde",
    );
    check(
        Description { height: Some(1 << 24), width: Some(1 << 24), ..good.clone() },
        "train.parquet: bytes of an image is 844424930131968, above the limit of 16777216; the file is \
         damaged or \
         not meant for spfde",
    );
    check(
        Description { classes: Some(65_537), ..good.clone() },
        "train.parquet: spfde.data.classes is 65537, above the limit of 65536; the file is damaged or not \
         meant for \
         spfde",
    );
    let other = Description { classes: Some(4), ..good.clone() };
    // As read: the last digit of a number may change on the way.
    let words = |description: &Description| {
        let text = serde_json::to_string(description).unwrap();
        serde_json::to_string(&serde_json::from_str::<Description>(&text).unwrap()).unwrap()
    };
    check(
        other.clone(),
        &format!(
            "test.parquet: spfde.data is {:?}; expected {}, as in train.parquet",
            words(&good),
            words(&other)
        ),
    );
}

#[test]
fn train_and_test_of_different_sets_are_found_by_their_fingerprint() {
    let (set, other) = (small(), assemble("small", 3, images(21, 3, 4, 5), images(7, 3, 4, 5)));
    let directory = written(&set);
    let binary: ArrayRef = Arc::new(BinaryArray::from_iter_values(rows(&other)));
    let columns = vec![("image", binary), ("label", labels(&other))];
    write_foreign(&directory.path().join("train.parquet"), &description(&set), columns, false);
    assert_eq!(
        message(directory.path()),
        format!(
            "{}: fingerprint of the content of train.parquet and test.parquet is {}; expected {}; one of the \
             two is \
             damaged, or they are of different data sets",
            directory.path().display(),
            other.fingerprint,
            set.fingerprint
        )
    );
}
