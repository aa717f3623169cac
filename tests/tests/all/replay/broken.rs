//! A trace that is damaged, forged or not there: an error that names file or stream, and nothing
//! half-written.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use spfde::{Error, Options};
use spfde_data::rows::*;
use spfde_data::table::Row;

use super::{experiment, replay_into};
use crate::support::{Bench, Recorded};
use crate::verification::{change_file, change_manifest, forge};

const EPOCHS: u32 = 4;

/// A run on one worker, whose streams are one segment an epoch.
fn record(bench: &Bench, name: &str) -> Recorded {
    let words = ["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=4", "freeze.policy=gradient-norm"];
    bench.record(name, &bench.experiment(&words), 1)
}

/// Asserts that a replay is refused in words that have all of `parts` in them, with exit code 1, and leaves
/// nothing.
fn assert_refused(bench: &Bench, run: &Recorded, what: &str, parts: &[&str]) {
    for workers in [1, 3] {
        let error = replay_into(bench, "out", run, &[], workers).err().unwrap_or_else(|| panic!("{what}"));
        let message = error.to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{what}: {message}");
        assert_eq!(error.exit_code(), 1, "{what}");
        assert!(!bench.path("out").exists(), "{what}: nothing is left");
    }
}

#[test]
fn a_damaged_segment_of_any_stream_is_named() {
    let bench = Bench::new(64);
    for (case, stream) in ["scores", "gradients", "layers", "masks"].into_iter().enumerate() {
        let run = record(&bench, &case.to_string());
        for epoch in [0, EPOCHS - 1] {
            let path = format!("trace/{stream}/e{epoch:05}-w00.parquet");
            let whole = std::fs::read(run.path.join(&path)).unwrap();
            change_file(&run, &path, |bytes| bytes[20] ^= 4);
            assert_refused(&bench, &run, "altered", &[&path, "BLAKE3 is "]);
            change_file(&run, &path, |bytes| bytes.truncate(30));
            assert_refused(&bench, &run, "truncated", &[&path, "length is 30 bytes; expected "]);
            std::fs::remove_file(run.path.join(&path)).unwrap();
            assert_refused(&bench, &run, "missing", &[&path, "cannot open"]);
            std::fs::write(run.path.join(&path), whole).unwrap();
        }
        change_manifest(&run, |manifest| {
            manifest.segments.retain(|segment| segment.stream != stream || segment.epoch != 2);
        });
        let run = Recorded::open(&run.path);
        let parts = ["manifest.json", &format!("stream {stream} has no segment of committed epoch 3;")];
        assert_refused(&bench, &run, "an epoch is missing", &parts);
        change_manifest(&run, |manifest| manifest.segments.retain(|segment| segment.stream != stream));
        let run = Recorded::open(&run.path);
        let parts = ["manifest.json", &format!("stream {stream} was not recorded")];
        assert_refused(&bench, &run, "a stream is missing", &parts);
    }
}

#[test]
fn an_unknown_schema_version_is_named() {
    let bench = Bench::new(64);
    let run = record(&bench, "run");
    let path = "trace/scores/e00001-w00.parquet";
    change_file(&run, path, |bytes| {
        let key = b"spfde.schema";
        let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
        // The value follows as a text of one byte.
        assert_eq!(bytes[at..at + 3], [0x18, 1, b'1']);
        bytes[at + 2] = b'7';
    });
    let hash = blake3::hash(&std::fs::read(run.path.join(path)).unwrap()).to_hex().to_string();
    change_manifest(&run, |manifest| {
        manifest.segments.iter_mut().find(|segment| segment.path == path).unwrap().blake3 = hash;
    });
    let run = Recorded::open(&run.path);
    assert_refused(&bench, &run, "version", &[path, "spfde.schema is 7", "use a newer spfde"]);
}

fn forged<R: Row>(what: &str, change: impl FnOnce(&mut Vec<R>)) {
    let bench = Bench::new(64);
    let run = record(&bench, "run");
    forge::<R>(&run, 1, change);
    let path = format!("trace/{}/e00001-w00.parquet: row ", R::STREAM);
    assert_refused(&bench, &Recorded::open(&run.path), what, &[&path, what]);
}

#[test]
fn rows_that_do_not_fit_the_run_are_named() {
    forged::<ScoreRow>("sample is 64; the data set has 64", |rows| rows[9].sample = 64);
    forged::<ScoreRow>("step is 4294967295", |rows| rows[9].step = u32::MAX);
    forged::<GradientRow>("layer is 5; the network has 5", |rows| rows[3].layer = 5);
    forged::<LayerRow>("layer is 65535", |rows| rows[0].layer = u16::MAX);
    let delta = |index, diff| MaskRow { epoch: 1, step: 0, layer: 1, index, diff };
    forged::<MaskRow>("index is 2400; layer 1 has 2400 weights", move |rows| rows.push(delta(2400, 1)));
    forged::<MaskRow>("diff is 2; expected 1 or -1", move |rows| rows.push(delta(0, 2)));
}

#[test]
fn mask_deltas_that_add_up_to_nothing_sensible_are_refused() {
    let bench = Bench::new(64);
    let run = record(&bench, "run");
    forge::<MaskRow>(&run, 1, |rows| {
        rows.extend((0..2400).map(|index| MaskRow { epoch: 1, step: 0, layer: 1, index, diff: -1 }));
    });
    let parts = ["stream masks: the deltas of layer 1 add up to -", "of 2400 weights"];
    assert_refused(&bench, &Recorded::open(&run.path), "a negative sum", &parts);
}

#[test]
fn a_manifest_that_lies_is_refused() {
    let bench = Bench::new(64);
    let run = record(&bench, "run");
    change_manifest(&run, |manifest| manifest.data_set.train_rows = 1 << 40);
    assert_refused(&bench, &run, "samples", &["manifest.json: data_set.train_rows is ", "above the limit"]);
    // Fewer than there can be, and still far more than scores were recorded of.
    change_manifest(&run, |manifest| manifest.data_set.train_rows = 1 << 25);
    assert_refused(&bench, &run, "samples", &["train_rows is 33554432, above the limit of "]);
    change_manifest(&run, |manifest| manifest.data_set.train_rows = 64);
    let rows = |rows| {
        change_manifest(&run, |manifest| {
            let segment = manifest.segments.iter_mut().find(|segment| segment.stream == EpochRow::STREAM);
            segment.unwrap().rows = rows;
        });
    };
    rows(1 << 30);
    let parts =
        ["manifest.json: number of rows of stream epochs in epoch 1 is 1073741824, above the limit of 1;"];
    assert_refused(&bench, &run, "rows", &parts);
    rows(1);
    change_manifest(&run, |manifest| (manifest.epochs, manifest.finished) = (9, false));
    assert_refused(&bench, &run, "epochs", &["manifest.json: epochs is \"9\"", "train.epochs"]);
}

#[test]
fn an_interrupt_leaves_nothing() {
    let bench = Bench::new(64);
    let run = record(&bench, "run");
    for workers in [1, 2] {
        let (record, experiment) = experiment(&run.path, &[]).unwrap();
        let options = Options {
            directory: Some(bench.path("out")),
            workers,
            interrupted: Arc::new(AtomicBool::new(true)),
            ..Options::default()
        };
        let error = spfde::replay(&record, &experiment, options, spfde::wire).unwrap_err();
        assert!(matches!(error, Error::Unkept { .. }) && error.exit_code() == 130, "{error}");
        assert!(!bench.path("out").exists());
    }
}
