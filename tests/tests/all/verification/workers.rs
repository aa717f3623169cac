//! Rows that several workers wrote, of a run that observes all samples.

use spfde_data::rows::*;
use spfde_tests::segments::read_segment;

use super::{Change, assert_found, forge_of, found_after, without};
use crate::support::{Bench, Recorded};

/// A finished run on two workers.
fn sound_run() -> (Bench, Recorded) {
    let words = [
        "model.name=lenet5",
        "mask.sparsity=0.7",
        "sieve.fraction=0.3",
        "freeze.flops_reduction=0.1",
        "trace.observe=full",
        "train.epochs=5",
    ];
    let bench = Bench::new(64);
    let run = bench.record("sound", &bench.experiment(&words), 2);
    run.assert_sound(5);
    (bench, run)
}

#[test]
fn what_fits_the_rows_of_one_worker_has_to_fit_those_of_the_other() {
    let (_bench, run) = sound_run();
    let scores =
        |worker| -> Vec<ScoreRow> { read_segment(&run.path, run.segment("scores", 2, worker)).unwrap() };
    let (first, second) = (scores(0), scores(1));
    let pick = |rows: &[ScoreRow], trained: bool| -> ScoreRow {
        rows.iter().find(|row| row.trained == trained).expect("there are rows of both kinds").clone()
    };
    let twice = ["scores: epoch 3: the trained samples are not the active ones"];
    let findings = found_after(&run, |run| {
        forge_of::<ScoreRow>(run, 2, 0, |rows| rows.push(pick(&second, true)));
    });
    assert_found("trained on both", &findings, &twice);
    let outside = ["scores: epoch 3: the observed samples are not those outside the active set"];
    let findings = found_after(&run, |run| {
        forge_of::<ScoreRow>(run, 2, 1, |rows| rows.push(pick(&first, false)));
    });
    assert_found("observed on both", &findings, &outside);
    let changes: [(&str, Change<ScoreRow>); 3] = [
        ("before the last step", |row| row.step = 0),
        ("trained though it is not active", |row| row.trained = true),
        ("no sample", |row| row.sample = 64),
    ];
    for (what, change) in changes {
        let findings = found_after(&run, |run| {
            forge_of::<ScoreRow>(run, 2, 1, |rows| {
                change(rows.iter_mut().find(|row| !row.trained).unwrap());
            });
        });
        assert_found(what, &findings, &outside);
    }
}

#[test]
fn a_layer_of_the_second_worker_lacks_nothing() {
    let (_bench, run) = sound_run();
    // With two workers the second owns the layers with odd numbers.
    let findings = found_after(&run, |run| {
        forge_of::<GradientRow>(run, 1, 1, |rows| rows.retain(|row| (row.step, row.layer) != (1, 3)));
    });
    assert_found("a norm", &findings, &["gradients: epoch 2, step 2: layer 3 has 0 rows"]);
    let findings = found_after(&run, |run| {
        forge_of::<MaskRow>(run, 0, 1, without(0));
    });
    assert_found("a weight", &findings, &["layers: epoch 1", "the mask deltas add up to"]);
    let findings = found_after(&run, |run| {
        let row = read_segment::<MaskRow>(&run.path, run.segment("masks", 0, 1)).unwrap()[0].clone();
        forge_of::<MaskRow>(run, 0, 0, |rows| rows.push(row));
    });
    assert_found("a weight on both", &findings, &["masks: epoch 1", "changes by 1, but exists"]);
}
