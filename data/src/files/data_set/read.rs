//! Reads a data set.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, UInt16Type};

use bytes::Bytes;
use spfde_parquet_guard::{FILE_LIMIT, ParquetFile};

use super::assemble;
use super::format::{Description, IMAGE, KEY_DATA, LABEL, PIXELS_LIMIT, TEST, TRAIN, batch_rows, empty};
use crate::files::error::{DataError, Result};
use crate::files::parquet_store::{check_type, nulls};
use crate::files::plausible::SAMPLES_LIMIT;
use crate::files::read_limited::read_limited;
use crate::images::{DataSet, Images};
use crate::words::counted;

/// Reads the data set in `directory` and checks it: columns, shape, labels, number of rows, fingerprint.
pub fn read(directory: &Path) -> Result<DataSet> {
    if directory.is_file() {
        let remedy = "name a directory with train.parquet and test.parquet";
        return Err(DataError::refused(directory, "is a file", remedy));
    }
    let open = |name: &str| {
        let path = directory.join(name);
        Ok::<_, DataError>(ParquetFile::parse(&path, read_limited(&path, FILE_LIMIT)?)?)
    };
    from_files(&open(TRAIN)?, &open(TEST)?)
}

/// As [`read`], from the bytes of `train.parquet` and `test.parquet`.
pub fn parse(train: Vec<u8>, test: Vec<u8>) -> Result<DataSet> {
    let parse = |name: &str, bytes: Vec<u8>| ParquetFile::parse(Path::new(name), bytes);
    from_files(&parse(TRAIN, train)?, &parse(TEST, test)?)
}

/// Fashion-MNIST, from the bytes compiled into the program, through the same reader and checks as any other
/// file.
pub fn embedded() -> Result<DataSet> {
    static TRAIN: &[u8] = include_bytes!("../../../fashion-mnist/train.parquet");
    static TEST: &[u8] = include_bytes!("../../../fashion-mnist/test.parquet");
    let parse = |name, bytes| ParquetFile::parse(Path::new(name), Bytes::from_static(bytes));
    from_files(
        &parse("embedded fashion-mnist/train.parquet", TRAIN)?,
        &parse("embedded fashion-mnist/test.parquet", TEST)?,
    )
}

/// The data set in two open files.
pub(super) fn from_files(train: &ParquetFile, test: &ParquetFile) -> Result<DataSet> {
    let (description, test_description) = (Description::of(train)?, Description::of(test)?);
    if description != test_description {
        let words = |description| serde_json::to_string(description).expect("a description is plain data");
        let expected = format_args!("{}, as in {}", words(&description), train.path().display());
        return Err(DataError::value(test.path(), KEY_DATA, &words(&test_description), expected));
    }
    let (train_images, test_images) = (read_images(train, &description)?, read_images(test, &description)?);
    let set = assemble(&description.name, description.classes, train_images, test_images);
    if set.fingerprint != description.fingerprint {
        // Which of the two it is cannot be told. What is not in a directory is in memory.
        let directory = train.path().parent().filter(|directory| !directory.as_os_str().is_empty());
        return Err(DataError::unfit(
            directory.unwrap_or(train.path()),
            "fingerprint of the content of train.parquet and test.parquet",
            set.fingerprint,
            description.fingerprint,
            "one of the two is damaged, or they are of different data sets",
        ));
    }
    Ok(set)
}

fn read_images(file: &ParquetFile, description: &Description) -> Result<Images> {
    let stride = description.stride();
    check_type(file, IMAGE, "Binary or FixedSizeBinary", |kind| {
        matches!(kind, DataType::Binary | DataType::FixedSizeBinary(_))
    })?;
    check_type(file, LABEL, DataType::UInt16, |kind| *kind == DataType::UInt16)?;
    if file.rows() == 0 {
        return Err(empty(file.path()));
    }
    let most = SAMPLES_LIMIT.min(PIXELS_LIMIT / stride as u64);
    DataError::limit(file.path(), "number of rows", file.rows(), most)?;
    // Grows with what is really there: the number of rows is only declared.
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for batch in file.batches(0..file.groups(), &[IMAGE, LABEL], batch_rows(stride))? {
        let batch = batch?;
        for column in [IMAGE, LABEL] {
            let count = batch[column].null_count();
            if count > 0 {
                return Err(nulls(file.path(), column, count));
            }
        }
        let images: Vec<&[u8]> = match batch[IMAGE].as_fixed_size_binary_opt() {
            Some(array) => array.iter().flatten().collect(),
            None => batch[IMAGE].as_binary::<i32>().iter().flatten().collect(),
        };
        if let Some(row) = images.iter().position(|image| image.len() != stride) {
            let image = counted(images[row].len(), "byte");
            let what = format!("row {}: image has {image}", labels.len() + row);
            let expected = format!("{stride} (channels · height · width)");
            return Err(DataError::unfit(file.path(), what, "", expected, ""));
        }
        images.iter().for_each(|image| pixels.extend_from_slice(image));
        let values = batch[LABEL].as_primitive::<UInt16Type>().values();
        if let Some(row) = values.iter().position(|label| usize::from(*label) >= description.classes) {
            return Err(no_class(file.path(), labels.len() + row, values[row], description.classes));
        }
        labels.extend_from_slice(values);
    }
    let Description { channels, height, width, .. } = *description;
    Ok(Images { channels, height, width, pixels, labels })
}

/// That a label is no class.
pub(in crate::files) fn no_class(path: &Path, row: usize, label: u16, classes: usize) -> DataError {
    let expected = format!("one of {}, numbered from 0", counted(classes, "class"));
    DataError::unfit(path, format!("row {row}: label"), label, expected, "")
}
