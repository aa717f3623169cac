//! Outputs of the frozen prefix that are kept: what is computed less, and that nothing else changes.

use std::collections::BTreeMap;

use spfde::Experiment;
use spfde::replay::Record;
use spfde_data::files::Manifest;
use spfde_data::rows::{EpochRow, LayerRow, ScoreRow};
use spfde_data::{Purpose, draw};
use spfde_policy::freeze::{Change, FreezeContext, FreezeRule, Judged};

use crate::resuming::{assert_equal, begin, finish, until};
use crate::support::{Bench, DESCRIBED, Recorded, assert_same, transcript};

/// Blocks that freeze one after the other, masks that change behind them, samples that come and go.
const EVERYTHING: [&str; 9] = [
    "model.name=resnet20",
    "train.epochs=8",
    "mask.policy=mest-ems",
    "mask.interval=1",
    "freeze.interval=1",
    "freeze.flops_reduction=0.25",
    "sieve.policy=circular",
    "sieve.fraction=0.3",
    "sieve.interval=2",
];

fn cached(run: &Recorded) -> Vec<u64> {
    run.rows::<EpochRow>().iter().map(|row| row.cached_flops.unwrap()).collect()
}

fn forward(run: &Recorded) -> Vec<u64> {
    run.rows::<EpochRow>().iter().map(|row| row.forward_flops).collect()
}

/// Asserts that a run has the same trace and weights as `whole`, which kept nothing.
fn assert_as_without(whole: &Recorded, run: &Recorded, what: &str) {
    assert_same(&transcript(whole), &transcript(run), what);
    assert!(whole.final_weights() == run.final_weights(), "{what}: the final weights differ");
    run.assert_sound(whole.manifest.epochs);
    assert!(!run.path.join("cache").exists(), "{what}: the cache is gone");
    assert!(cached(run).iter().zip(forward(run)).all(|(cached, forward)| *cached <= forward), "{what}");
}

#[test]
fn whatever_keeps_the_prefix_all_bits_are_those_of_none_on_1_2_and_4_workers() {
    let bench = Bench::new(120);
    for storage in ["train.storage=f32", "train.storage=bf16"] {
        let words = [&EVERYTHING[..], &[storage]].concat();
        let whole = bench.record(storage, &bench.experiment(&words), 2);
        assert!(cached(&whole).iter().all(|flops| *flops == 0));
        for (cache, workers) in [("memory", 1), ("disk", 2), ("memory", 4)] {
            let word = format!("freeze.cache={cache}");
            let experiment = bench.experiment(&[&words[..], &[&word]].concat());
            let what = format!("{cache} on {workers} workers, {storage}");
            let run = bench.record(&what, &experiment, workers);
            assert_as_without(&whole, &run, &what);
            assert!(cached(&run).iter().sum::<u64>() > 0, "{what}");
        }
    }
}

#[test]
fn a_network_with_dropout_and_concatenation_is_kept_as_far_as_it_is_constant() {
    let bench = Bench::new(90);
    let words: Vec<&str> = EVERYTHING[1..].iter().chain(&DESCRIBED).copied().collect();
    let whole = bench.record("off", &bench.experiment(&words), 1);
    let experiment = bench.experiment(&[&words[..], &["freeze.cache=memory"]].concat());
    let run = bench.record("memory", &experiment, 3);
    assert_as_without(&whole, &run, "a described network");
    assert!(cached(&run).iter().sum::<u64>() > 0);
}

/// The blocks that are frozen in an epoch have given their layers these FLOPs for a sample.
fn prefix_flops(run: &Recorded, experiment: &Experiment, epoch: u32, blocks: usize) -> u64 {
    let layers = &experiment.plan().architecture.layers;
    let of_epoch = run.epoch::<LayerRow>(epoch).into_iter().zip(layers);
    let prefix = of_epoch.filter(|(_, layer)| layer.block < blocks);
    prefix.map(|(row, layer)| 2 * u64::from(row.nonzero) * layer.positions).sum()
}

#[test]
fn each_sample_passes_each_frozen_block_once() {
    let bench = Bench::new(60);
    let words = [
        "model.name=resnet20",
        "train.epochs=8",
        "mask.policy=static",
        "freeze.interval=1",
        "freeze.flops_reduction=0.25",
        "sieve.policy=none",
        "freeze.cache=memory",
    ];
    let experiment = bench.experiment(&words);
    let run = bench.record("run", &experiment, 2);
    let plan = experiment.plan();
    let cached = cached(&run);
    let mut moved = 0;
    for epoch in 0..plan.epochs {
        let before = epoch.checked_sub(1).map_or(0, |before| plan.frozen_blocks(before));
        let now = plan.frozen_blocks(epoch);
        // What was frozen before has been computed; of a block that has just frozen each sample is new.
        let expected = 60 * prefix_flops(&run, &experiment, epoch, before.min(now));
        assert_eq!(cached[epoch as usize], expected, "epoch {epoch}: {before}, then {now} frozen");
        moved += u32::from(before > 0 && now > before);
    }
    assert!(moved > 1 && cached[7] > 0, "{moved}: {cached:?}");
}

