//! Data sets as Parquet: `train.parquet`, beside a sound `test.parquet`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, Float64Array, UInt16Array};
use spfde_data::files::data_set;
use spfde_data::images::Images;

use super::{Case, Class, message, parquet};

const NAME: &str = "train.parquet";

fn images(count: usize) -> Images {
    let labels = (0..count).map(|i| (i % 2) as u16).collect();
    Images { channels: 1, height: 2, width: 2, pixels: vec![7_u8; 4 * count].into(), labels }
}

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let set = data_set::assemble("small", 2, images(5), images(2));
    data_set::write(&set, directory).unwrap();
    let path = directory.join(NAME);
    let good = std::fs::read(&path).unwrap();
    let now = || message(directory, data_set::read(directory));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        now()
    };
    let description = |change: &[(&str, serde_json::Value)]| {
        let mut value = serde_json::json!({
            "version": 1, "name": "small", "channels": 1, "height": 2, "width": 2, "classes": 2,
            "mean": [7.0], "deviation": [1.0], "augment": "none", "fingerprint": set.fingerprint,
        });
        for (field, to) in change {
            value[*field] = to.clone();
        }
        value
    };
    let pixels = || -> ArrayRef {
        let rows = (0..5).map(|_| Some([7_u8; 4]));
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows, 4).unwrap())
    };
    let labels = |labels: [u16; 5]| -> ArrayRef { Arc::new(UInt16Array::from(labels.to_vec())) };
    let columns = || vec![("image", pixels()), ("label", labels([0, 1, 0, 1, 0]))];
    let of = |columns: &[(&str, ArrayRef)], description: &serde_json::Value| {
        read(&parquet::file(columns, &[("spfde.data", &description.to_string())]))
    };
    let described = |field: &str, to: serde_json::Value| of(&columns(), &description(&[(field, to)]));
    assert_eq!(of(&columns(), &description(&[])), "it was accepted");

    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let reals: ArrayRef = Arc::new(Float64Array::from(vec![0.0; 5]));
    let text = description(&[]).to_string();
    let damaged = "; the file was changed or is damaged";
    let mut cases = parquet::cases(&good, NAME, &read);
    cases.extend([
        case(
            Class::OutOfRange,
            described("name", "\u{1b}[31msmall\n".into()),
            r#"spfde.data.name is "\u{1b}[31msmall\n"; expected a name without control characters"#,
        ),
        case(
            Class::TooLarge,
            described("channels", u64::MAX.into()),
            "spfde.data.channels is 18446744073709551615, above the limit of 16777216; the file is damaged \
             or not meant for spfde",
        ),
        case(
            Class::TooLarge,
            of(&columns(), &description(&[("height", (1 << 24).into()), ("width", (1 << 24).into())])),
            "bytes of an image is 281474976710656, above the limit of 16777216; the file is damaged or not \
             meant for spfde",
        ),
        case(
            Class::WrongType,
            of(&[("image", pixels()), ("label", reals)], &description(&[])),
            "column label is of type Float64; expected UInt16 or another integer",
        ),
        case(
            Class::WrongType,
            described("height", "2".into()),
            &format!(
                "invalid type: string \"2\", expected usize at line 1 column {}{damaged}",
                description(&[("height", "2".into())]).to_string().find("\"2\"").unwrap() + 3
            ),
        ),
        case(
            Class::Missing,
            of(&[("image", pixels())], &description(&[])),
            "has no column label; expected one of type UInt16 or another integer",
        ),
        case(
            Class::WrongType,
            described("augment", "mirror".into()),
            &format!(
                "unknown augmentation `mirror`, expected none; flip, crop, crop-flip, cutout, rotate, colour \
                 joined by + at line 1 column {}{damaged}",
                description(&[("augment", "mirror".into())]).to_string().find("mirror").unwrap() + 7
            ),
        ),
        case(
            Class::Duplicate,
            of(&[columns(), vec![("label", labels([1; 5]))]].concat(), &description(&[])),
            "has column label twice; which of the two counts is nowhere said",
        ),
        case(
            Class::Duplicate,
            read(&parquet::file(&columns(), &[("spfde.data", &text), ("spfde.data", "{}")])),
            "has key spfde.data twice; which of the two counts is nowhere said",
        ),
        case(
            Class::OutOfRange,
            of(&[("image", pixels()), ("label", labels([0, 1, 2, 1, 0]))], &description(&[])),
            "row 2: label is 2; expected one of 2 classes, numbered from 0",
        ),
        case(
            Class::LaterVersion,
            described("version", 2.into()),
            "spfde.data is 2, this program knows versions up to 1; use a newer spfde",
        ),
    ]);
    cases.push(super::not_a_file(directory, NAME, now));
    cases
}
