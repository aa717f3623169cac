//! Which mask policies compute dense gradients, and when: a count of what the shards did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use spfde::Options;
use spfde_data::rows::MaskUpdateRow;
use spfde_flow::{Observer, StepReport};
use spfde_policy::{Needs, Registry};

use crate::support::{Bench, Recorded};

/// The dense gradients of each step that had any.
#[derive(Default)]
struct Count(Mutex<BTreeMap<(u32, u32), u64>>);

impl Observer for Count {
    fn step(&self, report: &StepReport) {
        if report.dense_gradients > 0 {
            let tick = (report.tick.epoch, report.tick.step);
            self.0.lock().unwrap().insert(tick, report.dense_gradients);
        }
    }
}

/// A run of a policy; the dense gradients of its steps, by epoch and step.
fn counted(bench: &Bench, words: &[&str], workers: usize) -> (Recorded, BTreeMap<(u32, u32), u64>) {
    let common = ["model.name=lenet5", "mask.sparsity=0.9", "train.epochs=6"];
    let rests = ["freeze.policy=none", "sieve.policy=none"];
    let experiment = bench.experiment(&[&common[..], &rests, words].concat());
    let (count, path) = (Arc::new(Count::default()), bench.path(&format!("{}-{workers}", words.concat())));
    let observer: Arc<dyn Observer> = Arc::<Count>::clone(&count);
    let options = Options { directory: Some(path.clone()), workers, observer, ..Options::default() };
    spfde::run(&experiment, options, spfde::wire).unwrap();
    let found = count.0.lock().unwrap().clone();
    (Recorded::open(&path), found)
}

#[test]
fn policies_that_need_no_dense_gradient_never_compute_one() {
    let mut promise = Vec::new();
    for entry in Registry::default().mask.entries {
        let bench = Bench::new(96);
        let policy = format!("mask.policy={}", entry.name);
        let of = bench.experiment(&["model.name=lenet5", &policy]);
        let needs = of.settings().policies.mask.most_needed();
        for window in ["mask.interval=1", "mask.interval_steps=2"] {
            let (_, found) = counted(&bench, &[&policy, window], 2);
            assert_eq!(found.is_empty(), needs < Needs::DenseGradient, "{policy}, {window}: {found:?}");
        }
        if needs < Needs::DenseGradient {
            promise.push(entry.name);
        }
    }
    let known = [
        "dense",
        "static",
        "mest-em",
        "mest-ems",
        "set",
        "gse",
        "deep-r",
        "dsr",
        "gmp",
        "magnitude",
        "lottery",
        "snip",
        "grasp",
        "synflow",
        "top-kast",
    ];
    assert_eq!(promise, known, "what the guide says of dense gradients");
}

#[test]
fn guided_sampling_computes_no_dense_gradient() {
    for sampling in ["mask.sampling=grabo", "mask.sampling=graest"] {
        let (_, found) = counted(&Bench::new(96), &["mask.policy=gse", "mask.interval=1", sampling], 2);
        assert!(found.is_empty(), "{sampling}: {found:?}");
    }
}

#[test]
fn rigl_computes_as_many_dense_gradients_as_it_updates_layers() {
    let bench = Bench::new(96);
    for words in [&["mask.policy=rigl"][..], &["mask.policy=rigl", "mask.interval_steps=2"]] {
        for workers in [1, 3] {
            let (run, found) = counted(&bench, words, workers);
            let mut updates: BTreeMap<(u32, u32), u64> = BTreeMap::new();
            for row in run.rows::<MaskUpdateRow>() {
                // The step whose gradient an update has seen is the one before it takes effect.
                let before = match row.step {
                    0 => (row.epoch - 1, 2),
                    step => (row.epoch, step - 1),
                };
                *updates.entry(before).or_default() += 1;
            }
            assert_eq!(found, updates, "{words:?}, {workers} workers");
            assert!(found.len() > 1 && found.values().all(|layers| *layers == 3), "{found:?}");
        }
    }
}
