//! Manifests that lie.

mod normalization;
mod order;

use serde_json::{Value, json};

use super::*;
use crate::Normalization;
use crate::files::{error::CHANGED, layout::segment_path};

fn segment(stream: &str, epoch: u32, worker: u32) -> Segment {
    Segment {
        stream: stream.to_owned(),
        epoch,
        worker,
        path: segment_path(stream, epoch, worker),
        rows: 12,
        bytes: 345,
        blake3: "ab".repeat(32),
    }
}

fn manifest() -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        created_by: "spfde".to_owned(),
        data_set: DataSetRecord {
            channels: 1,
            height: 2,
            width: 2,
            classes: 2,
            name: "fashion-mnist".to_owned(),
            train_rows: 60_000,
            test_rows: 10_000,
            fingerprint: "01".repeat(32),
            class_names: Vec::new(),
            column_names: Vec::new(),
            table: None,
            normalization: Some(Normalization { scale: vec![0.5], shift: vec![-1.25] }),
        },
        sealed_environment: true,
        epochs: 5,
        epochs_reached: 3,
        finished: false,
        stopped: Some("by the user".to_owned()),
        replay_of: None,
        segments: vec![segment("masks", 0, 0), segment("masks", 2, 1), segment("scores", 1, 0)],
        checkpoints: vec![Checkpoint {
            epoch: 3,
            path: "checkpoint/e00003.safetensors".to_owned(),
            bytes: 1,
            blake3: "cd".repeat(32),
            rows: None,
        }],
        ..Manifest::default()
    }
}

fn sealed(value: &Value) -> Vec<u8> {
    seal::seal(serde_json::to_string_pretty(value).unwrap())
}

/// The message of reading the manifest after `change`.
fn message(change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::to_value(manifest()).unwrap();
    change(&mut value);
    Manifest::parse(Path::new(MANIFEST_NAME), &sealed(&value)).unwrap_err().to_string()
}

/// The message after a value was replaced.
fn replaced(place: &str, by: Value) -> String {
    message(|value| *value.pointer_mut(place).unwrap() = by)
}

#[test]
fn a_manifest_comes_back_as_it_was() {
    let run = tempfile::tempdir().unwrap();
    manifest().write(run.path()).unwrap();
    assert_eq!(Manifest::read(run.path()).unwrap(), manifest());
    assert_eq!(run.path().read_dir().unwrap().count(), 1);
    assert_eq!(manifest().segments_of("masks", 1..3), [segment("masks", 2, 1)]);
}

#[test]
fn fields_of_a_later_minor_version_are_ignored() {
    let run = tempfile::tempdir().unwrap();
    let mut value = serde_json::to_value(manifest()).unwrap();
    value["colour"] = json!("blue");
    std::fs::write(run.path().join(MANIFEST_NAME), sealed(&value)).unwrap();
    assert_eq!(Manifest::read(run.path()).unwrap(), manifest());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let path = Path::new(MANIFEST_NAME);
    let good = manifest().encode();
    assert_eq!(Manifest::parse(path, &good).unwrap(), manifest());
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Manifest::parse(path, &bytes).unwrap_err();
    }
    let text = String::from_utf8(good).unwrap().replace("60000", "60001");
    let message = Manifest::parse(path, text.as_bytes()).unwrap_err().to_string();
    assert!(message.starts_with("manifest.json: BLAKE3 is "), "{message}");
    let expected = "manifest.json: does not end with its seal, the BLAKE3 of what stands before it; the file \
                    was \
                    changed or is damaged";
    for text in
        [format!("{text} "), serde_json::to_string(&manifest()).unwrap(), "{\"version\":2}".to_owned()]
    {
        assert_eq!(Manifest::parse(path, text.as_bytes()).unwrap_err().to_string(), expected);
    }
}

#[test]
fn manifests_of_the_first_version_had_no_seal_and_get_one() {
    let run = tempfile::tempdir().unwrap();
    let first = Manifest { version: 1, ..manifest() };
    std::fs::write(run.path().join(MANIFEST_NAME), serde_json::to_string_pretty(&first).unwrap()).unwrap();
    let read = Manifest::read(run.path()).unwrap();
    assert_eq!(read, first);
    read.write(run.path()).unwrap();
    assert_eq!(Manifest::read(run.path()).unwrap(), manifest());
}

#[test]
fn a_manifest_of_version_2_is_read_and_written_as_one_of_the_latest() {
    let second = Manifest { version: 2, ..manifest() };
    let bytes = sealed(&serde_json::to_value(&second).unwrap());
    let read = Manifest::parse(Path::new(MANIFEST_NAME), &bytes).unwrap();
    assert_eq!(read, second);
    assert_eq!(Manifest::parse(Path::new(MANIFEST_NAME), &read.encode()).unwrap(), manifest());
}

