//! Writes a data set.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, RecordBatch, UInt16Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::format::{Description, IMAGE, KEY_DATA, LABEL, TEST, TRAIN, VERSION, batch_rows};
use crate::files::atomic::{self, AtomicFile};
use crate::files::error::{DataError, Result};
use crate::files::operation;
use crate::files::plausible::SAMPLES_LIMIT;
use crate::images::{DataSet, Images};

/// Writes `train.parquet` and `test.parquet` into `directory`, which is created if need be; neither may exist.
///
/// The same data set gives the same bytes.
///
/// # Errors
/// If one of them exists, or something cannot be written, such as on a full disk: nothing of the data set is left then.
///
/// # Panics
/// If images and labels of the set do not fit together.
pub fn write(set: &DataSet, directory: &Path) -> Result<()> {
    let files =
        [(directory.join(TRAIN), &set.train), (directory.join(TEST), &set.test)].map(|(path, images)| {
            let description = Description {
                version: VERSION,
                name: set.name.clone(),
                channels: images.channels,
                height: images.height,
                width: images.width,
                classes: set.classes,
                fingerprint: set.fingerprint.clone(),
            };
            (path, images, description)
        });
    for (path, images, description) in &files {
        DataError::limit(path, "number of rows", images.len() as u64, SAMPLES_LIMIT)?;
        // What would not be read is not written.
        description.check(path)?;
        atomic::refuse_existing(path)?;
    }
    let made: Vec<&Path> = directory.ancestors().take_while(|path| is_missing(path)).collect();
    let mut begun = Vec::new();
    let written = atomic::create_directory(directory).and_then(|()| {
        files.iter().try_for_each(|(path, images, description)| {
            atomic::refuse_existing(path)?;
            begun.push(path);
            write_images(path, images, description)
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

/// Whether nothing has this name; the empty one is that of the current directory.
fn is_missing(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.symlink_metadata().is_err()
}

fn write_images(path: &Path, images: &Images, description: &Description) -> Result<()> {
    let stride = images.stride();
    let width = i32::try_from(stride).expect("an image has less than 2 GiB");
    let schema = Arc::new(Schema::new(vec![
        Field::new(IMAGE, DataType::FixedSizeBinary(width), false),
        Field::new(LABEL, DataType::UInt16, false),
    ]));
    let options =
        ArrowWriterOptions::new().with_properties(properties(description)).with_skip_arrow_metadata(true);
    let parquet = DataError::writing(path, "write images");
    let mut file = AtomicFile::create(path)?;
    let mut writer =
        ArrowWriter::try_new_with_options(&mut file, Arc::clone(&schema), options).map_err(parquet)?;
    let rows = batch_rows(stride);
    for (pixels, labels) in images.pixels.chunks(rows * stride).zip(images.labels.chunks(rows)) {
        let pixels = FixedSizeBinaryArray::try_from_iter(pixels.chunks_exact(stride))
            .expect("there is an image, and all have the same length");
        let columns: Vec<ArrayRef> = vec![Arc::new(pixels), Arc::new(UInt16Array::from(labels.to_vec()))];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).expect("as many labels as images");
        writer.write(&batch).and_then(|()| writer.flush()).map_err(parquet)?;
    }
    // Not `into_inner`, which makes a text of the system's error.
    writer.close().map_err(parquet)?;
    file.commit()
}

/// One page per row group, since zstd finds repetitions only within a page.
fn properties(description: &Description) -> WriterProperties {
    let level = ZstdLevel::try_new(19).expect("19 is a level");
    let json = serde_json::to_string(description).expect("a description is plain data");
    WriterProperties::builder()
        .set_created_by(concat!("spfde version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new(KEY_DATA.to_owned(), json)]))
        .set_compression(Compression::ZSTD(level))
        .set_encoding(Encoding::PLAIN)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_data_page_size_limit(64 << 20)
        .build()
}
