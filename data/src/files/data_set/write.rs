//! Writes a data set.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, UInt16Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::basic::Encoding;
use parquet::file::properties::EnabledStatistics;

use super::format::{Description, IMAGE, KEY_DATA, LABEL, TEST, TRAIN, VERSION, ValueType, batch_rows};
use crate::files::parquet_out::{self, ParquetOut};
use crate::files::plausible::SAMPLES_LIMIT;
use crate::files::{DataError, Result, atomic, operation};
use crate::{DataSet, Images, Pixels};

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
/// If images and labels of the set do not fit together, or there are names for some of the classes or columns
/// only.
pub fn write(set: &DataSet, directory: &Path) -> Result<()> {
    let Images { channels, height, width, .. } = *set.train;
    let columns = if set.train.is_table() { set.train.stride() } else { 0 };
    for (names, count) in [(&set.class_names, set.classes), (&set.column_names, columns)] {
        assert!([0, count].contains(&names.len()), "{} names of {count} classes or columns", names.len());
    }
    let stated = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
    let (mean, deviation) = set.normalization.moments().into_iter().unzip();
    let description = Description {
        version: Some(VERSION),
        name: Some(set.name.clone()),
        channels: Some(channels),
        height: Some(height),
        width: Some(width),
        classes: Some(set.classes),
        values: set.train.is_table().then_some(ValueType::F32),
        class_names: stated(&set.class_names),
        column_names: stated(&set.column_names),
        mean: Some(mean),
        deviation: Some(deviation),
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
    let bytes = stride * images.pixels.width();
    let width = i32::try_from(bytes).expect("an image has less than 2 GiB");
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
    let rows = batch_rows(bytes);
    for (group, labels) in images.labels.chunks(rows).enumerate() {
        let samples: Vec<u32> = (group * rows..).take(labels.len()).map(|sample| sample as u32).collect();
        let (held, places) =
            images.at_hand(&samples).map_err(|error| DataError::refused(path, error.0, ""))?;
        let values = places[0] as usize * stride..(places[0] as usize + labels.len()) * stride;
        let pixels = match &held.pixels {
            Pixels::U8(pixels) => Cow::Borrowed(&pixels[values]),
            Pixels::F32(numbers) => numbers[values].iter().flat_map(|number| number.to_le_bytes()).collect(),
            Pixels::Stored(_) => unreachable!("images at hand are in memory"),
        };
        let pixels = FixedSizeBinaryArray::try_from_iter(pixels.chunks_exact(bytes))
            .expect("there is an image, and all have the same length");
        let columns: Vec<ArrayRef> = vec![Arc::new(pixels), Arc::new(UInt16Array::from(labels.to_vec()))];
        file.write_group(columns)?;
    }
    file.finish()?;
    Ok(())
}
