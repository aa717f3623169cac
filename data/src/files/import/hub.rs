//! Parquet files of encoded pictures, as data hubs ship them.
//!
//! The column of the pictures holds their bytes, or a struct with a field `bytes` (and often `path`, which is
//! not read). That of the labels holds whole numbers or texts. The metadata key `huggingface` may name the
//! classes.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use spfde_parquet_guard::{FILE_LIMIT, ParquetFile};

use super::labels::{self, Labels};
use super::parts::Parts;
use super::picture::{Collected, Pictures};
use super::{Found, Imported, Options};
use crate::files::data_set::empty;
use crate::files::parquet_store::{check_nulls, check_type};
use crate::files::{DataError, Result, read_limited};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 256;

/// The columns.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Of the pictures; `image`, or else `img`, unless given.
    pub image: Option<String>,
    /// Of the labels.
    pub label: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self { image: None, label: "label".to_owned() }
    }
}

/// Imports the pictures in `files`.
///
/// # Errors
/// If a file is damaged, lacks a column or a value, or has a picture that cannot be read.
pub fn import(files: &Parts, columns: &Columns, pictures: &Pictures, options: &Options) -> Result<Imported> {
    from_files(files, columns, pictures, options, |path| {
        Ok(ParquetFile::parse(path, read_limited(path, FILE_LIMIT)?)?)
    })
}

/// As [`import`], from the bytes of one file, which is split.
///
/// # Errors
/// As [`import`].
pub fn parse(path: &Path, bytes: &[u8], pictures: &Pictures, options: &Options) -> Result<Imported> {
    let files = Parts { train: vec![path.to_owned()], ..Parts::default() };
    from_files(&files, &Columns::default(), pictures, options, |path| {
        Ok(ParquetFile::parse(path, bytes.to_vec())?)
    })
}

/// The pictures in `files`, one of which is held at a time.
fn from_files(
    files: &Parts,
    columns: &Columns,
    pictures: &Pictures,
    options: &Options,
    open: impl Fn(&Path) -> Result<ParquetFile>,
) -> Result<Imported> {
    let mut collected = Collected::new(pictures);
    let mut names = None;
    let mut read = |paths: &[PathBuf], collected: &mut Collected| -> Result<Labels> {
        let mut labels: Option<Labels> = None;
        for path in paths {
            let file = open(path)?;
            names = names.take().or_else(|| class_names(&file, &columns.label));
            let more = read_file(&file, columns, collected)?;
            labels = Some(labels::joined(path, labels, more)?);
        }
        Ok(labels.unwrap_or_default())
    };
    let place = files.train.first().cloned().unwrap_or_default();
    let labels = read(&files.train, &mut collected)?;
    collected.begin_test();
    let test_labels = read(&files.test, &mut collected)?;
    let (mut train, mut test, mut notes) = collected.finish(&place)?;
    let test_place = files.test.first().unwrap_or(&place);
    let classes = labels::classes((&place, &labels), (test_place, &test_labels), names)?;
    train.labels = classes.train;
    if let Some(test) = &mut test {
        test.labels = classes.test;
    }
    notes.extend(files.notes());
    let taken = files.taken(["training images", "test images"]);
    Found { place, train, test, classes: classes.count, class_names: classes.names, taken, notes }
        .finish(options)
}

/// Takes the pictures of a file; returns the labels of those that could be read.
fn read_file(file: &ParquetFile, columns: &Columns, collected: &mut Collected) -> Result<Labels> {
    let path = file.path();
    let is_there = |name: &&str| file.schema().field_with_name(name).is_ok();
    let usual = ["image", "img"].into_iter().find(is_there).unwrap_or("image");
    let (image, label) = (columns.image.as_deref().unwrap_or(usual), columns.label.as_str());
    let fitting = "Binary, or a struct with bytes";
    check_type(file, image, fitting, |kind| match kind {
        DataType::Struct(fields) => {
            fields.iter().any(|field| *field.data_type() == DataType::Binary && field.name() == "bytes")
        }
        kind => *kind == DataType::Binary,
    })?;
    check_type(file, label, "a whole number or a text", |kind| kind.is_integer() || *kind == DataType::Utf8)?;
    let mut labels: Option<Labels> = None;
    let mut row = 0;
    for batch in file.batches(0..file.groups(), &[image, label], BATCH_ROWS)? {
        let batch = batch?;
        check_nulls(path, label, &batch[label])?;
        let mut keep = Vec::new();
        for bytes in images(&batch, image) {
            let place = format!("{}, row {row}", path.file_name().unwrap_or_default().display());
            let bytes = bytes.ok_or_else(|| "it has no bytes".to_owned());
            keep.push(collected.add(path, place, bytes)?);
            row += 1;
        }
        labels = Some(labels::joined(path, labels, kept(path, &batch[label], &keep)?)?);
    }
    labels.ok_or_else(|| empty(path))
}

/// The bytes of the pictures of a batch.
fn images<'a>(batch: &'a RecordBatch, column: &str) -> Box<dyn Iterator<Item = Option<&'a [u8]>> + 'a> {
    match batch[column].as_struct_opt() {
        None => Box::new(batch[column].as_binary::<i32>().iter()),
        Some(pictures) => {
            let bytes = pictures.column_by_name("bytes").expect("the type was checked");
            let bytes = bytes.as_binary::<i32>().iter().enumerate();
            Box::new(bytes.map(|(row, bytes)| bytes.filter(|_| pictures.is_valid(row))))
        }
    }
}

/// The labels of the rows that are kept.
fn kept(path: &Path, array: &ArrayRef, keep: &[bool]) -> Result<Labels> {
    let keep = |row: &usize| keep[*row];
    let rows = (0..array.len()).filter(keep);
    if let Some(texts) = array.as_string_opt::<i32>() {
        return Ok(Labels::Texts(rows.map(|row| texts.value(row).to_owned()).collect()));
    }
    let numbers = arrow::compute::cast(array, &DataType::Int64);
    let numbers = numbers.map_err(|error| DataError::refused(path, error.to_string(), ""))?;
    check_nulls(path, "of labels, as numbers of 64 bits with a sign,", &numbers)?;
    let numbers = numbers.as_primitive::<arrow::datatypes::Int64Type>();
    Ok(Labels::Numbers(rows.map(|row| numbers.value(row)).collect()))
}

/// The names of the classes that the label's column tells apart, if the metadata have them.
fn class_names(file: &ParquetFile, label: &str) -> Option<Vec<String>> {
    let text = file.key("huggingface").ok()??;
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let names = value.get("info")?.get("features")?.get(label)?.get("names")?.as_array()?;
    names.iter().map(|name| Some(crate::visible(name.as_str()?).into_owned())).collect()
}