#[test]
fn a_cache_without_room_for_all_keeps_what_it_has_room_for() {
    let bench = Bench::new(120);
    let words = [&EVERYTHING[..], &["sieve.policy=none", "freeze.cache=memory"]].concat();
    let whole = bench.record("whole", &bench.experiment(&words), 2);
    let few = bench.experiment(&[&words[..], &["freeze.cache_bytes=150000"]].concat());
    let few = bench.record("few", &few, 2);
    assert_as_without(&whole, &few, "little room");
    let none = bench.experiment(&[&words[..], &["freeze.cache_bytes=1"]].concat());
    let none = bench.record("none", &none, 2);
    assert_as_without(&whole, &none, "no room");
    let sums = [&whole, &few, &none].map(|run| cached(run).iter().sum::<u64>());
    assert!(sums[0] > sums[1] && sums[1] > 0 && sums[2] == 0, "{sums:?}");
}

#[test]
fn a_run_that_goes_on_fills_its_cache_anew_and_is_the_same() {
    let bench = Bench::new(90);
    for cache in ["memory", "disk"] {
        let word = format!("freeze.cache={cache}");
        let experiment = bench.experiment(&[&EVERYTHING[..], &[&word, "data.augment=crop-flip"]].concat());
        let whole = bench.record(cache, &experiment, 1);
        for (epoch, workers) in [(4, [1, 2]), (5, [2, 4])] {
            let path = bench.path(&format!("{cache}-{epoch}"));
            begin(&experiment, &path, until(epoch, 1, workers[0]));
            assert!(!path.join("cache").exists(), "it is gone with the process, or with its work");
            let run = finish(&bench, &path, workers[1]);
            assert_equal(&run, &whole, &format!("{cache}, interrupted in epoch {epoch}"));
            assert!(cached(&run)[7] > 0);
        }
    }
}

spfde_data::parameters! {
    /// Freezes, thaws and freezes again.
    struct Wavers in "freeze" {}
}

impl FreezeRule for Wavers {
    const NAME: &'static str = "wavers";
    const SUMMARY: &'static str = "blocks freeze, thaw and freeze again";
    type State = ();

    fn decide(&self, _: &FreezeContext, _: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
        let change = |block, frozen| Change { block, frozen, reason: "to see what is kept".to_owned() };
        match epoch {
            1 => vec![change(0, true), change(1, true)],
            3 => vec![change(1, false)],
            5 => vec![change(1, true), change(2, true)],
            7 => vec![change(0, false), change(1, false), change(2, false)],
            8 => vec![change(0, true)],
            _ => Vec::new(),
        }
    }
}

#[test]
fn what_was_kept_of_blocks_that_train_again_is_never_used() {
    let bench = Bench::new(60);
    let words = ["model.name=resnet20", "train.epochs=10", "mask.interval=1", "freeze.policy=none"];
    let words = [&words[..], &["sieve.policy=none"]].concat();
    let run = |cache: &str, workers: usize| {
        let word = format!("freeze.cache={cache}");
        let experiment = bench.experiment(&[&words[..], &[&word]].concat()).with_freeze(Wavers {}).unwrap();
        (bench.record(&format!("{cache} {workers}"), &experiment, workers), experiment)
    };
    let (whole, _) = run("off", 1);
    for (cache, workers) in [("memory", 1), ("disk", 2), ("memory", 4)] {
        let (run, experiment) = run(cache, workers);
        assert_as_without(&whole, &run, cache);
        // Two blocks, then one of them after a thaw (kept for two is of no use), then three, then one anew.
        let of = |epoch: u32, blocks: usize| 60 * prefix_flops(&run, &experiment, epoch, blocks);
        let expected = [0, 0, of(2, 2), 0, of(4, 1), of(5, 1), of(6, 3), 0, 0, of(9, 1)];
        assert_eq!(cached(&run), expected, "{cache}");
    }
}

/// Which variant of a sample an epoch shows, as the guide says.
fn variant(epoch: u32, sample: u32, variants: u32) -> u64 {
    draw(0, Purpose::Variant, u64::from(epoch), u64::from(sample)) % u64::from(variants)
}

