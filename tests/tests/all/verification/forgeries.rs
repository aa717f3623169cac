//! Rows that were changed together with the manifest: no hash tells, only the sums do.

use spfde_data::files::weights;
use spfde_data::rows::*;
use spfde_data::tensor::TensorData;

use crate::replay::replayed;
use crate::support::{Bench, Recorded};

use super::{Change, EPOCHS, assert_found, change_manifest, forge, found_after, sound_run, without};

#[test]
fn forged_masks_are_found() {
    let (_bench, run) = sound_run();
    let later = run.rows::<MaskRow>().iter().map(|row| row.epoch).find(|epoch| *epoch > 0).unwrap();
    for epoch in [0, later] {
        let findings = found_after(&run, |run| {
            forge::<MaskRow>(run, epoch, |rows| rows[0].diff = -rows[0].diff);
        });
        assert_found("diff", &findings, &["masks:", &format!("epoch {}", epoch + 1), "changes by"]);
        let findings = found_after(&run, |run| forge::<MaskRow>(run, epoch, |rows| rows[0].diff = i8::MIN));
        assert_found("no diff", &findings, &["masks:", "changes by -128"]);
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
    assert_found("frozen", &findings, &["mask_updates:", "changes at step 0 without a row"]);
    let findings = found_after(&run, |run| {
        forge::<MaskUpdateRow>(run, later, |rows| {
            let row = rows.iter_mut().find(|row| row.grown > 0).unwrap();
            (row.dropped, row.grown) = (row.dropped + 1, row.grown - 1);
        });
    });
    assert_found("counts", &findings, &["mask_updates:", "the mask deltas"]);
}

#[test]
fn final_weights_with_another_mask_are_found() {
    let (_bench, run) = sound_run();
    let findings = found_after(&run, |run| {
        let (path, mut arrays) = (run.manifest.checkpoints[0].path.clone(), run.arrays());
        let indices = arrays.iter_mut().find(|array| array.name == "linear2.indices").unwrap();
        let TensorData::U32(indices) = &mut indices.data else { panic!("indices are whole numbers") };
        let free = (0..).find(|index| !indices.contains(index)).unwrap();
        indices[0] = free;
        indices.sort_unstable();
        std::fs::write(run.path.join(&path), weights::encode(&arrays, &Default::default())).unwrap();
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
        assert_found("a row removed", &findings, &["active samples", &format!("epoch {}", epoch + 1)]);
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
        assert_found(what, &findings, &["scores: epoch 2", "each once"]);
    };
    found("a score removed", |rows| rows.retain(|row| row.step != 1));
    found("a score of another sample", |rows| rows[7].sample = rows[8].sample);
    found("a score that was only observed", |rows| rows[7].trained = false);
}

#[test]
fn a_class_that_is_cut_more_than_its_share_is_found() {
    let bench = Bench::skewed(120);
    let data = bench.data_word();
    let words = [
        &data,
        "model.name=lenet5",
        "sieve.policy=random",
        "sieve.interval=1",
        "sieve.stratify=true",
        "train.epochs=3",
    ];
    let experiment = bench.experiment(&words);
    let live = bench.record("live", &experiment, 1);
    live.assert_sound(3);
    // A replay has no scores with which a forged active set would not agree.
    let run = replayed(&bench, "replay", &live, &[], 1).1;
    let labels = &bench.data().train.labels;
    let findings = found_after(&run, |run| {
        forge::<SieveRow>(run, 1, |rows| {
            let leaves = |row: &SieveRow| row.diff < 0;
            let first = rows.iter().position(leaves).unwrap();
            let class = |row: &SieveRow| labels[row.sample as usize];
            // Two classes of different remainders change places in the deltas: one more sample is out of the
            // first, one fewer of the other.
            let other = rows.iter().position(|row| leaves(row) && class(row) != class(&rows[first])).unwrap();
            let touched = |sample: u32| rows.iter().any(|row| row.sample == sample);
            let active = |sample: u32| run_active(run, sample);
            let substitute = (0..120).find(|sample| {
                labels[*sample as usize] == class(&rows[first]) && !touched(*sample) && active(*sample)
            });
            rows[other].sample = substitute.unwrap();
            rows.sort_by_key(|row| row.sample);
        });
    });
    assert_found("another class", &findings, &["sieves: epoch 2: [", "are outside"]);
}

/// Whether a sample is active in the first epoch.
fn run_active(run: &Recorded, sample: u32) -> bool {
    run.epoch::<SieveRow>(0).iter().any(|row| row.sample == sample && row.diff > 0)
}

#[test]
fn forged_gradient_norms_are_found() {
    let (_bench, run) = sound_run();
    let frozen = run.rows::<FreezeRow>()[0].clone();
    let changes: [(&str, u32, Change<Vec<GradientRow>>); 6] = [
        ("step 2: layer 2 has 0 rows", 1, |rows| rows.retain(|row| (row.step, row.layer) != (1, 2))),
        ("step 1 to step 2: layer 2 has 0 rows", 0, |rows| rows.retain(|row| row.step > 1 || row.layer != 2)),
        ("step 1", 0, |rows| rows.retain(|row| row.step != 0)),
        ("step 2", 0, |rows| rows.push(rows.last().unwrap().clone())),
        ("the mask deltas add up to", 1, |rows| rows[3].nonzero += 1),
        ("step 10", 2, |rows| rows.push(GradientRow { step: 9, ..rows[0].clone() })),
    ];
    for (place, epoch, change) in changes {
        let findings = found_after(&run, |run| forge::<GradientRow>(run, epoch, change));
        assert_found(place, &findings, &["gradients:", &format!("epoch {}", epoch + 1), place]);
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
    let changes: [(&str, Change<EpochRow>); 8] = [
        ("forward_flops", |row| row.forward_flops += 2),
        ("backward_flops", |row| row.backward_flops -= 2),
        ("dense_flops", |row| row.dense_flops *= 2),
        ("extra_flops is 2, the mask policy and the probe ask for 0", |row| row.extra_flops += 2),
        ("nonzero", |row| row.nonzero += 1),
        ("cached_flops", |row| row.cached_flops = Some(row.forward_flops)),
        ("frozen_layers", |row| row.frozen_layers += 1),
        ("active samples", |row| row.active_samples -= 1),
    ];
    for (column, change) in changes {
        for epoch in [0, EPOCHS - 1] {
            let findings =
                found_after(&run, |run| forge::<EpochRow>(run, epoch, |rows| change(&mut rows[0])));
            assert_found(column, &findings, &["epochs:", &format!("epoch {}", epoch + 1), column]);
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
        assert_found(message, &findings, &["layers:", "epoch 4", message]);
    }
    let findings = found_after(&run, |run| forge::<EpochRow>(run, 3, Vec::clear));
    assert_found("no row", &findings, &["epochs:", "epoch 4 has 0 rows"]);
}
