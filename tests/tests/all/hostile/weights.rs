//! Weights as safetensors.

use std::collections::BTreeMap;
use std::path::Path;

use spfde_data::files::{checkpoint, weights};
use spfde_data::tensor::{Tensor, TensorData};

use super::{Case, Class, every_cut, message};

const NAME: &str = "checkpoint/e00003.safetensors";

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let array = Tensor { name: "x".to_owned(), shape: vec![2], data: TensorData::F32(vec![1.0, 2.0]) };
    let mut manifest = super::manifest::sound();
    manifest.checkpoints = vec![checkpoint::write_weights(directory, 3, &[array], &BTreeMap::new()).unwrap()];
    let path = directory.join(NAME);
    let good = std::fs::read(&path).unwrap();
    let now = || message(directory, weights::read(&path));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        now()
    };
    assert_eq!(read(&good), "it was accepted");
    let tensors = |class, bytes: &[u8], reason: &str| Case {
        class,
        found: read(bytes),
        expected: format!("{NAME}: cannot read the tensors: {reason}; is it a complete safetensors file?"),
    };
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let x = |dtype: &str, shape: &str, from: u64, until: u64| {
        format!(r#""x":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{until}]}}"#)
    };
    let one = |tensor: String| format!("{{{tensor}}}");
    let huge = one(x("F32", "[1099511627776]", 0, 1 << 42));
    let twice = format!("{{{},{}}}", x("F32", "[1]", 0, 4), x("F32", "[1]", 4, 8));
    let mut cases = vec![
        tensors(Class::Empty, &[], "header too small"),
        Case {
            class: Class::Truncated,
            found: every_cut(&good, NAME, 4, read),
            expected: format!(
                "{NAME}: cannot read the tensors: header too small; is it a complete safetensors file?"
            ),
        },
        tensors(Class::WrongMagic, b"\x89PNG and so on", "header too large"),
        tensors(Class::TooLarge, &u64::MAX.to_le_bytes(), "header too large"),
        tensors(Class::TooLarge, &file(&huge, &[0; 4]), "incomplete metadata, file not fully covered"),
        case(
            Class::WrongType,
            read(&file(&one(x("F64", "[1]", 0, 8)), &[0; 8])),
            "type of array x is \"F64\"; expected F32 or U32",
        ),
        tensors(
            Class::Missing,
            &file(r#"{"x":{"shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]),
            "invalid JSON in header: missing field `dtype` at line 1 column 40",
        ),
        tensors(Class::Duplicate, &file(&twice, &[0; 8]), "invalid offset for tensor `x`"),
        tensors(
            Class::OutOfRange,
            &file(&one(x("F32", "[1]", 4, 0)), &[0; 4]),
            "invalid offset for tensor `x`",
        ),
        tensors(
            Class::Trailing,
            &[&good[..], &[0; 4]].concat(),
            "incomplete metadata, file not fully covered",
        ),
    ];
    cases.push(super::not_a_file(directory, NAME, now));
    super::link(&path);
    let read = checkpoint::read_weights(directory, &manifest, 3);
    cases.push(case(Class::Link, message(directory, read), super::LINK));
    let checked = checkpoint::check(directory, &manifest, 3);
    cases.push(case(Class::Link, message(directory, checked), super::LINK));
    cases
}
