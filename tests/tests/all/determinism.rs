//! The same seed gives the same bits, whatever the number of workers and processes.

use std::collections::BTreeMap;

use spfde_data::rows::{EpochRow, FreezeRow, GradientRow, MaskRow, SieveRow, TimingRow};
use spfde_data::table::Row;
use spfde_policy::Registry;

use crate::support::{Bench, DESCRIBED, Recorded, assert_same, transcript};
use crate::together::Team;

/// Masks, freezing and circulation at once, over as many epochs as it takes for each to decide several times.
const EVERYTHING: [&str; 12] = [
    "model.name=resnet20",
    "train.warmup=1.5",
    "train.clip=0.5",
    "data.augment=crop-flip+cutout+rotate",
    "train.epochs=6",
    "mask.policy=mest-ems",
    "mask.interval=1",
    "freeze.policy=progressive",
    "freeze.flops_reduction=0.1",
    "sieve.policy=circular",
    "sieve.fraction=0.3",
    "sieve.interval=2",
];

/// Runs the same words on each of `workers`, and on two processes of two, and asserts that traces and final
/// weights have the same bits.
fn assert_workers_do_not_matter(bench: &Bench, words: &[&str], workers: &[usize]) -> Recorded {
    let experiment = bench.experiment(words);
    let mut runs = workers.iter().map(|workers| bench.record(&format!("w{workers}"), &experiment, *workers));
    let first = runs.next().unwrap();
    first.assert_sound(experiment.plan().epochs);
    let (expected, weights) = (transcript(&first), first.final_weights());
    let together = || Team::new(bench, words, 2, 2).finish(&bench.path("together"));
    let others = workers[1..].iter().map(ToString::to_string).chain(["2 × 2".to_owned()]);
    for (run, others) in runs.chain(std::iter::once_with(together)).zip(others) {
        let what = format!("{words:?} on {} and {others} workers", workers[0]);
        assert_same(&expected, &transcript(&run), &what);
        assert!(weights == run.final_weights(), "{what}: the final weights differ");
        run.assert_sound(experiment.plan().epochs);
    }
    first
}

/// Asserts that a run had decisions of every kind after its start.
fn assert_it_decided(run: &Recorded) {
    let epochs = |epochs: Vec<u32>| epochs.into_iter().filter(|epoch| *epoch > 0).count();
    let masks = run.rows::<MaskRow>().iter().map(|row| row.epoch).collect();
    let freezes = run.rows::<FreezeRow>().iter().map(|row| row.epoch).collect();
    let sieves = run.rows::<SieveRow>().iter().map(|row| row.epoch).collect();
    let counts = [epochs(masks), epochs(freezes), epochs(sieves)];
    assert!(counts.iter().all(|count| *count > 0), "masks, freezes, sieves: {counts:?}");
}

#[test]
fn a_residual_network_under_all_default_policies_is_the_same_on_1_2_and_4_workers() {
    let bench = Bench::new(160);
    let run = assert_workers_do_not_matter(&bench, &EVERYTHING, &[1, 2, 4]);
    assert_it_decided(&run);
}

#[test]
fn a_network_in_toml_with_dropout_is_the_same_on_1_2_and_4_workers() {
    let bench = Bench::new(120);
    let words: Vec<&str> = EVERYTHING[1..].iter().chain(&DESCRIBED).copied().collect();
    assert_it_decided(&assert_workers_do_not_matter(&bench, &words, &[1, 2, 4]));
}

#[test]
fn activations_kept_as_bf16_are_the_same_on_1_3_and_4_workers() {
    let bench = Bench::new(120);
    let words = [&EVERYTHING[..], &["train.storage=bf16", "train.epochs=4", "train.shards=5"]].concat();
    let words: Vec<&str> = words.into_iter().filter(|word| *word != "train.epochs=6").collect();
    assert_it_decided(&assert_workers_do_not_matter(&bench, &words, &[1, 3, 4]));
}

#[test]
fn freezing_by_gradient_norms_is_the_same_on_1_2_and_4_workers() {
    let words = [
        "model.name=resnet20",
        "train.epochs=6",
        "mask.policy=mest-em",
        "mask.interval=1",
        "freeze.policy=gradient-norm",
        "freeze.threshold=1",
        "freeze.patience=1",
        "freeze.flops_reduction=0.9",
        "sieve.policy=random",
        "sieve.interval=1",
    ];
    let bench = Bench::new(120);
    let run = assert_workers_do_not_matter(&bench, &words, &[1, 2, 4]);
    assert_it_decided(&run);
    // One block a window, front to back, several layers each; the first window has nothing to compare with.
    let freezes = run.rows::<FreezeRow>();
    let times: Vec<u32> = freezes.iter().map(|row| row.epoch).collect();
    assert!(freezes.iter().enumerate().all(|(layer, row)| usize::from(row.layer) == layer), "{freezes:?}");
    assert!(times.is_sorted() && times[0] >= 2 && times[0] != times[times.len() - 1], "{freezes:?}");
}

