//! A run that was interrupted and resumed equals one that was not, bit for bit.

use super::*;

use spfde::Record;
use spfde_data::files::manifest::Manifest;
use spfde_data::rows::{EpochRow, FreezeRow, MaskRow, SieveRow};
use spfde_policy::Registry;

/// Small and full of decisions: masks with a soft part, freezing, circulation.
const WORDS: [&str; 9] = [
    "model.name=lenet5",
    "data.augment=crop-flip",
    "mask.sparsity=0.7",
    "mask.interval=1",
    "sieve.fraction=0.3",
    "sieve.interval=2",
    "freeze.flops_reduction=0.1",
    "freeze.interval=1",
    "train.epochs=8",
];
const EPOCHS: u32 = 8;

#[test]
fn a_run_that_is_interrupted_in_every_epoch_equals_one_that_is_not() {
    let bench = Bench::new(160);
    let experiment = bench.experiment(&WORDS);
    let whole = bench.record("whole", &experiment, 2);
    let decided = |epochs: Vec<u32>| epochs.iter().any(|epoch| (2..EPOCHS - 1).contains(epoch));
    assert!(decided(whole.rows::<MaskRow>().iter().map(|row| row.epoch).collect()));
    assert!(decided(whole.rows::<FreezeRow>().iter().map(|row| row.epoch).collect()));
    assert!(decided(whole.rows::<SieveRow>().iter().map(|row| row.epoch).collect()));

    // Interrupted again and again, each time on another number of workers.
    let path = bench.path("often");
    begin(&experiment, &path, until(0, 1, 1));
    for (epoch, workers) in (1..EPOCHS).zip([2, 4, 1].into_iter().cycle()) {
        let run = unfinished(&bench, &path);
        assert!(run.epoch() < epoch + 1 && run.epoch() + 1 >= epoch, "{epoch}: goes on at {}", run.epoch());
        let error = run.run(until(epoch, 1, workers), spfde::wire).unwrap_err();
        assert_eq!(error.exit_code(), 130, "{error}");
        let run = Recorded::open(&path);
        run.assert_sound(run.manifest.epochs_reached);
        assert_eq!(run.manifest.last_checkpoint(), Some(run.manifest.epochs_reached).filter(|e| *e > 0));
    }
    assert_equal(&finish(&bench, &path, 4), &whole, "interrupted in every epoch");
}

#[test]
fn a_run_goes_on_from_every_epoch_on_another_number_of_workers() {
    let bench = Bench::new(120);
    let experiment = bench.experiment(&WORDS);
    let whole = bench.record("whole", &experiment, 1);
    for (epoch, workers) in (1..EPOCHS).zip([[1, 2], [2, 1], [4, 1], [1, 4], [2, 2], [3, 5], [1, 1]]) {
        let path = bench.path(&epoch.to_string());
        begin(&experiment, &path, until(epoch, 0, workers[0]));
        let run = finish(&bench, &path, workers[1]);
        assert_equal(&run, &whole, &format!("interrupted in epoch {epoch}, {workers:?} workers"));
    }
}

#[test]
fn a_run_with_adamw_goes_on_as_if_nothing_had_been() {
    let bench = Bench::new(120);
    let words = ["train.optimizer=adamw", "train.schedule=linear", "train.label_smoothing=0.1"];
    let experiment = bench.experiment(&[&WORDS[..], &words].concat());
    let whole = bench.record("whole", &experiment, 1);
    for (epoch, workers) in [(2, [1, 4]), (5, [2, 1])] {
        let path = bench.path(&epoch.to_string());
        begin(&experiment, &path, until(epoch, 0, workers[0]));
        let run = finish(&bench, &path, workers[1]);
        assert_equal(&run, &whole, &format!("interrupted in epoch {epoch}, {workers:?} workers"));
    }
}

#[test]
fn a_network_in_toml_goes_on_as_if_nothing_had_been() {
    let bench = Bench::new(120);
    let words: Vec<&str> = WORDS[1..].iter().chain(&crate::support::DESCRIBED).copied().collect();
    let experiment = bench.experiment(&words);
    let whole = bench.record("whole", &experiment, 1);
    let path = bench.path("cut");
    begin(&experiment, &path, until(3, 1, 2));
    assert_equal(&finish(&bench, &path, 4), &whole, "interrupted in epoch 3");
}

