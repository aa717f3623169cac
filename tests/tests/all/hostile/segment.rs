//! Segments of the trace, and the tables of checkpoints, which are the same format. The manifest is as
//! hostile as they are: it records whatever length and BLAKE3 they have.

use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::Encoding;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{ArrayRef, Int64Array, StringArray, UInt32Array};
use spfde_data::files::checkpoint::read_table;
use spfde_data::files::parquet_store::ParquetStore;
use spfde_data::row;
use spfde_data::segment::{Checkpoint, Segment, SegmentStore};
use spfde_data::table::{Columns, Record};
use spfde_tests::segments::read_segment;

use super::{Case, Class, message, parquet};

row! {
    /// A stream of two columns.
    struct Pair in "pairs" by (epoch) {
        /// The epoch.
        epoch: u32,
        /// A number.
        number: u32,
    }
}

const NAME: &str = "trace/pairs/e00003-w00.parquet";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join(NAME);
    let mut writer = ParquetStore::new(directory).create("pairs", &Pair::columns(), 3, 0).unwrap();
    writer.append(&Columns::from_rows((0..5).map(|number| Pair { epoch: 3, number }))).unwrap();
    let segment = writer.finish().unwrap();
    let good = std::fs::read(&path).unwrap();
    let now = |segment: &Segment| message(directory, read_segment::<Pair>(directory, segment));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        now(&Segment { bytes: bytes.len() as u64, blake3, ..segment.clone() })
    };
    let numbers = |number: u32| -> ArrayRef { Arc::new(UInt32Array::from(vec![number; 5])) };
    let columns = || vec![("epoch", numbers(3)), ("number", numbers(1))];
    let keys = [("spfde.schema", "1"), ("spfde.stream", "pairs")];
    assert_eq!(read(&parquet::file(&columns(), &keys)), "it was accepted");
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let longs: ArrayRef = Arc::new(Int64Array::from(vec![1; 5]));
    let some: ArrayRef = Arc::new(UInt32Array::from(vec![Some(1), None, None, Some(1), Some(1)]));
    // The first page is a dictionary of one value, four bytes; then it claims to have more.
    let mut dictionary = parquet::file_with(&columns(), &keys, WriterProperties::builder());
    assert_eq!(dictionary[4..13], [0x15, 4, 0x15, 8, 0x15, 8, 0x4C, 0x15, 2]);
    assert_eq!(read(&dictionary), "it was accepted");
    dictionary[12] = 0x7E;
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a"; 5]));
    let lengths = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding("more".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    let lengths = parquet::file_with(&[columns(), vec![("more", text)]].concat(), &keys, lengths);
    // A column that is not read may stand for any amount of memory.
    assert_eq!(read(&lengths), "it was accepted");
    let mut cases = parquet::cases(&good, NAME, &read);
    cases.extend([
        case(
            Class::TooLarge,
            read(&dictionary),
            "number of dictionary values of column epoch is 63, above the limit of 1; the file is damaged \
             or not meant for spfde",
        ),
        case(
            Class::WrongType,
            read(&parquet::file(&[("epoch", numbers(3)), ("number", longs)], &keys)),
            "column number is of type Int64; expected UInt32",
        ),
        case(
            Class::Missing,
            read(&parquet::file(&columns()[..1], &keys)),
            "has no column number; expected one of type UInt32",
        ),
        case(
            Class::Missing,
            read(&parquet::file(&[("epoch", numbers(3)), ("number", some)], &keys)),
            "column number lacks 2 of its values; every row needs one",
        ),
        case(
            Class::Missing,
            read(&parquet::file(&columns(), &keys[1..])),
            "metadata has no key spfde.schema; expected a version up to 1; the file was not written by spfde",
        ),
        case(
            Class::Duplicate,
            read(&parquet::file(&[columns(), columns()].concat(), &keys)),
            "has column epoch twice; which of the two counts is nowhere said",
        ),
        case(
            Class::Duplicate,
            read(&parquet::file(&columns(), &[keys[0], keys[1], ("spfde.stream", "scores")])),
            "has key spfde.stream twice; which of the two counts is nowhere said",
        ),
        case(
            Class::OutOfRange,
            read(&parquet::file(&columns(), &[("spfde.schema", "0"), keys[1]])),
            "spfde.schema is 0, this program knows versions up to 1; use a newer spfde",
        ),
        case(
            Class::OutOfRange,
            read(&parquet::file(&columns(), &[keys[0], ("spfde.stream", "scores")])),
            "spfde.stream is \"scores\"; expected pairs",
        ),
        case(
            Class::LaterVersion,
            read(&parquet::file(&columns(), &[("spfde.schema", "2"), keys[1]])),
            "spfde.schema is 2, this program knows versions up to 1; use a newer spfde",
        ),
    ]);
    std::fs::write(&path, &good).unwrap();
    cases.push(case(
        Class::OutOfRange,
        now(&Segment { rows: 4, ..segment.clone() }),
        "number of rows is 5; expected 4; the file was changed or is damaged",
    ));
    cases.push(too_many_rows(directory));
    cases.push(super::not_a_file(directory, NAME, || now(&segment)));
    super::link(&path);
    cases.push(case(Class::Link, now(&segment), super::LINK));
    // A link instead of the directory is no better.
    std::fs::remove_dir_all(directory.join("trace")).unwrap();
    super::link(&directory.join("trace"));
    let (found, expected) = (now(&segment), format!("trace: {}", super::LINK));
    cases.push(Case { class: Class::Link, found, expected });
    cases
}

/// A table of a checkpoint with more rows than the run can have: they would all be held in memory.
fn too_many_rows(directory: &Path) -> Case {
    let tables = ParquetStore::of_checkpoints(directory);
    let mut writer = tables.create("pairs", &Pair::columns(), 3, 0).unwrap();
    writer.append(&Columns::from_rows((0..5).map(|number| Pair { epoch: 3, number }))).unwrap();
    let mut manifest = super::manifest::sound();
    manifest.checkpoints = vec![Checkpoint::from(writer.finish().unwrap())];
    let read =
        |most| message(directory, read_table(directory, &manifest, 3, "pairs", &Pair::columns(), most));
    assert_eq!(read(5), "it was accepted");
    Case {
        class: Class::TooLarge,
        found: read(4),
        expected: "checkpoint/pairs/e00003-w00.parquet: number of rows is 5, above the limit of 4; the file \
                   is damaged or not meant for spfde"
            .to_owned(),
    }
}
