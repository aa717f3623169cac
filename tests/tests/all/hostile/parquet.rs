//! Parquet files of any content.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

use super::{Case, Class, every_cut};

/// A file of these columns, some of which may have the same name, and of these keys.
pub(super) fn file(columns: &[(&str, ArrayRef)], keys: &[(&str, &str)]) -> Vec<u8> {
    file_with(columns, keys, WriterProperties::builder().set_dictionary_enabled(false))
}

/// As [`file`], written in a way of its own.
pub(super) fn file_with(
    columns: &[(&str, ArrayRef)],
    keys: &[(&str, &str)],
    properties: WriterPropertiesBuilder,
) -> Vec<u8> {
    let fields = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), array.null_count() > 0));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let keys =
        keys.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned())).collect();
    let properties = properties.set_key_value_metadata(Some(keys)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).unwrap();
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.into_inner().unwrap()
}

/// What is bad for every Parquet file, whatever its columns; `good` is one that `read` accepts.
pub(super) fn cases(good: &[u8], name: &str, read: &dyn Fn(&[u8]) -> String) -> Vec<Case> {
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{name}: {expected}") };
    let short = "cannot read the footer: EOF: shorter than 8 bytes; is it a complete Parquet file?";
    let magic = "cannot read the footer: Parquet error: Invalid Parquet file. Corrupt footer; is it a \
                 complete Parquet file?";
    let footer = |length: u32| {
        let mut bytes = good.to_vec();
        let place = bytes.len() - 8;
        bytes[place..place + 4].copy_from_slice(&length.to_le_bytes());
        read(&bytes)
    };
    vec![
        case(Class::Empty, read(&[]), short),
        case(Class::Truncated, every_cut(good, name, 4, read), short),
        case(Class::WrongMagic, read(b"\x89PNG and so on"), magic),
        case(Class::Trailing, read(&[good, b"more"].concat()), magic),
        case(
            Class::TooLarge,
            footer(0x7FFF_FFFF),
            "footer length is 2147483647, above the limit of 4194304; the file is damaged or not meant for \
             spfde",
        ),
    ]
}
