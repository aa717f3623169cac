//! `trace.predictions`: the class that the network takes every sample for, as a table.

use spfde_data::rows::{EpochRow, PredictionRow, ScoreRow};

use crate::resuming::{begin, finish, until};
use crate::support::{Bench, Recorded, assert_same, transcript};
use crate::verification::{assert_found, forge, found_after};

const WORDS: [&str; 8] = [
    "model.name=lenet5",
    "mask.sparsity=0.5",
    "data.validation=0.25",
    "sieve.fraction=0.3",
    "freeze.flops_reduction=0.1",
    "train.epochs=4",
    "trace.predictions=true",
    "trace.observe=full",
];

/// The experiment, on data that are on disk, so that `verify` finds the labels.
fn recorded(bench: &Bench, name: &str, workers: usize, words: &[&str]) -> Recorded {
    let data = bench.data_word();
    let experiment = bench.experiment(&[&WORDS[..], &[&*data], words].concat());
    bench.record(name, &experiment, workers)
}

/// The predictions of a set in an epoch, by sample.
fn classes(run: &Recorded, epoch: u32, set: &str) -> Vec<u16> {
    let rows = run.epoch::<PredictionRow>(epoch).into_iter().filter(|row| row.set == set);
    let rows: Vec<PredictionRow> = rows.collect();
    assert!(rows.iter().enumerate().all(|(place, row)| row.sample as usize == place), "{epoch} {set}");
    rows.iter().map(|row| row.class).collect()
}

#[test]
fn every_sample_of_every_set_has_a_class_and_they_are_right_as_often_as_the_epoch_says() {
    let bench = Bench::new(160);
    let run = recorded(&bench, "run", 2, &[]);
    run.assert_sound(4);
    let data = (*bench.data()).clone().with_validation(0.25, 0);
    let share = |classes: &[u16], labels: &[u16]| {
        let right = classes.iter().zip(labels).filter(|(class, label)| class == label).count();
        right as f64 / labels.len() as f64
    };
    for (epoch, row) in run.rows::<EpochRow>().iter().enumerate() {
        let of = |set| classes(&run, epoch as u32, set);
        assert_eq!(of("test").len(), 200);
        assert_eq!(row.test_accuracy, Some(share(&of("test"), &data.test.labels)));
        assert_eq!(of("validation").len(), 40);
        assert_eq!(row.validation_accuracy, Some(share(&of("validation"), &data.validation.labels)));
        let train = of("train");
        assert_eq!(train.len(), 120);
        for score in run.epoch::<ScoreRow>(epoch as u32) {
            let sample = score.sample as usize;
            assert_eq!(train[sample] == data.train.labels[sample], score.correct, "{score:?}");
        }
    }
    let few = recorded(&bench, "few", 2, &["trace.observe=active"]);
    few.assert_sound(4);
    assert!(few.rows::<PredictionRow>().iter().all(|row| row.set != "train"));
    assert_eq!(few.final_weights(), run.final_weights());
    let none = recorded(&bench, "none", 2, &["trace.predictions=false"]);
    none.assert_sound(4);
    assert!(none.manifest.segments.iter().all(|segment| segment.stream != "predictions"));
    assert_same(&transcript(&none), &transcript(&run), "what else is recorded");
}

#[test]
fn predictions_depend_neither_on_workers_nor_on_an_interruption() {
    let bench = Bench::new(160);
    let run = recorded(&bench, "one", 1, &[]);
    let expected = run.rows::<PredictionRow>();
    for workers in [2, 4, 5] {
        let other = recorded(&bench, &format!("w{workers}"), workers, &[]);
        other.assert_sound(4);
        assert_eq!(other.rows::<PredictionRow>(), expected, "{workers} workers");
    }
    let path = bench.path("resumed");
    begin(&bench.experiment(&WORDS), &path, until(2, 1, 2));
    assert_eq!(finish(&bench, &path, 4).rows::<PredictionRow>(), expected);
}

#[test]
fn changed_predictions_are_found() {
    let bench = Bench::new(160);
    let run = recorded(&bench, "run", 1, &[]);
    let found = |change: fn(&mut Vec<PredictionRow>)| found_after(&run, |run| forge(run, 2, change));
    let last = |rows: &mut Vec<PredictionRow>, set: &str| -> usize {
        rows.iter().rposition(|row| row.set == set).unwrap()
    };
    assert_found(
        "a row removed",
        &found(|rows| drop(rows.remove(0))),
        &["predictions: epoch 3", "of 120 samples"],
    );
    let findings = found(|rows| rows[1].sample = rows[0].sample);
    assert_found("twice", &findings, &["predictions: epoch 3", "does not fit"]);
    assert_found("class", &found(|rows| rows[5].class = 10), &["class 10, does not fit"]);
    assert_found("set", &found(|rows| rows[5].set = "tests".to_owned()), &["set \"tests\""]);
    for set in ["test", "validation"] {
        let findings = found_after(&run, |run| {
            forge::<PredictionRow>(run, 2, |rows| {
                // A sample more is right, or a sample less.
                let at = last(rows, set);
                let sample = rows[at].sample as usize;
                let data = (*bench.data()).clone().with_validation(0.25, 0);
                let label = if set == "test" { &data.test } else { &data.validation }.labels[sample];
                rows[at].class = if rows[at].class == label { (label + 1) % 10 } else { label };
            });
        });
        assert_found(set, &findings, &["predictions: epoch 3", &format!("set {set}"), "of it is right"]);
    }
    let findings = found_after(&run, |run| {
        forge::<PredictionRow>(run, 2, |rows| {
            let at = last(rows, "train");
            let label =
                (*bench.data()).clone().with_validation(0.25, 0).train.labels[rows[at].sample as usize];
            rows[at].class = if rows[at].class == label { PredictionRow::NONE } else { label };
        });
    });
    assert_found("train", &findings, &["set train: its score disagrees"]);
}
