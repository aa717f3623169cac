//! Files that are not what the manifest says.

use spfde::Error;
use spfde_data::files::manifest::Manifest;
use spfde_data::rows::MaskRow;
use spfde_data::segment::Segment;
use spfde_data::table::Row;

use super::{EPOCHS, assert_found, change_file, change_manifest, found_after, sound_run};

#[test]
fn a_fresh_run_is_sound_and_what_was_checked_is_counted() {
    let (_bench, run) = sound_run();
    let sound = spfde::verify::verify(&run.path).unwrap();
    assert_eq!(sound.manifest, run.manifest);
    let (segments, rows) =
        (10 * EPOCHS, run.manifest.segments.iter().map(|segment| segment.rows).sum::<u64>());
    assert_eq!(sound.to_string(), format!("{EPOCHS} of {EPOCHS} epochs, {segments} segments, {rows} rows"));
}

#[test]
fn a_flipped_byte_anywhere_in_any_file_is_found() {
    let (_bench, run) = sound_run();
    let files = run.named();
    // So many that all findings are told.
    let some = files.chunks(30).flat_map(|files| [0.0, 0.5, 1.0].map(|place| (files, place)));
    for (files, place) in some {
        let findings = found_after(&run, |run| {
            for path in files {
                change_file(run, path, |bytes| {
                    let at = (place * (bytes.len() - 1) as f64) as usize;
                    bytes[at] ^= 0x10;
                });
            }
        });
        files.iter().for_each(|path| assert_found(path, &findings, &[path, "BLAKE3"]));
        assert_eq!(findings.len(), files.len());
    }
    let findings = found_after(&run, |run| change_file(run, &files[7], |bytes| bytes[20] ^= 1));
    assert_found("one bit", &findings, &[&files[7], "BLAKE3"]);
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[test]
fn a_file_that_is_missing_cut_or_longer_is_found() {
    let (_bench, run) = sound_run();
    for path in ["trace/scores/e00002-w00.parquet", "checkpoint/e00005.safetensors"] {
        let findings = found_after(&run, |run| std::fs::remove_file(run.path.join(path)).unwrap());
        assert_found("deleted", &findings, &[path]);
        for (keep, bytes) in [(0, "0 bytes"), (1, "1 byte"), (100, "100 bytes")] {
            let findings = found_after(&run, |run| change_file(run, path, |bytes| bytes.truncate(keep)));
            assert_found("cut", &findings, &[path, &format!("length is {bytes}; expected ")]);
        }
        let findings = found_after(&run, |run| change_file(run, path, |bytes| bytes.push(0)));
        assert_found("longer", &findings, &[path, "bytes; expected"]);
    }
}

#[test]
fn a_manifest_that_lies_is_found() {
    let (_bench, run) = sound_run();
    let after = |change: &dyn Fn(&mut Manifest)| found_after(&run, |run| change_manifest(run, change));
    let findings = after(&|manifest| manifest.segments[3].blake3 = "0".repeat(64));
    assert_found("hash", &findings, &[&run.manifest.segments[3].path, "BLAKE3"]);
    let findings = after(&|manifest| manifest.segments[7].rows += 1);
    assert_found("rows", &findings, &[&run.manifest.segments[7].path, "number of rows is"]);
    let findings = after(&|manifest| manifest.segments[3].rows += 1);
    assert_found(
        "epochs",
        &findings,
        &["manifest.json", "stream epochs in epoch 4 is 2, above the limit of 1"],
    );
    let findings = after(&|manifest| manifest.epochs_reached -= 1);
    assert_found("epochs", &findings, &["manifest.json", "epochs_reached"]);
    let findings = after(&|manifest| drop(manifest.segments.remove(0)));
    assert_found("segment", &findings, &["manifest.json", "stream epochs has no segment"]);
    let findings = after(&|manifest| manifest.data_set.train_rows += 1);
    assert_found("samples", &findings, &["epochs: epoch 1: dense_flops is"]);
    for (samples, limit) in [(1 << 40, 67_108_864), (1 << 25, 0)] {
        let findings = after(&|manifest| manifest.data_set.train_rows = samples);
        let limit = if limit > 0 { format!("{limit};") } else { String::new() };
        let parts = [&format!("data_set.train_rows is {samples}"), &format!("above the limit of {limit}")];
        assert_found("far more samples", &findings, &parts.map(String::as_str));
        assert_eq!(findings.len(), 1, "{findings:?}");
    }
    let masks = |segment: &&mut Segment| segment.stream == MaskRow::STREAM;
    let findings = after(&|manifest| manifest.segments.iter_mut().find(masks).unwrap().rows = 1 << 30);
    let parts = ["manifest.json: number of rows of stream masks is 10737", ", above the limit of "];
    assert_found("far more rows", &findings, &parts);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let findings = after(&|manifest| manifest.data_set.classes += 1);
    assert_found("classes", &findings, &["`model.name`: the network of the run is for ", "in 11 classes"]);
    let findings = after(&|manifest| manifest.segments[0].path = "trace/../../elsewhere".into());
    assert_found("path", &findings, &["manifest.json", "elsewhere"]);
}

#[test]
fn another_network_is_found() {
    let (_bench, run) = sound_run();
    let findings = found_after(&run, |run| {
        change_file(run, "architecture.json", |bytes| bytes.push(b' '));
    });
    assert_found("network", &findings, &["architecture.json: is not the architecture"]);
}

#[test]
fn an_unsound_run_is_an_error_with_exit_code_1() {
    let (_bench, run) = sound_run();
    change_file(&run, "trace/masks/e00000-w00.parquet", |bytes| bytes[9] ^= 1);
    let error = spfde::verify::verify(&run.path).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let Error::Unsound { findings, first, .. } = error else { panic!("{error}") };
    assert_eq!(findings, 1);
    assert!(first.contains("trace/masks/e00000-w00.parquet"), "{first}");
}