#[test]
fn masks_of_every_policy_are_the_same_on_1_2_and_4_workers() {
    for policy in Registry::default().mask.entries {
        let bench = Bench::new(120);
        let policy = format!("mask.policy={}", policy.name);
        let words = ["model.name=lenet5", "train.epochs=4", "mask.sparsity=0.6", "mask.interval=1", &policy];
        // A key that a policy does not use is a note.
        assert_workers_do_not_matter(&bench, &words, &[1, 2, 4]);
    }
}

#[test]
fn dense_training_without_decisions_is_the_same_on_1_2_and_4_workers() {
    let words = [
        "model.name=lenet5",
        "train.epochs=3",
        "mask.policy=dense",
        "freeze.policy=none",
        "sieve.policy=none",
    ];
    let bench = Bench::new(200);
    let run = assert_workers_do_not_matter(&bench, &words, &[1, 2, 4]);
    assert!(run.rows::<MaskRow>().is_empty() && run.rows::<FreezeRow>().is_empty());
    assert_eq!(run.rows::<SieveRow>().len(), 200, "everyone enters once");
}

#[test]
fn odd_numbers_of_samples_shards_and_workers_are_no_exception() {
    // 199 samples, 139 active, in four batches of 34 or 35, in three shards of 11 or 12, for five workers.
    let words = [
        "model.name=lenet5",
        "train.epochs=5",
        "train.shards=3",
        "data.batch_size=37",
        "mask.sparsity=0.7",
        "mask.distribution=erk",
        "freeze.flops_reduction=0.1",
        "sieve.fraction=0.3",
        "sieve.stratify=true",
    ];
    let bench = Bench::new(199);
    let run = assert_workers_do_not_matter(&bench, &words, &[1, 5, 2, 3]);
    assert_it_decided(&run);
}

#[test]
fn a_batch_with_fewer_samples_than_shards_trains_them_all() {
    let words =
        ["model.name=lenet5", "train.epochs=3", "train.shards=7", "data.batch_size=5", "mask.sparsity=0.5"];
    let bench = Bench::new(23);
    assert_workers_do_not_matter(&bench, &words, &[1, 4]);
}

#[test]
fn workers_without_shards_only_watch() {
    // Many short steps, so that a worker that runs ahead of itself has many chances to.
    let words =
        ["model.name=lenet5", "train.epochs=3", "train.shards=1", "data.batch_size=3", "mask.sparsity=0.5"];
    let bench = Bench::new(150);
    assert_workers_do_not_matter(&bench, &words, &[1, 4, 6]);
}

#[test]
fn running_again_on_as_many_workers_writes_the_same_files() {
    let bench = Bench::new(160);
    let words = ["model.name=lenet5", "train.epochs=5", "mask.sparsity=0.5", "sieve.fraction=0.3"];
    let experiment = bench.experiment(&words);
    for workers in [1, 3] {
        let runs = ["a", "b"].map(|name| bench.record(&format!("{name}{workers}"), &experiment, workers));
        let [first, second] = runs.map(|run| {
            // These two have a clock.
            let clocks = [TimingRow::STREAM, EpochRow::STREAM];
            let files = run.files().into_iter().filter(|file| !clocks.iter().any(|of| file.contains(of)));
            let read = |file: String| {
                let bytes = std::fs::read(run.path.join(&file)).unwrap();
                (file, bytes)
            };
            files.map(read).collect::<BTreeMap<_, _>>()
        });
        assert!(first.len() >= 5 * 6, "six streams of five epochs: {:?}", first.keys());
        assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
        let different: Vec<&String> = first.keys().filter(|file| first[*file] != second[*file]).collect();
        assert_eq!(different, [""; 0]);
    }
}

#[test]
fn another_seed_gives_another_trace() {
    let bench = Bench::new(160);
    let words = |seed| ["model.name=lenet5", "train.epochs=3", "mask.sparsity=0.5", seed];
    let [(_, first), (_, second)] = ["seed=1", "seed=2"].map(|seed| bench.train(seed, &words(seed)));
    assert_ne!(first.rows::<SieveRow>(), second.rows::<SieveRow>(), "who starts outside");
    assert_ne!(first.rows::<MaskRow>(), second.rows::<MaskRow>(), "the initial masks");
    assert_ne!(first.epoch::<GradientRow>(0)[0], second.epoch::<GradientRow>(0)[0], "the initial weights");
}
