//! Reads a data set.

use std::path::Path;

use arrow::array::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::datatypes::UInt16Type;

use super::assemble;
use super::format::{Description, IMAGE, LABEL, PIXELS_LIMIT, TEST, TRAIN, batch_rows};
use crate::files::error::{DataError, Result};
use crate::files::parquet_file::ParquetFile;
use crate::files::plausible::SAMPLES_LIMIT;
use crate::images::{DataSet, Images};

/// Reads the data set in `directory` and checks it: columns, shape, labels, number of rows, fingerprint.
pub fn read(directory: &Path) -> Result<DataSet> {
    if directory.is_file() {
        return Err(DataError::FileNoData { path: directory.to_owned() });
    }
    let open = |name: &str| ParquetFile::open(&directory.join(name));
    from_files(&open(TRAIN)?, &open(TEST)?)
}

/// As [`read`], from the bytes of `train.parquet` and `test.parquet`.
pub fn parse(train: Vec<u8>, test: Vec<u8>) -> Result<DataSet> {
    let parse = |name: &str, bytes: Vec<u8>| ParquetFile::parse(Path::new(name), bytes.into());
    from_files(&parse(TRAIN, train)?, &parse(TEST, test)?)
}

/// The data set in two open files.
pub(super) fn from_files(train: &ParquetFile, test: &ParquetFile) -> Result<DataSet> {
    let (description, test_description) = (Description::of(train)?, Description::of(test)?);
    if description != test_description {
        let words = |description| serde_json::to_string(description).expect("a description is plain data");
        return Err(DataError::Value {
            path: test.path().to_owned(),
            field: super::format::KEY_DATA.to_owned(),
            found: words(&test_description),
            expected: format!("{}, as in {}", words(&description), train.path().display()),
        });
    }
    let (train_images, test_images) = (read_images(train, &description)?, read_images(test, &description)?);
    let set = assemble(&description.name, description.classes, train_images, test_images);
    if set.fingerprint != description.fingerprint {
        // Which of the two it is cannot be told. What is not in a directory is in memory.
        let directory = train.path().parent().filter(|directory| !directory.as_os_str().is_empty());
        return Err(DataError::Fingerprint {
            path: directory.unwrap_or(train.path()).to_owned(),
            found: set.fingerprint,
            expected: description.fingerprint,
        });
    }
    Ok(set)
}

fn read_images(file: &ParquetFile, description: &Description) -> Result<Images> {
    let stride = description.stride();
    check_columns(file)?;
    if file.rows() == 0 {
        return Err(DataError::Empty { path: file.path().to_owned() });
    }
    let most = SAMPLES_LIMIT.min(PIXELS_LIMIT / stride as u64);
    DataError::limit(file.path(), "number of rows", file.rows(), most)?;
    // Grows with what is really there: the number of rows is only declared.
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for batch in file.batches(&[IMAGE, LABEL], batch_rows(stride))? {
        let batch = batch?;
        for column in [IMAGE, LABEL] {
            let count = batch[column].null_count() as u64;
            if count > 0 {
                let (path, column) = (file.path().to_owned(), column.to_owned());
                return Err(DataError::Nulls { path, column, count });
            }
        }
        append_images(file, &batch[IMAGE], labels.len(), stride, &mut pixels)?;
        append_labels(file, &batch[LABEL], description.classes, &mut labels)?;
    }
    let Description { channels, height, width, .. } = *description;
    Ok(Images { channels, height, width, pixels, labels })
}

fn check_columns(file: &ParquetFile) -> Result<()> {
    let fits = |column: &str, kind: &DataType| match kind {
        DataType::Binary | DataType::FixedSizeBinary(_) => column == IMAGE,
        kind => column == LABEL && *kind == DataType::UInt16,
    };
    for (column, expected) in [(IMAGE, "Binary or FixedSizeBinary"), (LABEL, "UInt16")] {
        let (path, expected) = (file.path().to_owned(), expected.to_owned());
        let Ok(field) = file.schema().field_with_name(column) else {
            return Err(DataError::ColumnMissing { path, column: column.to_owned(), expected });
        };
        if !fits(column, field.data_type()) {
            let found = field.data_type().to_string();
            return Err(DataError::ColumnType { path, column: column.to_owned(), found, expected });
        }
    }
    Ok(())
}

fn append_images(
    file: &ParquetFile,
    array: &ArrayRef,
    first: usize,
    stride: usize,
    pixels: &mut Vec<u8>,
) -> Result<()> {
    let length = |row: usize, found: usize| DataError::ImageLength {
        path: file.path().to_owned(),
        row: row as u64,
        found: found as u64,
        expected: stride as u64,
    };
    if let Some(array) = array.as_fixed_size_binary_opt() {
        let width = usize::try_from(array.value_length()).unwrap_or(0);
        if width != stride {
            return Err(length(first, width));
        }
        (0..array.len()).for_each(|row| pixels.extend_from_slice(array.value(row)));
    } else {
        let array = array.as_binary::<i32>();
        for row in 0..array.len() {
            let image = array.value(row);
            if image.len() != stride {
                return Err(length(first + row, image.len()));
            }
            pixels.extend_from_slice(image);
        }
    }
    Ok(())
}

fn append_labels(file: &ParquetFile, array: &ArrayRef, classes: usize, labels: &mut Vec<u16>) -> Result<()> {
    let values = array.as_primitive::<UInt16Type>().values();
    if let Some(row) = values.iter().position(|label| usize::from(*label) >= classes) {
        let (path, row, found) = (file.path().to_owned(), (labels.len() + row) as u64, values[row]);
        return Err(DataError::Label { path, row, found, classes });
    }
    labels.extend_from_slice(values);
    Ok(())
}
