//! Reads a data set.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow::datatypes::DataType;
use bytes::Bytes;
use spfde_parquet_guard::ParquetFile;

use super::Fingerprint;
use super::format::{
    CLASSES_LIMIT, Description, IMAGE, KEY_DATA, LABEL, PIXELS_LIMIT, TEST, TRAIN, ValueType, count_classes,
    empty, no_class, stride,
};
use super::source::{Source, numbers};
use super::store::{Cache, Store};
use crate::files::parquet_store::{check_type, whole_numbers};
use crate::files::plausible::SAMPLES_LIMIT;
use crate::files::{DataError, Result};
use crate::images::Histograms;
use crate::{Augmentation, DataSet, Images, Normalization, Pixels, Stored, visible};

/// Labels that are decoded at a time.
const BATCH_ROWS: usize = 1 << 16;

/// The classes of Fashion-MNIST, as its authors name them.
const CLOTHES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Bytes of pixels that [`read`] and [`parse`] hold in memory.
const HELD: u64 = 4 << 30;

/// Reads the data set in `directory` and checks it: columns, shape, labels, number of rows, fingerprint. Up
/// to 4 GiB of pixels are held in memory, more are read by need.
pub fn read(directory: &Path) -> Result<DataSet> {
    Ok(read_within(directory, HELD)?.0)
}

/// As [`read`]. If all pixels together have more than `cache` bytes, they stay in their files: so many bytes
/// are in memory at a time. If the shape of the images was inferred, with a note that says which.
///
/// # Errors
/// As [`read`]; if a row group has more than `cache` bytes of pixels.
pub fn read_within(directory: &Path, cache: u64) -> Result<(DataSet, Option<String>)> {
    if directory.is_file() {
        let remedy = "name a directory with train.parquet and test.parquet";
        return Err(DataError::refused(directory, "is a file", remedy));
    }
    from_files(Source::open(&directory.join(TRAIN))?, Source::open(&directory.join(TEST))?, cache)
}

/// As [`read`], from the bytes of `train.parquet` and `test.parquet`.
pub fn parse(train: Vec<u8>, test: Vec<u8>) -> Result<DataSet> {
    let parse = |name: &str, bytes: Vec<u8>| ParquetFile::parse(Path::new(name), bytes).map(Source::of);
    Ok(from_files(parse(TRAIN, train)?, parse(TEST, test)?, HELD)?.0)
}

/// Fashion-MNIST, whose training images are flipped in half of the epochs, from the bytes compiled into the
/// program, through the same reader and checks as any other file.
pub fn embedded() -> Result<DataSet> {
    static TRAIN: &[u8] = include_bytes!("../../../fashion-mnist/train.parquet");
    static TEST: &[u8] = include_bytes!("../../../fashion-mnist/test.parquet");
    let parse = |name, bytes| ParquetFile::parse(Path::new(name), Bytes::from_static(bytes));
    let train = parse("embedded fashion-mnist/train.parquet", TRAIN)?;
    let test = parse("embedded fashion-mnist/test.parquet", TEST)?;
    let class_names = CLOTHES.map(str::to_owned).into();
    Ok(DataSet {
        augment: Augmentation::Flip,
        class_names,
        ..from_files(Source::of(train), Source::of(test), HELD)?.0
    })
}

/// The data set in two open files, and a note on what was inferred.
fn from_files(train: Source, test: Source, cache: u64) -> Result<(DataSet, Option<String>)> {
    let (of_train, of_test) = (Description::of(&train.file)?, Description::of(&test.file)?);
    let path = train.file.path().to_owned();
    let stating = if of_train.is_some() { &train } else { &test }.file.path().to_owned();
    let description = match (of_train, of_test) {
        (Some(stated), Some(other)) if stated != other => {
            let words =
                |description| serde_json::to_string(description).expect("a description is plain data");
            let expected = format_args!("{}, as in {}", words(&stated), path.display());
            return Err(DataError::value(test.file.path(), KEY_DATA, &words(&other), expected));
        }
        (stated, other) => stated.or(other).unwrap_or_default(),
    };
    check_columns(&train.file)?;
    let values = description.values.unwrap_or(ValueType::U8);
    let (shape, note) = match (description.channels, description.height, description.width) {
        (Some(channels), Some(height), Some(width)) => ([channels, height, width], None),
        _ => {
            let bytes = train.image_bytes()?;
            if values == ValueType::F32 {
                let remedy = "state channels, height and width beside values";
                return Err(DataError::refused(&path, format!("{KEY_DATA} has no shape"), remedy));
            }
            let shape @ [channels, height, width] = description.shape(&path, bytes)?;
            let note = format!(
                "images of {bytes} bytes are taken as {channels} × {height} × {width}; state channels, \
                 height and width in the metadata key {KEY_DATA} if they are of another shape"
            );
            (shape, Some(note))
        }
    };
    let stride = stride(&path, shape)?;
    let bytes = stride * if values == ValueType::F32 { size_of::<f32>() } else { 1 };
    let train_labels = labels(&train, bytes, description.classes)?;
    let classes = match description.classes {
        Some(classes) => classes,
        None => count_classes(&path, &train_labels, 0)?,
    };
    check_columns(&test.file)?;
    let test_labels = labels(&test, bytes, Some(classes))?;
    let scaled = match values {
        ValueType::U8 => (shape[0], "channel"),
        ValueType::F32 => (stride, "column"),
    };
    let stated = description.normalization(&stating, scaled)?;
    let columns = if values == ValueType::F32 { stride } else { 0 };
    let [class_names, column_names] = description.names(&stating, [classes, columns])?;
    let row_groups = train.row_groups();
    let is_held = (train_labels.len() + test_labels.len()) as u64 * bytes as u64 <= cache;
    let mut reading = Reading {
        shape,
        values,
        bytes,
        fingerprint: Fingerprint::new(values == ValueType::F32, shape, classes),
        histograms: Histograms::new(shape[0], shape[1] * shape[2]),
        cache: (!is_held).then(|| Cache::new(cache as usize)),
        limit: cache,
    };
    let train = reading.images(train, train_labels, 0)?;
    let normalization = match (stated, values) {
        (Some(stated), _) => stated,
        (None, ValueType::U8) => reading.histograms.normalization(),
        (None, ValueType::F32) if is_held => Normalization::of(&train),
        (None, ValueType::F32) => {
            let what = "states no mean and deviation, which are measured only of tables in memory";
            let remedy = "state both, or let data.cache_bytes hold the table";
            return Err(DataError::refused(&stating, what, remedy));
        }
    };
    let test = reading.images(test, test_labels, 1)?;
    let fingerprint = reading.fingerprint.finish();
    // What is not in a directory is in memory.
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if let Some(expected) = description.fingerprint.filter(|expected| *expected != fingerprint) {
        // Which of the two it is cannot be told.
        return Err(DataError::unfit(
            directory.unwrap_or(&path),
            "fingerprint of the content of train.parquet and test.parquet",
            fingerprint,
            expected,
            "one of the two is damaged, or they are of different data sets",
        ));
    }
    let name = directory.and_then(Path::file_name).map(|name| visible(&name.to_string_lossy()).into_owned());
    let set = DataSet {
        name: description.name.or(name).unwrap_or_else(|| "data".to_owned()),
        classes,
        class_names,
        column_names,
        train: Arc::new(train),
        validation: Arc::default(),
        test: Arc::new(test),
        normalization,
        fingerprint,
        augment: description.augment,
        row_groups,
    };
    Ok((set, note))
}