#[test]
fn of_augmented_samples_a_few_variants_are_kept_from_the_freezing_on() {
    let bench = Bench::new(60);
    let words = [
        "model.name=resnet20",
        "train.epochs=10",
        "mask.policy=static",
        "freeze.policy=none",
        "sieve.policy=none",
        "data.augment=crop-flip+cutout",
        "freeze.cache_variants=3",
    ];
    let run = |cache: &str, workers: usize| {
        let word = format!("freeze.cache={cache}");
        let experiment = bench.experiment(&[&words[..], &[&word]].concat()).with_freeze(Wavers {}).unwrap();
        (bench.record(&format!("{cache} {workers}"), &experiment, workers), experiment)
    };
    let (off, _) = run("off", 2);
    let (whole, experiment) = run("memory", 1);
    for (cache, workers) in [("disk", 2), ("memory", 4)] {
        let (run, _) = run(cache, workers);
        assert_same(&transcript(&whole), &transcript(&run), cache);
        assert!(whole.final_weights() == run.final_weights());
        assert_eq!(cached(&whole), cached(&run));
    }
    // Nothing has changed before the first block froze; then other variants were shown.
    let losses = |run: &Recorded, epoch: u32| -> Vec<u32> {
        run.epoch::<ScoreRow>(epoch).iter().map(|row| row.loss.to_bits()).collect()
    };
    assert_eq!(losses(&off, 0), losses(&whole, 0));
    assert_ne!(losses(&off, 1), losses(&whole, 1));
    let frozen = |epoch: u32| match epoch {
        1..3 => 2,
        3..5 => 1,
        5 | 6 => 3,
        0 | 7 => 0,
        _ => 1,
    };
    // What has been shown is kept, up to the blocks that were frozen then, until one of them trains again.
    let mut kept = BTreeMap::<(u32, u64), usize>::new();
    let mut again = 0;
    for epoch in 1..10 {
        let blocks = frozen(epoch);
        kept.retain(|_, of| *of <= blocks);
        let of = |sample: u32| match blocks {
            0 => 0,
            _ => kept.insert((sample, variant(epoch, sample, 3)), blocks).unwrap_or(0),
        };
        let of: Vec<usize> = (0..60).map(of).collect();
        again += of.iter().filter(|blocks| **blocks > 0).count();
        let flops = of.iter().map(|blocks| prefix_flops(&whole, &experiment, epoch, *blocks));
        assert_eq!(cached(&whole)[epoch as usize], flops.sum::<u64>(), "epoch {epoch}");
    }
    assert!(again > 60, "{again}");
}

#[test]
fn entries_in_f16_train_nearly_alike() {
    let bench = Bench::new(120);
    let words = [
        &EVERYTHING[..],
        &[
            "train.epochs=6",
            "freeze.flops_reduction=0.05",
            "freeze.fraction=0.34",
            "freeze.start=1",
            "freeze.cache_variants=1",
            "train.storage=f32",
        ],
    ]
    .concat();
    let whole = bench.record("off", &bench.experiment(&words), 2);
    let half = ["freeze.cache=memory", "freeze.cache_storage=f16"];
    let half = bench.record("f16", &bench.experiment(&[&words[..], &half].concat()), 2);
    half.assert_sound(6);
    assert!(cached(&half).iter().sum::<u64>() > 0);
    let loss = |run: &Recorded| run.rows::<EpochRow>()[5].train_loss.unwrap();
    let (exact, rounded) = (loss(&whole), loss(&half));
    assert!(exact != rounded && (exact - rounded).abs() < 0.05 * exact, "{exact} and {rounded}");
}

#[test]
fn a_cache_of_what_is_computed_anyway_is_a_contradiction() {
    let bench = Bench::new(60);
    let refused = bench.configure(&["freeze.cache=memory", "trace.observe=full"]).err().unwrap();
    assert_eq!(refused.exit_code(), 2);
    let message = refused.to_string();
    assert!(message.starts_with("`freeze.cache`") && message.contains("trace.observe"), "{message}");
    assert!(bench.configure(&["freeze.cache=off", "trace.observe=full"]).is_ok());
}

#[test]
fn a_run_that_resumes_from_before_there_were_caches_has_none() {
    let bench = Bench::new(60);
    let experiment = bench.experiment(&["model.name=lenet5", "train.epochs=6", "freeze.interval=1"]);
    let whole = bench.record("whole", &experiment, 2);
    let path = bench.path("then");
    begin(&experiment, &path, until(2, 0, 1));
    let now = std::fs::read_to_string(path.join("config.toml")).unwrap();
    let (front, rest) = now.split_once("[freeze]").unwrap();
    let rest = rest.lines().filter(|line| !line.starts_with("cache")).collect::<Vec<&str>>().join("\n");
    let then = format!("{front}[freeze]{rest}\n");
    assert!(then.lines().count() + 4 == now.lines().count(), "{then}");
    let mut manifest = Manifest::read(&path).unwrap();
    manifest.configuration = Some(blake3::hash(then.as_bytes()).to_hex().to_string());
    manifest.write(&path).unwrap();
    std::fs::write(path.join("config.toml"), then).unwrap();
    let run = finish(&bench, &path, 2);
    assert_equal(&run, &whole, "from before there were caches");
    assert!(cached(&run).iter().all(|flops| *flops == 0));
    let replayed = Record::open(&path).unwrap().experiment(&[]).unwrap();
    assert_eq!(replayed.configuration().values().text("freeze.cache"), "off");
}
