//! The validation set: trains nothing, is evaluated like the test set, and may end a run.

use std::collections::BTreeSet;

use spfde_data::random::{Purpose, draw};
use spfde_data::rows::{EpochRow, ScoreRow, SieveRow};

use crate::resuming::{begin, finish, unfinished, until};
use crate::support::{Bench, assert_same, transcript};

const WORDS: [&str; 5] = [
    "model.name=lenet5",
    "mask.sparsity=0.5",
    "data.validation=0.25",
    "sieve.fraction=0.3",
    "train.epochs=4",
];

#[test]
fn a_validation_set_trains_nothing_and_is_scored_after_every_epoch() {
    let bench = Bench::new(160);
    let (experiment, run) = bench.train("run", &WORDS);
    run.assert_sound(4);
    assert_eq!(run.manifest.data_set.train_rows, 120);
    let samples: BTreeSet<u32> = run.rows::<ScoreRow>().iter().map(|row| row.sample).collect();
    assert!(samples.iter().all(|sample| *sample < 120), "{samples:?}");
    assert!(run.rows::<SieveRow>().iter().all(|row| row.sample < 120));
    // The ten classes have sixteen images each: four are set aside, those of the least draws.
    let whole = bench.data();
    let mut expected = Vec::new();
    for class in 0..10_u16 {
        let of_class = (0..160_u64).filter(|sample| whole.train.labels[*sample as usize] == class);
        let mut drawn: Vec<_> =
            of_class.map(|sample| (draw(0, Purpose::Validation, 0, sample), sample)).collect();
        drawn.sort_unstable();
        expected.extend(drawn[..4].iter().map(|(_, sample)| *sample as usize));
    }
    expected.sort_unstable();
    let data = &experiment.settings().data;
    assert_eq!(*data.validation, whole.train.selected(&expected));
    // A run that is tested on these images reaches what this one says of them.
    let mut swapped = (*whole).clone().with_validation(0.25, 0);
    (swapped.test, swapped.validation) = (swapped.validation, swapped.test);
    let configuration = experiment.configuration().clone();
    let other = spfde::Experiment::with_data(configuration, swapped.into()).unwrap();
    let other = bench.record("swapped", &other, 1);
    for (row, other) in run.rows::<EpochRow>().iter().zip(other.rows::<EpochRow>()) {
        assert_eq!((row.validation_loss, row.validation_accuracy), (other.test_loss, other.test_accuracy));
        assert_eq!((row.test_loss, row.test_accuracy), (other.validation_loss, other.validation_accuracy));
        assert!(row.validation_accuracy.is_some() && row.validation_accuracy != row.test_accuracy, "{row:?}");
    }
}

#[test]
fn a_run_ends_when_the_validation_accuracy_has_not_risen_for_so_long_also_if_it_is_resumed() {
    let bench = Bench::new(160);
    // A rate of 0: nothing rises, but batch norm, which lenet5 has not.
    let words = ["train.learning_rate=0", "train.patience=3", "train.epochs=9"];
    let words = [&WORDS[..4], &words].concat();
    let experiment = bench.experiment(&words);
    let run = bench.record("whole", &experiment, 2);
    assert_eq!((run.manifest.epochs_reached, run.manifest.finished), (4, true));
    let reason = run.manifest.ended_early.as_deref().unwrap_or_default();
    assert!(
        reason.contains("has not risen since epoch 1") && reason.contains("train.patience = 3"),
        "{reason}"
    );
    let path = bench.path("resumed");
    begin(&experiment, &path, until(2, 1, 1));
    let resumed = finish(&bench, &path, 2);
    assert_eq!(resumed.manifest.ended_early, run.manifest.ended_early);
    assert_same(&transcript(&run), &transcript(&resumed), "resumed");
}

#[test]
fn the_best_epoch_goes_on_through_several_resumes_on_any_number_of_workers() {
    let bench = Bench::new(160);
    // It never ends early, but remembers.
    let words = [&WORDS[..4], &["train.patience=6", "train.epochs=6"]].concat();
    let experiment = bench.experiment(&words);
    let whole = bench.record("whole", &experiment, 1);
    let accuracies: Vec<_> = whole.rows::<EpochRow>().iter().map(|row| row.validation_accuracy).collect();
    assert!(accuracies.windows(2).any(|pair| pair[0] < pair[1]), "{accuracies:?}");
    let path = bench.path("resumed");
    begin(&experiment, &path, until(1, 1, 2));
    for (epoch, workers) in [(2, 4), (4, 2)] {
        let error = unfinished(&bench, &path).run(until(epoch, 1, workers), spfde::wire).unwrap_err();
        assert_eq!(error.exit_code(), 130, "{error}");
    }
    assert_same(&transcript(&whole), &transcript(&finish(&bench, &path, 4)), "resumed");
}

#[test]
fn patience_needs_a_validation_set_and_a_validation_set_needs_images() {
    let bench = Bench::new(40);
    let refused = |words: &[&str]| bench.configure(words).err().expect("it is refused").to_string();
    let error = refused(&["train.patience=2"]);
    assert!(error.contains("train.patience") && error.contains("set data.validation"), "{error}");
    let error = refused(&["data.validation=0.001"]);
    assert!(error.contains("data.validation") && error.contains("40 training images"), "{error}");
}