#[test]
fn every_registered_policy_goes_on_as_if_nothing_had_been() {
    let bench = Bench::new(60);
    let mut cases: Vec<[String; 3]> = Vec::new();
    let words = |mask: &str, freeze: &str, sieve: &str| {
        [format!("mask.policy={mask}"), format!("freeze.policy={freeze}"), format!("sieve.policy={sieve}")]
    };
    let Registry { mask, freeze, sieve } = Registry::default();
    cases.extend(freeze.entries.iter().map(|freeze| words("mest-ems", freeze.name, "circular")));
    for freeze in ["none", "progressive", "gradient-norm"] {
        cases.extend(sieve.entries.iter().map(|sieve| words("mest-ems", freeze, sieve.name)));
        cases.extend(mask.entries.iter().map(|mask| words(mask.name, freeze, "circular")));
    }
    cases.sort();
    cases.dedup();
    let known = |words: &[String; 3], key: &str| {
        let families = spfde::registry::Registry::standard().families();
        families.iter().any(|family| {
            family.members.iter().any(|member| {
                words.contains(&format!("{}={}", family.choice.key, member.name)) && member.knows(key)
            })
        })
    };
    for (case, policies) in cases.iter().enumerate() {
        // What lets each policy decide within a few epochs.
        let eager = [
            ("mask.interval", "1"),
            ("freeze.patience", "1"),
            ("freeze.threshold", "1"),
            ("freeze.similarity", "0"),
            ("freeze.tolerance", "1"),
            ("freeze.window", "1"),
            ("sieve.fraction", "0.3"),
            ("freeze.interval", "1"),
            ("mask.sparsity", "0.6"),
            // In every other case the classes are cut one by one.
            ("sieve.stratify", if case % 4 < 2 { "true" } else { "false" }),
        ];
        let eager = eager.iter().filter(|(key, _)| known(policies, key));
        let eager: Vec<String> = eager.map(|(key, value)| format!("{key}={value}")).collect();
        let words = ["model.name=lenet5", "train.epochs=4"].into_iter();
        let words: Vec<&str> = words
            .chain(policies.iter().map(String::as_str))
            .chain(eager.iter().map(String::as_str))
            .collect();
        let experiment = bench.experiment(&words);
        let whole = bench.record(&format!("whole-{case}"), &experiment, 1);
        let path = bench.path(&format!("cut-{case}"));
        // Within a window of the sieve, and as its decision is on its way.
        begin(&experiment, &path, until(1 + case as u32 % 2, 0, 1));
        assert_equal(&finish(&bench, &path, 2), &whole, &words.join(" "));
    }
}

#[test]
fn masks_that_change_after_steps_go_on_as_if_nothing_had_been() {
    let bench = Bench::new(90);
    for name in ["set", "snfs", "gse"] {
        let policy = format!("mask.policy={name}");
        let words =
            ["model.name=lenet5", "train.epochs=4", "mask.interval_steps=2", "data.batch_size=12", &policy];
        let experiment = bench.experiment(&words);
        let whole = bench.record(&format!("whole-{name}"), &experiment, 1);
        let path = bench.path(&format!("cut-{name}"));
        begin(&experiment, &path, until(2, 3, 2));
        assert_equal(&finish(&bench, &path, 1), &whole, &policy);
    }
}

#[test]
fn epochs_after_the_last_checkpoint_are_trained_again() {
    let bench = Bench::new(120);
    let words = [&WORDS[..], &["train.checkpoint_every=3"]].concat();
    let experiment = bench.experiment(&words);
    let whole = bench.record("whole", &experiment, 2);
    assert_eq!(whole.manifest.checkpoint_epochs().into_iter().collect::<Vec<_>>(), [EPOCHS]);
    for (epoch, start) in [(2, 0), (5, 3), (7, 6)] {
        let path = bench.path(&epoch.to_string());
        begin(&experiment, &path, until(epoch, 1, 2));
        assert!(Recorded::open(&path).manifest.epochs_reached >= epoch);
        let run = unfinished(&bench, &path);
        assert_eq!(run.epoch(), start);
        assert_eq!(Recorded::open(&path).manifest.epochs_reached, start, "what comes after is dropped");
        run.run(Options { workers: 1, ..Options::default() }, spfde::wire).unwrap();
        assert_equal(&Recorded::open(&path), &whole, &format!("interrupted in epoch {epoch}"));
    }
}

