//! Runs that begin with weights of a file or of another run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use spfde::configuration::{Configuration, Source};
use spfde::export::{Format, export};
use spfde::trained::TrainedNetwork;
use spfde::{Experiment, Options, Registry};
use spfde_data::files::weights;
use spfde_data::rows::MaskRow;
use spfde_data::tensor::{Tensor, TensorData};

use crate::support::{Bench, Recorded, assert_same, transcript};

const WORDS: [&str; 4] = ["model.name=lenet5", "mask.sparsity=0.6", "freeze.policy=none", "train.epochs=3"];

/// Writes the network of a run to a file.
fn exported(run: &Path, file: &Path, sparse: bool) {
    let trained = TrainedNetwork::open(&Registry::standard(), run).unwrap();
    export(&trained, file, Format::Safetensors { sparse }).unwrap();
}

/// The numbers of an array.
fn numbers(arrays: &[Tensor], name: &str) -> Vec<f32> {
    match &arrays.iter().find(|array| array.name == name).unwrap_or_else(|| panic!("{name}")).data {
        TensorData::F32(numbers) => numbers.clone(),
        TensorData::U32(numbers) => numbers.iter().map(|number| *number as f32).collect(),
    }
}

/// The deltas at the start of a run.
fn initial_masks(run: &Recorded) -> Vec<MaskRow> {
    run.epoch::<MaskRow>(0).into_iter().filter(|row| row.step == 0).collect()
}

#[test]
fn existing_weights_take_the_values_of_a_file_and_masks_stay_those_of_the_policy() {
    let bench = Bench::new(96);
    let (_, parent) = bench.train("parent", &[&WORDS[..], &["seed=3"]].concat());
    for sparse in [false, true] {
        let file = bench.path(&format!("net-{sparse}.safetensors"));
        exported(&parent.path, &file, sparse);
        let words = [&WORDS[..], &["train.learning_rate=0", "train.weight_decay=0"]].concat();
        let weights_word = format!("model.weights={}", file.display());
        let (_, drawn) = bench.train(&format!("drawn-{sparse}"), &words);
        let (_, started) =
            bench.train(&format!("started-{sparse}"), &[&words[..], &[&*weights_word]].concat());
        assert_eq!(initial_masks(&started), initial_masks(&drawn));
        started.assert_sound(3);
        // Nothing moves: what exists at the end and has not just grown is what the file has.
        let (before, after) = (parent.arrays(), started.arrays());
        for (layer, weights) in [("convolution1", 150), ("classifier", 840)] {
            assert_eq!(
                numbers(&after, &format!("{layer}.values")),
                numbers(&before, &format!("{layer}.values"))
            );
            assert_eq!(numbers(&after, &format!("{layer}.values")).len(), weights);
            assert_eq!(numbers(&after, &format!("{layer}.bias")), numbers(&before, &format!("{layer}.bias")));
        }
        let mut dense = vec![0.0; 2400];
        let old = numbers(&before, "convolution2.indices");
        old.iter()
            .zip(numbers(&before, "convolution2.values"))
            .for_each(|(at, value)| dense[*at as usize] = value);
        let network =
            bench.experiment(&[&words[..], &[&*weights_word]].concat()).settings().initial_network();
        let expected: Vec<f32> = network.indices(1).iter().map(|index| dense[*index as usize]).collect();
        assert_eq!(network.values(1), expected);
        let from = started.manifest.started_from.unwrap();
        assert_eq!((from.path.as_str(), from.manifest), (file.to_str().unwrap(), None));
        assert_eq!(from.weights, blake3::hash(&std::fs::read(&file).unwrap()).to_hex().as_str());
        let config = std::fs::read_to_string(started.path.join("config.toml")).unwrap();
        assert!(config.contains(&format!("\nweights = \"{}\"\n", file.display())), "{config}");
    }
}

/// The configuration of a run that goes on from `parent`, with these words.
fn from(parent: &Path, words: &[&str]) -> Result<Configuration, String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let source = Source::from_words(&words).unwrap();
    let resolved = Configuration::from_run(&Registry::standard(), parent, false, source.entries());
    resolved.map_err(|error| error.to_string())
}

