//! Reads a data set.

use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::DataType;
use bytes::Bytes;
use spfde_parquet_guard::{FILE_LIMIT, ParquetFile};

use super::assemble;
use super::format::{
    CLASSES_LIMIT, Description, IMAGE, KEY_DATA, LABEL, PIXELS_LIMIT, TEST, TRAIN, batch_rows, count_classes,
    empty, no_class, stride,
};
use crate::files::parquet_store::{check_nulls, check_type, whole_numbers};
use crate::files::plausible::SAMPLES_LIMIT;
use crate::files::{DataError, Result, read_limited};
use crate::{Augmentation, DataSet, Images, counted, visible};

/// Reads the data set in `directory` and checks it: columns, shape, labels, number of rows, fingerprint.
pub fn read(directory: &Path) -> Result<DataSet> {
    Ok(read_noted(directory)?.0)
}

/// As [`read`]; if the shape of the images was inferred, with a note that says which.
pub fn read_noted(directory: &Path) -> Result<(DataSet, Option<String>)> {
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
    Ok(from_files(&parse(TRAIN, train)?, &parse(TEST, test)?)?.0)
}

/// Fashion-MNIST, cropped and flipped, from the bytes compiled into the program, through the same reader and
/// checks as any other file.
pub fn embedded() -> Result<DataSet> {
    static TRAIN: &[u8] = include_bytes!("../../../fashion-mnist/train.parquet");
    static TEST: &[u8] = include_bytes!("../../../fashion-mnist/test.parquet");
    let parse = |name, bytes| ParquetFile::parse(Path::new(name), Bytes::from_static(bytes));
    let train = parse("embedded fashion-mnist/train.parquet", TRAIN)?;
    let test = parse("embedded fashion-mnist/test.parquet", TEST)?;
    Ok(DataSet { augment: Augmentation::CropFlip, ..from_files(&train, &test)?.0 })
}

/// The data set in two open files, and a note on what was inferred.
pub(super) fn from_files(train: &ParquetFile, test: &ParquetFile) -> Result<(DataSet, Option<String>)> {
    let description = match (Description::of(train)?, Description::of(test)?) {
        (Some(stated), Some(other)) if stated != other => {
            let words =
                |description| serde_json::to_string(description).expect("a description is plain data");
            let expected = format_args!("{}, as in {}", words(&stated), train.path().display());
            return Err(DataError::value(test.path(), KEY_DATA, &words(&other), expected));
        }
        (stated, other) => stated.or(other).unwrap_or_default(),
    };
    check_columns(train)?;
    let (shape, note) = match (description.channels, description.height, description.width) {
        (Some(channels), Some(height), Some(width)) => ([channels, height, width], None),
        _ => {
            let bytes = image_bytes(train)?;
            let shape @ [channels, height, width] = description.shape(train.path(), bytes)?;
            let note = format!(
                "images of {bytes} bytes are taken as {channels} × {height} × {width}; state channels, \
                 height and width in the metadata key {KEY_DATA} if they are of another shape"
            );
            (shape, Some(note))
        }
    };
    let train_images = read_images(train, shape, description.classes)?;
    let classes = match description.classes {
        Some(classes) => classes,
        None => count_classes(train.path(), &train_images.labels, 0)?,
    };
    let test_images = read_images(test, shape, Some(classes))?;
    // What is not in a directory is in memory.
    let directory = train.path().parent().filter(|directory| !directory.as_os_str().is_empty());
    let name = directory.and_then(Path::file_name).map(|name| visible(&name.to_string_lossy()).into_owned());
    let name = description.name.or(name).unwrap_or_else(|| "data".to_owned());
    let mut set = assemble(&name, classes, train_images, test_images);
    set.augment = description.augment;
    if let Some(expected) = description.fingerprint.filter(|expected| *expected != set.fingerprint) {
        // Which of the two it is cannot be told.
        return Err(DataError::unfit(
            directory.unwrap_or(train.path()),
            "fingerprint of the content of train.parquet and test.parquet",
            set.fingerprint,
            expected,
            "one of the two is damaged, or they are of different data sets",
        ));
    }
    Ok((set, note))
}

fn check_columns(file: &ParquetFile) -> Result<()> {
    check_type(file, IMAGE, "Binary or FixedSizeBinary", |kind| {
        matches!(kind, DataType::Binary | DataType::FixedSizeBinary(_))
    })?;
    check_type(file, LABEL, "UInt16 or another integer", DataType::is_integer)?;
    if file.rows() == 0 { Err(empty(file.path())) } else { Ok(()) }
}

/// Bytes of the first image of a file.
fn image_bytes(file: &ParquetFile) -> Result<usize> {
    let first = file.batches(0..file.groups(), &[IMAGE], 1)?.next().transpose()?;
    let first = first.ok_or_else(|| empty(file.path()))?;
    check_nulls(file.path(), IMAGE, &first[IMAGE])?;
    Ok(images(&first).flatten().map(<[u8]>::len).sum())
}

/// The images of a batch.
fn images(batch: &RecordBatch) -> Box<dyn Iterator<Item = Option<&[u8]>> + '_> {
    match batch[IMAGE].as_fixed_size_binary_opt() {
        Some(array) => Box::new(array.iter()),
        None => Box::new(batch[IMAGE].as_binary::<i32>().iter()),
    }
}

/// The images of a file, of this shape; their labels are below the number of classes, if it is known.
fn read_images(file: &ParquetFile, shape: [usize; 3], classes: Option<usize>) -> Result<Images> {
    let (path, stride) = (file.path(), stride(file.path(), shape)?);
    check_columns(file)?;
    let classes = classes.unwrap_or(CLASSES_LIMIT as usize);
    let most = SAMPLES_LIMIT.min(PIXELS_LIMIT / stride as u64);
    DataError::limit(path, "number of rows", file.rows(), most)?;
    // Grows with what is really there: the number of rows is only declared.
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for batch in file.batches(0..file.groups(), &[IMAGE, LABEL], batch_rows(stride))? {
        let (batch, first) = (batch?, labels.len());
        for column in [IMAGE, LABEL] {
            check_nulls(path, column, &batch[column])?;
        }
        for (row, image) in images(&batch).flatten().enumerate() {
            if image.len() != stride {
                let what = format!("row {}: image has {}", first + row, counted(image.len(), "byte"));
                let expected = format!("{stride} (channels · height · width)");
                return Err(DataError::unfit(path, what, "", expected, ""));
            }
            pixels.extend_from_slice(image);
        }
        let wrong = whole_numbers(&batch[LABEL], classes as u64 - 1, |label| labels.push(label as u16));
        if let Some((row, label)) = wrong {
            return Err(no_class(path, first + row, label, classes, 0));
        }
    }
    let [channels, height, width] = shape;
    Ok(Images { channels, height, width, pixels, labels })
}
