//! Columns and versions that are not those of today.

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::*;

crate::row! {
    /// Scores as a later version might have them.
    struct LaterScoreRow in "scores" by (epoch) {
        /// A column of today.
        epoch: u32,
        /// A new one.
        margin: f64,
        /// A column of today.
        sample: u32,
    }
}

crate::row! {
    /// What is asked of it.
    struct EarlierScoreRow in "scores" by (epoch) {
        /// A column.
        epoch: u32,
        /// A column.
        sample: u32,
    }
}

#[test]
fn columns_of_a_later_version_are_ignored() {
    let run = tempfile::tempdir().unwrap();
    let rows = [LaterScoreRow { epoch: 1, margin: 0.5, sample: 9 }];
    let segment = write(run.path(), 1, 0, &rows, 1);
    let read = read_segment::<EarlierScoreRow>(run.path(), &segment).unwrap();
    assert_eq!(read, [EarlierScoreRow { epoch: 1, sample: 9 }]);
}

#[test]
fn a_wrong_schema_is_named() {
    crate::row! {
        /// Another type for `sample`.
        struct OtherRow in "scores" by (epoch) {
            /// As it is.
            epoch: u32,
            /// Not u32.
            sample: u64,
        }
    }
    let run = tempfile::tempdir().unwrap();
    let segment = write(run.path(), 1, 0, &[EarlierScoreRow { epoch: 1, sample: 9 }], 1);
    let path = run.path().join(&segment.path).display().to_string();
    let message = |error: crate::files::DataError| error.to_string();
    assert_eq!(
        message(read_segment::<OtherRow>(run.path(), &segment).unwrap_err()),
        format!("{path}: column sample is of type UInt32; expected UInt64")
    );
    assert_eq!(
        message(read_segment::<LaterScoreRow>(run.path(), &segment).unwrap_err()),
        format!("{path}: has no column margin; expected one of type Float64")
    );
    let other = Segment { stream: "masks".to_owned(), ..segment.clone() };
    assert_eq!(
        message(open(run.path(), &other).err().unwrap()),
        format!("{path}: spfde.stream is \"scores\"; expected masks")
    );
    let more = Segment { rows: 2, ..segment };
    assert_eq!(
        message(open(run.path(), &more).err().unwrap()),
        format!("{path}: number of rows is 1; expected 2; the file was changed or is damaged")
    );
}

#[test]
fn a_later_schema_version_is_refused() {
    let run = tempfile::tempdir().unwrap();
    let segment = write(run.path(), 1, 0, &[EarlierScoreRow { epoch: 1, sample: 9 }], 1);
    let path = run.path().join(&segment.path);
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(14).position(|window| window == b"spfde.schema\x18\x01").unwrap() + 14;
    assert_eq!(bytes[place], b'1');
    bytes[place] = b'9';
    std::fs::write(&path, bytes).unwrap();
    let error = open(run.path(), &rehashed(run.path(), &segment)).err().unwrap();
    let expected = "spfde.schema is 9, this program knows versions up to 1; use a newer spfde";
    assert_eq!(error.to_string(), format!("{}: {expected}", path.display()));
}

/// A segment file as another program might write it, with the keys given.
fn write_foreign(run: &Path, keys: &[(&str, &str)], array: arrow::array::ArrayRef) -> Segment {
    let fields = [("epoch", DataType::UInt32), ("sample", array.data_type().clone())];
    let fields = fields.map(|(name, kind)| Field::new(name, kind, true));
    let schema = std::sync::Arc::new(Schema::new(fields.to_vec()));
    let keys = keys.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned()));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(keys.collect())).build();
    let path = segment_path("scores", 1, 0);
    std::fs::create_dir_all(run.join(&path).parent().unwrap()).unwrap();
    let file = std::fs::File::create(run.join(&path)).unwrap();
    let mut writer = ArrowWriter::try_new(file, std::sync::Arc::clone(&schema), Some(properties)).unwrap();
    let epochs = std::sync::Arc::new(UInt32Array::from(vec![1; array.len()]));
    let rows = array.len() as u64;
    writer.write(&RecordBatch::try_new(schema, vec![epochs, array]).unwrap()).unwrap();
    writer.close().unwrap();
    let segment = Segment {
        stream: "scores".to_owned(),
        epoch: 1,
        worker: 0,
        path,
        rows,
        bytes: 0,
        blake3: String::new(),
    };
    rehashed(run, &segment)
}

#[test]
fn files_of_other_programs_are_read_if_they_fit_and_named_if_not() {
    let run = tempfile::tempdir().unwrap();
    let keys = [("spfde.schema", "1"), ("spfde.stream", "scores")];
    let numbers = |values: &[Option<u32>]| std::sync::Arc::new(UInt32Array::from(values.to_vec()));
    let segment = write_foreign(run.path(), &keys, numbers(&[Some(4), Some(5)]));
    let read = read_segment::<EarlierScoreRow>(run.path(), &segment).unwrap();
    assert_eq!(read, [4, 5].map(|sample| EarlierScoreRow { epoch: 1, sample }));

    let path = run.path().join(&segment.path).display().to_string();
    let segment = write_foreign(run.path(), &keys, numbers(&[Some(4), None, None]));
    assert_eq!(
        read_segment::<EarlierScoreRow>(run.path(), &segment).unwrap_err().to_string(),
        format!("{path}: column sample lacks 2 of its values; every row needs one")
    );
    let message = |keys: &[(&str, &str)]| {
        let segment = write_foreign(run.path(), keys, numbers(&[Some(4)]));
        open(run.path(), &segment).err().unwrap().to_string()
    };
    assert_eq!(
        message(&keys[1..]),
        format!(
            "{path}: metadata has no key spfde.schema; expected a version up to 1; the file was not written \
             by spfde"
        )
    );
    assert_eq!(
        message(&[("spfde.schema", "one")]),
        format!("{path}: spfde.schema is \"one\"; expected a version number")
    );
    assert_eq!(
        message(&keys[..1]),
        format!(
            "{path}: metadata has no key spfde.stream; expected scores; the file was not written by spfde"
        )
    );
}