#[test]
fn a_run_goes_on_from_weights_masks_and_momenta_of_its_parent() {
    let bench = Bench::new(96);
    let words = [&WORDS[..], &["mask.policy=static", "seed=3"]].concat();
    let (_, parent) = bench.train("parent", &words);
    let configuration = from(&parent.path, &["train.epochs=2", "seed=4"]).unwrap();
    assert_eq!(configuration.values().text("model.name"), "lenet5");
    assert_eq!(configuration.values().number("mask.sparsity"), 0.6);
    let experiment = bench.prepare(configuration).unwrap();
    // All of it, bit for bit: the static mask has the same density before and after.
    assert_eq!(experiment.settings().initial_network().tensors(), {
        let mut network = experiment.settings().fresh_network();
        network.restore(&parent.arrays()).unwrap();
        network.tensors()
    });
    let child = bench.record("child", &experiment, 2);
    child.assert_sound(2);
    let other = bench.record("on one worker", &experiment, 1);
    assert_same(&transcript(&child), &transcript(&other), "workers");
    assert_eq!(child.final_weights(), other.final_weights());
    let from_run = child.manifest.started_from.clone().unwrap();
    assert_eq!(from_run.path, parent.path.to_str().unwrap());
    let manifest = std::fs::read(parent.path.join("manifest.json")).unwrap();
    assert_eq!(from_run.manifest.unwrap(), blake3::hash(&manifest).to_hex().as_str());
    // The child of the child.
    bench.prepare(from(&child.path, &[]).unwrap()).unwrap();
}

#[test]
fn rates_of_the_parent_stay_unless_an_optimiser_has_its_own() {
    let bench = Bench::new(96);
    let rates = ["train.optimizer=momentum", "train.weight_decay=0.02", "train.learning_rate=0.04"];
    let (_, parent) = bench.train("parent", &[&WORDS[..], &rates].concat());
    for (given, decay, rate) in [("momentum", 0.02, 0.04), ("nesterov", 0.02, 0.04), ("adamw", 0.01, 0.001)] {
        let configuration = from(&parent.path, &[&format!("train.optimizer={given}")]).unwrap();
        let values = configuration.values();
        let found = [values.number("train.weight_decay"), values.number("train.learning_rate")];
        assert_eq!(found, [decay, rate], "{given}");
    }
}

#[test]
fn masks_whose_densities_depend_on_data_are_taken_over_as_they_are() {
    let bench = Bench::new(96);
    for policy in ["snfs", "dsr", "snip"] {
        let policy = format!("mask.policy={policy}");
        let (_, parent) = bench.train(&policy, &[&WORDS[..], &[&policy]].concat());
        let experiment = bench.prepare(from(&parent.path, &["seed=4"]).unwrap()).unwrap();
        let network = experiment.settings().initial_network();
        let before = parent.arrays();
        for (layer, shape) in experiment.plan().architecture.layers.iter().enumerate() {
            let now: Vec<f32> = network.indices(layer).iter().map(|index| *index as f32).collect();
            assert_eq!(now, numbers(&before, &format!("{}.indices", shape.name)), "{policy}, {}", shape.name);
        }
    }
}

#[test]
fn a_mask_of_other_units_is_not_taken_over() {
    let bench = Bench::new(96);
    let (_, parent) = bench.train("parent", &[&WORDS[..], &["mask.policy=static"]].concat());
    let blocks = from(&parent.path, &["mask.granularity=block-2x1"]).unwrap();
    let error = bench.prepare(blocks).err().unwrap().to_string();
    assert!(
        error.starts_with("`mask.granularity`: the mask of `convolution2` that the run begins"),
        "{error}"
    );
}