#[test]
fn without_checkpoints_a_run_begins_again_and_keeps_the_weights_at_its_end() {
    let bench = Bench::new(100);
    let words = ["model.name=lenet5", "train.epochs=4", "mask.sparsity=0.5", "train.checkpoint_every=0"];
    let experiment = bench.experiment(&words);
    let whole = bench.record("whole", &experiment, 1);
    assert_eq!(whole.manifest.checkpoints.len(), 1);
    let path = bench.path("cut");
    begin(&experiment, &path, until(2, 0, 2));
    assert_eq!(unfinished(&bench, &path).epoch(), 0);
    assert_equal(&finish(&bench, &path, 2), &whole, "from the beginning");
}

#[test]
fn observed_samples_and_layers_are_the_same_after_a_stop() {
    let bench = Bench::new(100);
    let words = [&WORDS[..], &["trace.observe=full", "train.epochs=6"]].concat();
    let experiment = bench.experiment(&words);
    let whole = bench.record("whole", &experiment, 2);
    for epoch in [1, 3, 4] {
        let path = bench.path(&epoch.to_string());
        begin(&experiment, &path, until(epoch, 1, 2));
        assert_equal(&finish(&bench, &path, 1), &whole, &format!("interrupted in epoch {epoch}"));
    }
}

#[test]
fn on_as_many_workers_the_files_have_the_same_bytes() {
    let bench = Bench::new(120);
    let experiment = bench.experiment(&WORDS);
    let whole = bench.record("whole", &experiment, 2);
    let path = bench.path("cut");
    begin(&experiment, &path, until(4, 1, 2));
    let run = finish(&bench, &path, 2);
    let hashes = |run: &Recorded| -> Vec<(String, String)> {
        let segments =
            run.manifest.segments.iter().filter(|segment| !["epochs", "timings"].contains(&&*segment.stream));
        segments.map(|segment| (segment.path.clone(), segment.blake3.clone())).collect()
    };
    assert_eq!(hashes(&run), hashes(&whole));
    // These have a clock.
    let costs = |run: &Recorded| -> Vec<EpochRow> {
        run.rows::<EpochRow>().into_iter().map(|row| EpochRow { seconds: None, ..row }).collect()
    };
    assert_eq!(costs(&run), costs(&whole));
}

#[test]
fn a_run_whose_configuration_has_the_keys_of_then_goes_on() {
    let bench = Bench::new(60);
    let words = ["model.name=lenet5", "train.epochs=6", "mask.policy=mest-em", "mask.exchange=0.5"];
    let experiment = bench.experiment(&[&words[..], &["mask.sparsity=0.5", "mask.interval=1"]].concat());
    let whole = bench.record("whole", &experiment, 2);
    let path = bench.path("then");
    begin(&experiment, &path, until(2, 0, 2));
    // `mask.exchange` had another name, and these two were not there.
    let config = path.join("config.toml");
    let now = std::fs::read_to_string(&config).unwrap();
    let lines = now.lines().filter(|line| !line.starts_with("warmup") && !line.starts_with("clip"));
    let then: String = lines.map(|line| line.replace("exchange = ", "soft = ") + "\n").collect();
    assert!(then.contains("\nsoft = 0.5\n") && then.lines().count() + 2 == now.lines().count(), "{then}");
    let mut manifest = Manifest::read(&path).unwrap();
    manifest.configuration = Some(blake3::hash(then.as_bytes()).to_hex().to_string());
    manifest.write(&path).unwrap();
    std::fs::write(&config, then).unwrap();
    assert_equal(&finish(&bench, &path, 2), &whole, "the keys of then");
    let replayed = Record::open(&path).unwrap().experiment(&[]).unwrap();
    assert_eq!(replayed.configuration().values().number("mask.exchange"), 0.5);
}
