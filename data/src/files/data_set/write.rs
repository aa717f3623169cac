//! Writes a data set.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, UInt16Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::basic::Encoding;
use parquet::file::properties::EnabledStatistics;

use super::format::{Description, IMAGE, KEY_DATA, LABEL, TEST, TRAIN, VERSION, batch_rows};
use crate::files::parquet_out::{self, ParquetOut};
use crate::files::plausible::SAMPLES_LIMIT;
use crate::files::{DataError, Result, atomic, operation};
use crate::{DataSet, Images};

/// Writes `train.parquet` and `test.parquet` into `directory`, which is created if need be; neither may
/// exist.
///
/// The same data set gives the same bytes.
///
/// # Errors
/// If one of them exists, or something cannot be written, such as on a full disk: nothing of the data set is
/// left then.
///
/// # Panics
/// If images and labels of the set do not fit together.
pub fn write(set: &DataSet, directory: &Path) -> Result<()> {
    let Images { channels, height, width, .. } = *set.train;
    let description = Description {
        version: Some(VERSION),
        name: Some(set.name.clone()),
        channels: Some(channels),
        height: Some(height),
        width: Some(width),
        classes: Some(set.classes),
        augment: set.augment,
        fingerprint: Some(set.fingerprint.clone()),
    };
    let files = [(directory.join(TRAIN), &set.train), (directory.join(TEST), &set.test)];
    for (path, images) in &files {
        DataError::limit(path, "number of rows", images.len() as u64, SAMPLES_LIMIT)?;
        // What would not be read is not written.
        description.check(path)?;
        atomic::refuse_existing(path)?;
    }
    // The empty name is that of the current directory.
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && path.symlink_metadata().is_err();
    let made: Vec<&Path> = directory.ancestors().take_while(is_missing).collect();
    let mut begun = Vec::new();
    let written = atomic::create_directory(directory).and_then(|()| {
        files.iter().try_for_each(|(path, images)| {
            atomic::refuse_existing(path)?;
            begun.push(path);
            write_images(path, images, &description)
        })
    });
    written.inspect_err(|_| {
        // What cannot be removed changes nothing about the error.
        for path in begun {
            let _ = operation::remove_file(path);
        }
        for path in made {
            // Only if it is empty.
            let _ = operation::remove_directory(path);
        }
    })
}

fn write_images(path: &Path, images: &Images, description: &Description) -> Result<()> {
    let stride = images.stride();
    let width = i32::try_from(stride).expect("an image has less than 2 GiB");
    let schema = Schema::new(vec![
        Field::new(IMAGE, DataType::FixedSizeBinary(width), false),
        Field::new(LABEL, DataType::UInt16, false),
    ]);
    let json = serde_json::to_string(description).expect("a description is plain data");
    let properties = parquet_out::properties(19, &[(KEY_DATA, json)])
        .set_encoding(Encoding::PLAIN)
        .set_statistics_enabled(EnabledStatistics::None)
        // One page per row group, since zstd finds repetitions only within a page.
        .set_data_page_size_limit(64 << 20);
    let mut file = ParquetOut::create(path, Arc::new(schema), properties.build())?;
    let rows = batch_rows(stride);
    for (pixels, labels) in images.pixels.chunks(rows * stride).zip(images.labels.chunks(rows)) {
        let pixels = FixedSizeBinaryArray::try_from_iter(pixels.chunks_exact(stride))
            .expect("there is an image, and all have the same length");
        let columns: Vec<ArrayRef> = vec![Arc::new(pixels), Arc::new(UInt16Array::from(labels.to_vec()))];
        file.write_group(columns)?;
    }
    file.finish()?;
    Ok(())
}
