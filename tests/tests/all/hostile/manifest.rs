//! `manifest.json`. An attacker who forges one can seal it, too.

use std::path::Path;

use serde_json::{Value, json};
use spfde_data::files::data_set;
use spfde_data::files::manifest::{MANIFEST_NAME, Manifest};
use spfde_data::images::Images;
use spfde_data::segment::{Checkpoint, Segment};

use super::{Case, Class, every_cut, message};

/// A manifest with a segment and a checkpoint.
pub(super) fn sound() -> Manifest {
    let images = Images { channels: 1, height: 1, width: 1, pixels: vec![1_u8].into(), labels: vec![0] };
    let mut manifest = Manifest::new(&data_set::assemble("tiny", 1, images.clone(), images), 4);
    manifest.epochs_reached = 3;
    let blake3 = || "ab".repeat(32);
    manifest.segments = vec![Segment {
        stream: "masks".to_owned(),
        epoch: 2,
        worker: 0,
        path: "trace/masks/e00002-w00.parquet".to_owned(),
        rows: 1,
        bytes: 100,
        blake3: blake3(),
    }];
    let path = "checkpoint/e00003.safetensors".to_owned();
    manifest.checkpoints = vec![Checkpoint { epoch: 3, path, bytes: 10, blake3: blake3(), rows: None }];
    manifest
}

/// Seals what may be no manifest at all.
fn sealed(value: &Value) -> Vec<u8> {
    let text = serde_json::to_string_pretty(value).unwrap();
    let content = text.strip_suffix("\n}").unwrap();
    format!("{content},\n  \"seal\": \"{}\"\n}}\n", blake3::hash(content.as_bytes()).to_hex()).into_bytes()
}

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join(MANIFEST_NAME);
    let now = || message(directory, Manifest::read(directory));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        now()
    };
    let changed = |place: &str, to: Value| {
        let mut value = serde_json::to_value(sound()).unwrap();
        *value.pointer_mut(place).unwrap() = to;
        read(&sealed(&value))
    };
    let without = |field: &str| {
        let mut value = serde_json::to_value(sound()).unwrap();
        value.as_object_mut().unwrap().remove(field);
        read(&sealed(&value))
    };
    let case = |class, found: String, expected: &str| Case {
        class,
        found,
        expected: format!("{MANIFEST_NAME}: {expected}"),
    };
    let (limit, damaged) =
        ("; the file is damaged or not meant for spfde", "; the file was changed or is damaged");
    let good = sound().encode();
    assert_eq!(read(&good), "it was accepted");
    let line = |text: &str, what: &str| text.lines().position(|line| line.contains(what)).unwrap() + 1;
    let twice = String::from_utf8(good.clone()).unwrap().replacen(
        "\"epochs\": 4,",
        "\"epochs\": 4,\n  \"epochs\": 4,",
        1,
    );
    let value: Value = serde_json::to_value(sound()).unwrap();
    let wrong = {
        let mut value = value.clone();
        value["epochs"] = json!("3");
        serde_json::to_string_pretty(&value).unwrap()
    };
    let resealed = |text: &str| {
        let content = &text[..text.rfind(",\n  \"seal\"").unwrap()];
        format!("{content},\n  \"seal\": \"{}\"\n}}\n", blake3::hash(content.as_bytes()).to_hex())
    };
    let lines = |field: &str| {
        let mut value = value.clone();
        value.as_object_mut().unwrap().remove(field);
        String::from_utf8(sealed(&value)).unwrap().lines().count()
    };
    let mut cases = vec![
        case(Class::Empty, read(b""), &format!("EOF while parsing a value at line 1 column 0{damaged}")),
        case(
            Class::Truncated,
            // The line's end is behind all that counts, but belongs to the seal.
            every_cut(&good, MANIFEST_NAME, 1, read),
            &format!("EOF while parsing an object at line 1 column 1{damaged}"),
        ),
        case(Class::WrongMagic, read(b"\x89PNG"), &format!("expected value at line 1 column 1{damaged}")),
        case(
            Class::TooLarge,
            changed("/segments/0/rows", json!(u64::MAX)),
            &format!("segments[0].rows is 18446744073709551615, above the limit of 1099511627776{limit}"),
        ),
        case(
            Class::TooLarge,
            changed("/segments/0/bytes", json!(u64::MAX)),
            &format!("segments[0].bytes is 18446744073709551615, above the limit of 4294967296{limit}"),
        ),
        case(
            Class::TooLarge,
            read(format!("{{\"version\":2,\"x\":{}", "[".repeat(100_000)).as_bytes()),
            &format!("EOF while parsing a list at line 1 column 100017{damaged}"),
        ),
        case(
            Class::WrongType,
            changed("/epochs", json!("3")),
            &format!(
                "invalid type: string \"3\", expected u32 at line {} column 15{damaged}",
                line(&wrong, "\"epochs\":")
            ),
        ),
        case(
            Class::Missing,
            without("segments"),
            &format!("missing field `segments` at line {} column 1{damaged}", lines("segments")),
        ),
        case(
            Class::Missing,
            read(&serde_json::to_vec(&sound()).unwrap()),
            "does not end with its seal, the BLAKE3 of what stands before it; the file was changed or is \
             damaged",
        ),
        case(
            Class::Duplicate,
            read(resealed(&twice).as_bytes()),
            &format!(
                "duplicate field `epochs` at line {} column 10{damaged}",
                line(&twice, "\"epochs\":") + 1
            ),
        ),
        case(
            Class::Duplicate,
            changed("/segments", json!([value["segments"][0], value["segments"][0]])),
            "segments names trace/masks/e00002-w00.parquet twice; the manifest was changed or is damaged",
        ),
        case(
            Class::OutOfRange,
            changed("/epochs_reached", json!(5)),
            &format!("epochs_reached is 5, above the limit of 4{limit}"),
        ),
        case(
            Class::OutOfRange,
            changed("/segments/0/blake3", json!("AB")),
            "segments[0].blake3 is \"AB\"; expected 64 lowercase hexadecimal digits",
        ),
        case(
            Class::Trailing,
            read(&[&good[..], b"x"].concat()),
            &format!(
                "trailing characters at line {} column 1{damaged}",
                good.iter().filter(|byte| **byte == b'\n').count() + 1
            ),
        ),
        case(
            Class::LaterVersion,
            changed("/version", json!(4)),
            "version is 4, this program knows versions up to 3; use a newer spfde",
        ),
        case(
            Class::Escape,
            changed("/checkpoints/0/path", json!("config.toml")),
            "checkpoints[0].path is \"config.toml\"; expected checkpoint/e00003.safetensors",
        ),
    ];
    for path in ["../secret", "/etc/passwd", "trace/../../x", "C:/x", "trace\\..\\x", "a\0b", ""] {
        for (list, expected) in
            [("segments", "trace/masks/e00002-w00.parquet"), ("checkpoints", "checkpoint/e00003.safetensors")]
        {
            let found = changed(&format!("/{list}/0/path"), json!(path));
            let message = format!("{list}[0].path is {path:?}; expected {expected}");
            cases.push(case(Class::Escape, found, &message));
        }
    }
    cases.push(super::not_a_file(directory, MANIFEST_NAME, now));
    super::link(&path);
    cases.push(case(Class::Link, now(), super::LINK));
    cases
}
