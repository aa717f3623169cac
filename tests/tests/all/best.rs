//! The weights of the best epoch on the validation set, which a run keeps beside the last.

use spfde::Registry;
use spfde::configuration::Configuration;
use spfde::trained::TrainedNetwork;
use spfde_data::files::weights;
use spfde_data::rows::EpochRow;

use crate::resuming::{begin, finish, unfinished, until};
use crate::support::{Bench, Recorded};
use crate::verification::{assert_found, change_file, change_manifest, found_after};

const WORDS: [&str; 7] = [
    "model.name=lenet5",
    "mask.sparsity=0.5",
    "data.validation=0.25",
    "sieve.fraction=0.3",
    "freeze.policy=none",
    "train.epochs=6",
    "seed=2",
];

/// The number of epochs after which the accuracy on the validation set was greatest for the first time.
fn best(run: &Recorded) -> u32 {
    let rows = run.rows::<EpochRow>();
    let accuracy = |row: &EpochRow| row.validation_accuracy.unwrap();
    let greatest = rows.iter().map(accuracy).fold(0.0, f64::max);
    rows.iter().find(|row| accuracy(row) == greatest).unwrap().epoch + 1
}

/// The bytes of the best weights of a finished run.
fn bytes(run: &Recorded) -> Vec<u8> {
    std::fs::read(run.path.join("checkpoint/best.safetensors")).unwrap()
}

#[test]
fn the_best_weights_reach_the_best_accuracy_and_another_run_begins_with_them() {
    let bench = Bench::new(160);
    let data_word = bench.data_word();
    let words = [&WORDS[..], &[&*data_word]].concat();
    let (_, run) = bench.train("run", &words);
    run.assert_sound(6);
    let expected = best(&run);
    assert!(expected < 6, "the last epoch is not the best");
    assert_eq!(run.manifest.best.len(), 1);
    assert_eq!(run.manifest.best[0].path, "checkpoint/best.safetensors");
    let trained = TrainedNetwork::open_best(&Registry::standard(), &run.path).unwrap();
    assert_eq!((trained.epoch(), trained.notes().len()), (expected, 0));
    let set = trained.data().unwrap();
    let accuracy = |trained: &TrainedNetwork| {
        trained.evaluate(&set.validation, &set.normalization).unwrap().accuracy().to_bits()
    };
    let row = &run.rows::<EpochRow>()[expected as usize - 1];
    assert_eq!(accuracy(&trained), row.validation_accuracy.unwrap().to_bits());
    let last = TrainedNetwork::open(&Registry::standard(), &run.path).unwrap();
    assert_eq!(last.epoch(), 6);
    assert_ne!(bytes(&run), run.final_weights());

    let configuration = Configuration::from_run(&Registry::standard(), &run.path, true, &[]).unwrap();
    let experiment = bench.prepare(configuration).unwrap();
    let note = "best.safetensors after";
    assert!(experiment.configuration().notes().iter().any(|text| text.contains(note)), "{note}");
    let child = bench.record("child", &experiment, 2);
    child.assert_sound(6);
    let from = child.manifest.started_from.unwrap();
    assert_eq!(from.path, run.path.join("checkpoint/best.safetensors").to_str().unwrap());
    assert_eq!(from.weights, blake3::hash(&bytes(&run)).to_hex().as_str());
    assert!(from.manifest.is_some());
    // The weights that exist are those of the parent, as far as the new mask has them.
    let parent = weights::read(&run.path.join("checkpoint/best.safetensors")).unwrap().arrays;
    let bias = parent.iter().find(|array| array.name == "linear1.bias").unwrap();
    let tensors = experiment.settings().initial_network().tensors();
    assert_eq!(tensors.iter().find(|array| array.name == "linear1.bias"), Some(bias));

    let without = bench.record("none", &bench.experiment(&["model.name=mlp", "train.epochs=1"]), 1);
    assert!(without.manifest.best.is_empty());
    let error = TrainedNetwork::open_best(&Registry::standard(), &without.path).unwrap_err().to_string();
    assert!(
        error.contains("has no weights of a best epoch; a run keeps them that has a validation"),
        "{error}"
    );
}

#[test]
fn the_best_weights_are_the_same_through_interruptions_and_on_any_number_of_workers() {
    let bench = Bench::new(160);
    for every in [1, 2, 0] {
        let word = format!("train.checkpoint_every={every}");
        let experiment = bench.experiment(&[&WORDS[..], &[&*word]].concat());
        let whole = bench.record(&format!("whole{every}"), &experiment, 1);
        whole.assert_sound(6);
        let path = bench.path(&format!("resumed{every}"));
        begin(&experiment, &path, until(1, 1, 2));
        for (epoch, workers) in [(3, 4), (5, 2)] {
            let error = unfinished(&bench, &path).run(until(epoch, 1, workers), spfde::wire).unwrap_err();
            assert_eq!(error.exit_code(), 130, "{error}");
            let run = Recorded::open(&path);
            run.assert_sound(epoch);
            assert_eq!(run.manifest.best.last().map(|file| file.epoch), Some(best(&run)), "{every} {epoch}");
        }
        let resumed = finish(&bench, &path, 4);
        resumed.assert_sound(6);
        assert_eq!(resumed.manifest.best, whole.manifest.best, "{every}");
        assert!(bytes(&resumed) == bytes(&whole), "{every}");
    }
    // A run that ends early has them, too.
    let words = ["train.learning_rate=0", "train.patience=2", "train.epochs=9"];
    let (_, early) = bench.train("early", &[&WORDS[..], &words].concat());
    early.assert_sound(3);
    assert_eq!((early.manifest.best.len(), early.manifest.best[0].epoch), (1, 1));
}

#[test]
fn best_weights_that_are_not_the_best_are_found() {
    let bench = Bench::new(160);
    let (_, run) = bench.train("run", &WORDS);
    let (file, right) = ("checkpoint/best.safetensors", best(&run));
    let findings = found_after(&run, |run| change_file(run, file, |bytes| bytes[100] ^= 1));
    assert_found("damage", &findings, &[file, "BLAKE3"]);
    let other = right % 6 + 1;
    let findings = found_after(&run, |run| change_manifest(run, |manifest| manifest.best[0].epoch = other));
    assert_found("epoch", &findings, &[file, &format!("the best is epoch {right}")]);
    let change = |change: &dyn Fn(&mut spfde_data::files::Manifest)| {
        found_after(&run, |run| change_manifest(run, change))
    };
    let findings = change(&|manifest| manifest.best[0].path = "checkpoint/other.safetensors".to_owned());
    assert_found("path", &findings, &["best[0].path", "checkpoint/best.safetensors"]);
    let findings = change(&|manifest| manifest.best.push(manifest.best[0].clone()));
    assert_found("order", &findings, &["best[1].epoch", "epochs that rise"]);
    let findings = change(&|manifest| manifest.best[0].epoch = 7);
    assert_found("reached", &findings, &["best[0].epoch"]);
}
