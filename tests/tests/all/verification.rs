//! `verify` finds a fresh run sound, and every kind of damage and forgery.

use std::path::Path;

use spfde::Error;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::{ParquetStore, read_segment};
use spfde_data::files::weights::{self, Values};
use spfde_data::rows::*;
use spfde_data::segment::SegmentStore;
use spfde_data::table::{Columns, Row};

use crate::support::{Bench, Recorded};

const EPOCHS: u32 = 5;

/// A finished run on one worker, whose streams are one segment an epoch, with decisions of every kind.
fn sound_run() -> (Bench, Recorded) {
    let words = [
        "model.name=lenet5",
        "mask.sparsity=0.7",
        "sieve.fraction=0.3",
        "freeze.flops_reduction=0.1",
        "train.epochs=5",
    ];
    let bench = Bench::new(64);
    let experiment = bench.experiment(&words);
    let run = bench.record("sound", &experiment, 1);
    run.assert_sound(EPOCHS);
    (bench, run)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => drop(std::fs::copy(&from, &to).unwrap()),
        }
    }
}

/// What is found wrong in a copy of the run after `damage`.
fn found_after(run: &Recorded, damage: impl FnOnce(&Recorded)) -> Vec<String> {
    let copied = tempfile::tempdir().unwrap();
    copy(&run.path, copied.path());
    damage(&Recorded::open(copied.path()));
    match Manifest::read(copied.path()) {
        Ok(_) => Recorded::open(copied.path()).findings(),
        Err(error) => vec![error.to_string()],
    }
}

/// Asserts that one of the findings has all of `parts` in it.
fn assert_found(what: &str, findings: &[String], parts: &[&str]) {
    let fits = findings.iter().any(|finding| parts.iter().all(|part| finding.contains(part)));
    assert!(fits, "{what}: none of {findings:#?} says {parts:?}");
}