fn check_columns(file: &ParquetFile) -> Result<()> {
    check_type(file, IMAGE, "Binary or FixedSizeBinary", |kind| {
        matches!(kind, DataType::Binary | DataType::FixedSizeBinary(_))
    })?;
    check_type(file, LABEL, "UInt16 or another integer", DataType::is_integer)?;
    if file.rows() == 0 { Err(empty(file.path())) } else { Ok(()) }
}

/// The labels of a file whose images have so many bytes; they are below the number of classes, if it is
/// known.
fn labels(source: &Source, bytes: usize, classes: Option<usize>) -> Result<Vec<u16>> {
    let path = source.file.path();
    let classes = classes.unwrap_or(CLASSES_LIMIT as usize);
    let most = SAMPLES_LIMIT.min(PIXELS_LIMIT / bytes as u64);
    DataError::limit(path, "number of rows", source.file.rows(), most)?;
    // Grows with what is really there: the number of rows is only declared.
    let mut labels = Vec::new();
    for group in 0..source.file.groups() {
        for batch in source.rows(group, LABEL, BATCH_ROWS)? {
            let first = labels.len();
            let take = |label: u64| labels.push(label as u16);
            if let Some((row, label)) = whole_numbers(&batch?[LABEL], classes as u64 - 1, take) {
                return Err(no_class(path, first + row, label, classes, 0));
            }
        }
    }
    Ok(labels)
}

/// What the images of both files have in common, and what is known of those that have been read.
struct Reading {
    shape: [usize; 3],
    values: ValueType,
    /// Bytes of one image.
    bytes: usize,
    fingerprint: Fingerprint,
    /// Of bytes, of all images so far.
    histograms: Histograms,
    /// Where row groups are kept, if pixels are read by need.
    cache: Option<Arc<Mutex<Cache>>>,
    /// Bytes that it holds.
    limit: u64,
}

impl Reading {
    /// Reads all images of a file, which is the one of that number.
    fn images(&mut self, source: Source, labels: Vec<u16>, number: usize) -> Result<Images> {
        let Self { shape: [channels, height, width], values, bytes: stride, .. } = *self;
        let (mut bytes, mut decimals, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        self.fingerprint.count(labels.len());
        for group in 0..source.file.groups() {
            let size = source.file.group_rows(group).unwrap_or(0) * stride as u64;
            if self.cache.is_some() && size > self.limit {
                let (what, found) = (format!("row group {group}"), format!("of {size} bytes of pixels"));
                let expected = format!("at most data.cache_bytes = {}", self.limit);
                let remedy = "raise data.cache_bytes, or write the file with smaller row groups";
                return Err(DataError::unfit(source.file.path(), what, found, expected, remedy));
            }
            let mut hasher = blake3::Hasher::new();
            source.images(group, stride, values, |images| {
                self.fingerprint.bytes(images);
                match (&self.cache, values) {
                    (Some(_), _) => drop(hasher.update(images)),
                    (None, ValueType::U8) => bytes.extend_from_slice(images),
                    (None, ValueType::F32) => decimals.extend(numbers(images)),
                }
                if values == ValueType::U8 && number == 0 {
                    self.histograms.add(images);
                }
                Ok(())
            })?;
            hashes.push(hasher.finalize());
        }
        self.fingerprint.labels(&labels);
        let pixels = match (&self.cache, values) {
            (None, ValueType::U8) => Pixels::U8(bytes),
            (None, ValueType::F32) => Pixels::F32(decimals),
            (Some(cache), _) => {
                let (row_groups, cache) = (source.row_groups(), Arc::clone(cache));
                let store = Store { source, number, values, stride, hashes, row_groups, cache };
                let count = labels.len() as u32;
                Pixels::Stored(Stored::new(Arc::new(store), count, channels * height * width))
            }
        };
        Ok(Images { channels, height, width, pixels, labels })
    }
}