#[test]
fn only_a_finished_run_has_ended_early() {
    let early = |finished: bool| {
        let ended_early = Some("the loss no longer falls".to_owned());
        let bytes = Manifest { finished, ended_early, ..manifest() }.encode();
        Manifest::parse(Path::new(MANIFEST_NAME), &bytes)
    };
    assert_eq!(early(true).unwrap().ended_early.as_deref(), Some("the loss no longer falls"));
    assert_eq!(
        early(false).unwrap_err().to_string(),
        "manifest.json: ended_early is \"the loss no longer falls\"; expected nothing, of a run that is not \
         finished"
    );
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let refused = [
        "../secret",
        "trace/../../x",
        "/etc/passwd",
        "C:/x",
        "trace\\..\\x",
        "",
        "trace//x",
        "./trace/x",
        "trace/",
        "a\0b",
    ];
    for path in refused {
        let expected = [
            ("segments", "trace/masks/e00000-w00.parquet"),
            ("checkpoints", "checkpoint/e00003.safetensors"),
        ];
        for (place, expected) in expected {
            assert_eq!(
                replaced(&format!("/{place}/0/path"), json!(path)),
                format!("manifest.json: {place}[0].path is {path:?}; expected {expected}")
            );
        }
    }
    for path in ["config.toml", "checkpoint/e00002.safetensors", "checkpoint/standings/e00003-w00.parquet"] {
        assert_eq!(
            replaced("/checkpoints/0/path", json!(path)),
            format!("manifest.json: checkpoints[0].path is {path:?}; expected checkpoint/e00003.safetensors")
        );
    }
    for path in
        ["checkpoint/a/b/e00003-w00.parquet", "trace/a/e00003-w00.parquet", "checkpoint/a/e00003-w0.parquet"]
    {
        let message = message(|value| {
            value["checkpoints"][0]["path"] = json!(path);
            value["checkpoints"][0]["rows"] = json!(7);
        });
        assert_eq!(
            message,
            format!(
                "manifest.json: checkpoints[0].path is {path:?}; expected \
                 checkpoint/<table>/e00003-w00.parquet"
            )
        );
    }
    assert_eq!(
        replaced("/segments/2/path", json!("trace/scores/e00002-w00.parquet")),
        "manifest.json: segments[2].path is \"trace/scores/e00002-w00.parquet\"; expected \
         trace/scores/e00001-w00.parquet"
    );
    // A path that fits its stream is no better if the stream's name leads elsewhere.
    let message = message(|value| {
        value["segments"][0]["stream"] = json!("..");
        value["segments"][0]["path"] = json!("trace/../e00000-w00.parquet");
    });
    assert_eq!(
        message,
        "manifest.json: segments[0].stream is \"..\"; expected lowercase letters, digits, _ and -"
    );
}

#[test]
fn absurd_numbers_are_refused() {
    assert_eq!(
        replaced("/segments/1/rows", json!(u64::MAX)),
        "manifest.json: segments[1].rows is 18446744073709551615, above the limit of 1099511627776; the file \
         is damaged or not meant for spfde"
    );
    assert_eq!(
        replaced("/segments/1/bytes", json!(u64::MAX)),
        "manifest.json: segments[1].bytes is 18446744073709551615, above the limit of 4294967296; the file \
         is damaged or not meant for spfde"
    );
    assert_eq!(
        replaced("/checkpoints/0/bytes", json!(1_u64 << 60)),
        "manifest.json: checkpoints[0].bytes is 1152921504606846976, above the limit of 68719476736; the \
         file is \
         damaged or not meant for spfde"
    );
    assert_eq!(
        replaced("/epochs_reached", json!(6)),
        "manifest.json: epochs_reached is 6, above the limit of 5; the file is damaged or not meant for spfde"
    );
    assert_eq!(
        replaced("/epochs_reached", json!(2)),
        "manifest.json: segments[1].epoch is \"2\"; expected an epoch below epochs_reached = 2"
    );
    assert_eq!(
        replaced("/checkpoints/0/epoch", json!(4)),
        "manifest.json: checkpoints[0].epoch is 4, above the limit of 3; the file is damaged or not meant \
         for spfde"
    );
    assert_eq!(
        replaced("/version", json!(4)),
        "manifest.json: version is 4, this program knows versions up to 3; use a newer spfde"
    );
    for absurd in [json!(-1), json!(1e99), json!(1_u64 << 40), json!("3"), Value::Null] {
        let message = replaced("/epochs", absurd.clone());
        assert!(message.starts_with("manifest.json: invalid "), "{absurd}: {message}");
    }
}

#[test]
fn hashes_and_names_that_come_twice_are_refused() {
    assert_eq!(
        replaced("/segments/0/blake3", json!("AB".repeat(32))),
        format!(
            "manifest.json: segments[0].blake3 is {:?}; expected 64 lowercase hexadecimal digits",
            "AB".repeat(32)
        )
    );
    assert_eq!(
        replaced("/data_set/fingerprint", json!("0")),
        "manifest.json: data_set.fingerprint is \"0\"; expected 64 lowercase hexadecimal digits"
    );
    assert_eq!(
        message(|value| value["segments"][1] = value["segments"][0].clone()),
        "manifest.json: segments names trace/masks/e00000-w00.parquet twice; the manifest was changed or is \
         damaged"
    );
}

#[test]
fn what_is_no_manifest_is_named() {
    let run = tempfile::tempdir().unwrap();
    let place = run.path().display();
    assert_eq!(
        Manifest::read(run.path()).unwrap_err().to_string(),
        format!(
            "{place}: has no manifest.json; it is not the directory of a run, or the run ended before it \
             began"
        )
    );
    manifest().write(run.path()).unwrap();
    let path = run.path().join(MANIFEST_NAME);
    let good = std::fs::read(&path).unwrap();
    for length in 0..good.len() - 2 {
        let error = Manifest::parse(&path, &good[..length]).unwrap_err();
        assert!(error.to_string().ends_with(CHANGED), "{length}: {error}");
    }
    // Deep nesting must not exhaust the stack.
    for field in ["data_set", "unknown"] {
        let nested = format!("{{\"version\":1,\"{field}\":{}", "[".repeat(1 << 20));
        let error = Manifest::parse(&path, nested.as_bytes()).unwrap_err();
        assert!(error.to_string().ends_with(CHANGED), "{error}");
    }
}