/// Changes the bytes of a file of the run.
fn change_file(run: &Recorded, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = run.path.join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Changes the manifest of the run.
fn change_manifest(run: &Recorded, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = run.manifest.clone();
    change(&mut manifest);
    manifest.write(&run.path).unwrap();
}

/// Rewrites a segment with other rows, and lets the manifest name it as if it had always been so.
fn forge<R: Row>(run: &Recorded, epoch: u32, change: impl FnOnce(&mut Vec<R>)) {
    let segment = run.segment(R::STREAM, epoch, 0);
    let mut rows = read_segment::<R>(&run.path, segment).unwrap();
    change(&mut rows);
    let mut writer = ParquetStore::new(&run.path).create(R::STREAM, &R::columns(), epoch, 0).unwrap();
    writer.append(&Columns::from_rows(rows)).unwrap();
    let forged = writer.finish().unwrap();
    assert_ne!(forged.blake3, segment.blake3, "something changed");
    change_manifest(run, |manifest| {
        let named = manifest.segments.iter_mut().find(|named| named.path == forged.path);
        *named.unwrap() = forged.clone();
    });
}

/// Takes a row out.
fn without<R>(row: usize) -> impl FnOnce(&mut Vec<R>) {
    move |rows| {
        rows.remove(row);
    }
}

/// A way to forge something.
type Change<T> = fn(&mut T);

#[test]
fn a_fresh_run_is_sound_and_what_was_checked_is_counted() {
    let (_bench, run) = sound_run();
    let sound = spfde::verify::verify(&run.path).unwrap();
    assert_eq!((sound.epochs, sound.wanted, sound.segments), (EPOCHS, EPOCHS, 8 * EPOCHS as usize));
    assert_eq!(sound.rows, run.manifest.segments.iter().map(|segment| segment.rows).sum::<u64>());
}

#[test]
fn a_flipped_byte_anywhere_in_any_file_is_found() {
    let (_bench, run) = sound_run();
    let files = run.named();
    for place in [0.0, 0.5, 1.0] {
        let findings = found_after(&run, |run| {
            for path in &files {
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
        for keep in [0, 1, 100] {
            let findings = found_after(&run, |run| change_file(run, path, |bytes| bytes.truncate(keep)));
            assert_found("cut", &findings, &[path, &format!("has {keep} bytes")]);
        }
        let findings = found_after(&run, |run| change_file(run, path, |bytes| bytes.push(0)));
        assert_found("longer", &findings, &[path, "bytes where"]);
    }
}

#[test]
fn a_manifest_that_lies_is_found() {
    let (_bench, run) = sound_run();
    let after = |change: &dyn Fn(&mut Manifest)| found_after(&run, |run| change_manifest(run, change));
    let findings = after(&|manifest| manifest.segments[3].blake3 = "0".repeat(64));
    assert_found("hash", &findings, &[&run.manifest.segments[3].path, "BLAKE3"]);
    let findings = after(&|manifest| manifest.segments[3].rows += 1);
    assert_found("rows", &findings, &[&run.manifest.segments[3].path, "rows where"]);
    let findings = after(&|manifest| manifest.epochs_reached -= 1);
    assert_found("epochs", &findings, &["manifest.json", "epochs_reached"]);
    let findings = after(&|manifest| drop(manifest.segments.remove(0)));
    assert_found("segment", &findings, &["manifest.json", "stream epochs has no segment"]);
    let findings = after(&|manifest| manifest.data_set.fingerprint = "0".repeat(64));
    assert_found("data", &findings, &["trained on", &"0".repeat(64)]);
    let findings = after(&|manifest| manifest.segments[0].path = "trace/../../elsewhere".into());
    assert_found("path", &findings, &["manifest.json", "elsewhere"]);
}

#[test]
fn forged_masks_are_found() {
    let (_bench, run) = sound_run();
    let later = run.rows::<MaskRow>().iter().map(|row| row.epoch).find(|epoch| *epoch > 0).unwrap();
    for epoch in [0, later] {
        let findings = found_after(&run, |run| {
            forge::<MaskRow>(run, epoch, |rows| rows[0].diff = -rows[0].diff);
        });
        assert_found("diff", &findings, &["masks:", &format!("epoch {epoch}"), "changes by"]);
        let findings = found_after(&run, |run| forge::<MaskRow>(run, epoch, without(1)));
        assert_found("a row removed", &findings, &["layers:", "the mask deltas add up to"]);
        let findings = found_after(&run, |run| {
            forge::<MaskRow>(run, epoch, |rows| rows.last_mut().unwrap().index = 1 << 20);
        });
        assert_found("index", &findings, &["masks:", "no weight 1048576"]);
        let findings = found_after(&run, |run| {
            forge::<MaskRow>(run, epoch, |rows| {
                // Another weight of the same layer instead: all counts stay right.
                let taken = |index: u32| rows.iter().any(|row| row.index == index);
                let first = rows.iter().position(|row| row.diff > 0).unwrap();
                let other = (0..).find(|index| !taken(*index)).unwrap();
                rows[first].index = other;
            });
        });
        assert!(!findings.is_empty(), "another weight at epoch {epoch}");
    }
    let frozen = run.rows::<FreezeRow>()[0].clone();
    let findings = found_after(&run, |run| {
        forge::<MaskRow>(run, EPOCHS - 1, |rows| {
            rows.push(MaskRow { epoch: EPOCHS - 1, step: 0, layer: frozen.layer, index: 0, diff: 1 });
        });
    });
    assert_found("frozen", &findings, &["masks:", "changes although it is frozen"]);
}

#[test]
fn final_weights_with_another_mask_are_found() {
    let (_bench, run) = sound_run();
    let findings = found_after(&run, |run| {
        let (path, mut arrays) = (run.manifest.checkpoints[0].path.clone(), run.arrays());
        let indices = arrays.iter_mut().find(|array| array.name == "linear2.indices").unwrap();
        let Values::U32(indices) = &mut indices.values else { panic!("indices are whole numbers") };
        let free = (0..).find(|index| !indices.contains(index)).unwrap();
        indices[0] = free;
        indices.sort_unstable();
        weights::write(&run.path.join(&path), &arrays, &Default::default()).unwrap();
        let bytes = std::fs::read(run.path.join(&path)).unwrap();
        change_manifest(run, |manifest| {
            manifest.checkpoints[0].bytes = bytes.len() as u64;
            manifest.checkpoints[0].blake3 = blake3::hash(&bytes).to_hex().to_string();
        });
    });
    assert_found("weights", &findings, &["linear2.indices", "the mask deltas"]);
}

#[test]
fn forged_sieves_and_scores_are_found() {
    let (_bench, run) = sound_run();
    for epoch in [0, 2] {
        let findings = found_after(&run, |run| forge::<SieveRow>(run, epoch, without(0)));
        assert_found("a row removed", &findings, &["active samples", &format!("epoch {epoch}")]);
        let findings = found_after(&run, |run| {
            forge::<SieveRow>(run, epoch, |rows| rows[0].diff = -rows[0].diff);
        });
        assert_found("diff", &findings, &["sieves:", "does not fit its state"]);
        let findings =
            found_after(&run, |run| forge::<SieveRow>(run, epoch, |rows| rows.push(rows[0].clone())));
        assert_found("twice", &findings, &["sieves:", "two rows"]);
    }
    let findings = found_after(&run, |run| {
        let leaves = |row: &SieveRow| row.diff < 0;
        forge::<SieveRow>(run, 2, |rows| {
            let row = rows.iter().position(leaves).unwrap();
            rows[row].weight = 2.0;
        });
    });
    assert_found("weight", &findings, &["sieves:", "with weight 2"]);
    let found = |what: &str, change: Change<Vec<ScoreRow>>| {
        let findings = found_after(&run, |run| forge::<ScoreRow>(run, 1, change));
        assert_found(what, &findings, &["scores: epoch 1", "each once"]);
    };
    found("a score removed", |rows| rows.retain(|row| row.step != 1));
    found("a score of another sample", |rows| rows[7].sample = rows[8].sample);
    found("a score that was only observed", |rows| rows[7].trained = false);
}

#[test]
fn forged_gradient_norms_are_found() {
    let (_bench, run) = sound_run();
    let frozen = run.rows::<FreezeRow>()[0].clone();
    let changes: [(&str, u32, Change<Vec<GradientRow>>); 4] = [
        ("layer 2", 1, |rows| rows.retain(|row| (row.step, row.layer) != (1, 2))),
        ("step 0", 0, |rows| rows.retain(|row| row.step != 0)),
        ("step 1", 0, |rows| rows.push(rows.last().unwrap().clone())),
        ("step 9", 2, |rows| rows.push(GradientRow { step: 9, ..rows[0].clone() })),
    ];
    for (place, epoch, change) in changes {
        let findings = found_after(&run, |run| forge::<GradientRow>(run, epoch, change));
        assert_found(place, &findings, &["gradients:", &format!("epoch {epoch}"), place]);
    }
    let findings = found_after(&run, |run| {
        forge::<GradientRow>(run, frozen.epoch, |rows| {
            rows.push(GradientRow { layer: frozen.layer, step: 0, ..rows[0].clone() });
        });
    });
    assert_found("frozen", &findings, &["gradients:", &format!("layer {}", frozen.layer)]);
}

#[test]
fn forged_freezes_are_found() {
    let (_bench, run) = sound_run();
    let rows = run.rows::<FreezeRow>();
    let epoch = rows[0].epoch;
    let findings = found_after(&run, |run| forge::<FreezeRow>(run, epoch, without(0)));
    assert_found("layers", &findings, &["layers:", "the freeze deltas say otherwise"]);
    assert_found("cost", &findings, &["epochs:", "backward_flops"]);
    let findings = found_after(&run, |run| {
        forge::<FreezeRow>(run, epoch, |rows| rows.push(FreezeRow { layer: 99, ..rows[0].clone() }));
    });
    assert_found("unknown layer", &findings, &["freezes:", "no layer 99"]);
    let findings = found_after(&run, |run| {
        forge::<FreezeRow>(run, epoch, |rows| rows.push(rows[0].clone()));
    });
    assert_found("twice", &findings, &["freezes:", "twice"]);
}

#[test]
fn forged_costs_and_counts_are_found() {
    let (_bench, run) = sound_run();
    let changes: [(&str, Change<EpochRow>); 6] = [
        ("forward_flops", |row| row.forward_flops += 2),
        ("backward_flops", |row| row.backward_flops -= 2),
        ("dense_flops", |row| row.dense_flops *= 2),
        ("nonzero", |row| row.nonzero += 1),
        ("frozen_layers", |row| row.frozen_layers += 1),
        ("active samples", |row| row.active_samples -= 1),
    ];
    for (column, change) in changes {
        for epoch in [0, EPOCHS - 1] {
            let findings =
                found_after(&run, |run| forge::<EpochRow>(run, epoch, |rows| change(&mut rows[0])));
            assert_found(column, &findings, &["epochs:", &format!("epoch {epoch}"), column]);
        }
    }
    let changes: [(&str, Change<Vec<LayerRow>>); 4] = [
        ("the mask deltas add up to", |rows| rows[1].nonzero += 1),
        ("the freeze deltas say otherwise", |rows| rows[1].frozen = !rows[1].frozen),
        ("expected one for each layer", |rows| rows.truncate(4)),
        ("expected one for each layer", |rows| rows.push(rows[0].clone())),
    ];
    for (message, change) in changes {
        let findings = found_after(&run, |run| forge::<LayerRow>(run, 3, change));
        assert_found(message, &findings, &["layers:", "epoch 3", message]);
    }
    let findings = found_after(&run, |run| forge::<EpochRow>(run, 3, Vec::clear));
    assert_found("no row", &findings, &["epochs:", "epoch 3 has 0 rows"]);
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