#[test]
fn masks_are_pruned_or_grown_to_the_new_density() {
    let bench = Bench::new(96);
    let (_, parent) = bench.train("parent", &[&WORDS[..], &["mask.policy=static"]].concat());
    let before = parent.arrays();
    let (old, values) = (numbers(&before, "linear1.indices"), numbers(&before, "linear1.values"));
    for (sparsity, factor) in [("mask.sparsity=0.8", 0.5), ("mask.sparsity=0.4", 1.5)] {
        let configuration = from(&parent.path, &[sparsity]).unwrap();
        let network = bench.prepare(configuration).unwrap().settings().initial_network();
        let layer = 2;
        let now: Vec<f32> = network.indices(layer).iter().map(|index| *index as f32).collect();
        assert!((now.len() as f64 - factor * old.len() as f64).abs() < 2.0, "{} {}", now.len(), old.len());
        let kept: Vec<usize> = (0..old.len()).filter(|place| now.contains(&old[*place])).collect();
        match factor < 1.0 {
            true => {
                assert_eq!(kept.len(), now.len());
                let least = kept.iter().map(|place| values[*place].abs()).fold(f32::INFINITY, f32::min);
                let gone = (0..old.len()).filter(|place| !kept.contains(place));
                assert!(gone.into_iter().all(|place| values[place].abs() <= least));
            }
            false => {
                assert_eq!(kept.len(), old.len());
                let grown = network.indices(layer).iter().zip(network.values(layer));
                let grown = grown.filter(|(index, _)| !old.contains(&(**index as f32)));
                assert!(grown.into_iter().all(|(_, value)| *value == 0.0));
            }
        }
    }
    let dense = from(&parent.path, &["mask.policy=dense"]).unwrap();
    let network = bench.prepare(dense).unwrap().settings().initial_network();
    assert_eq!(network.values(2).iter().filter(|value| **value != 0.0).count(), old.len());
}

#[test]
fn what_cannot_carry_over_is_named() {
    let bench = Bench::new(96);
    let (_, parent) = bench.train("parent", &[&WORDS[..], &["train.epochs=1"]].concat());
    let refused = |words: &[&str]| from(&parent.path, words).unwrap_err();
    let name = parent.path.display();
    assert_eq!(
        refused(&["model.name=mlp"]),
        format!("`model.name`: \"mlp\" is another network than that of --from {name}, which has \"lenet5\"")
    );
    assert_eq!(
        refused(&["model.width=2"]),
        format!("`model.width`: 2 is another network than that of --from {name}, which has 1")
    );
    assert!(refused(&["model.weights=x"]).starts_with("`model.weights`: --from "));
    // The key by itself finds out later.
    let weights_word = format!("model.weights={name}");
    let error = bench.configure(&["model.name=mlp", &weights_word]).err().unwrap().to_string();
    assert!(error.starts_with(&format!("`model.weights`: {name} does not fit the network mlp: ")), "{error}");
    let file = bench.path("net.pth");
    std::fs::write(&file, "").unwrap();
    let error = bench.configure(&[&format!("model.weights={}", file.display())]).err().unwrap().to_string();
    assert!(error.contains("net.pth: is no safetensors file; save them as safetensors: "), "{error}");
}

#[test]
fn a_run_that_begins_again_needs_neither_file_nor_parent() {
    let bench = Bench::new(96);
    let (_, parent) = bench.train("parent", &[&WORDS[..], &["train.epochs=1"]].concat());
    let file = bench.path("net.safetensors");
    exported(&parent.path, &file, false);
    let weights_word = format!("model.weights={}", file.display());
    let of_file = bench.experiment(&[&WORDS[..], &["train.epochs=2", &weights_word]].concat());
    let of_run = bench.prepare(from(&parent.path, &["train.epochs=2"]).unwrap()).unwrap();
    let mut begun = Vec::new();
    for (name, experiment) in [("file", of_file), ("run", of_run)] {
        let whole = bench.record(&format!("{name}-whole"), &experiment, 2);
        let path = bench.path(name);
        let interrupted = Arc::new(AtomicBool::new(true));
        let options =
            Options { directory: Some(path.clone()), workers: 2, interrupted, ..Options::default() };
        spfde::run(&experiment, options, spfde::wire).unwrap_err();
        begun.push((path, whole));
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_dir_all(&parent.path).unwrap();
    for (path, whole) in begun {
        let options = Options { workers: 1, ..Options::default() };
        let prepare = |configuration| Experiment::with_data(configuration, bench.data());
        spfde::resume(&path, prepare, options, spfde::wire).unwrap();
        let resumed = Recorded::open(&path);
        resumed.assert_sound(2);
        assert_same(&transcript(&resumed), &transcript(&whole), &path.display().to_string());
        assert_eq!(resumed.final_weights(), whole.final_weights());
        // What it began with is part of what is verified.
        let copy = path.join("start.safetensors");
        assert!(weights::read(&copy).is_ok());
        std::fs::write(&copy, "").unwrap();
        assert!(resumed.findings()[0].contains("start.safetensors: BLAKE3 is "), "{:?}", resumed.findings());
    }
}
