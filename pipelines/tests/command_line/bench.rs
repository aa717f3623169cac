//! `spfde bench`: what it prints holds together; nothing is written; nothing of it depends on how fast this
//! machine is.

use serde_json::Value;
use spfde::bench::{Bench, Options};
use spfde::configuration::Source;

use crate::place::Place;

/// A model and images so small that a step takes milliseconds.
const SMALL: [&str; 4] = ["model.name=resnet20", "data.shape=1x8x8", "data.batch_size=20", "--steps=2"];

fn json(words: &[&str]) -> Value {
    let place = Place::new();
    let outcome = place.run(&[&["bench", "--json"], &SMALL[..], words].concat()).done();
    assert_eq!(place.names(), [""; 0], "nothing is written");
    assert_eq!((outcome.out.lines().count(), outcome.err.as_str()), (1, ""), "{outcome:?}");
    serde_json::from_str(&outcome.out).unwrap()
}

fn number(of: &Value, key: &str) -> f64 {
    of[key].as_f64().unwrap_or_else(|| panic!("{key} in {of}"))
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found}, not {expected}");
}

/// What holds of the timed steps of a path.
fn check_path(path: &Value, steps: f64) {
    near(number(path, "images_per_second"), 20.0 / number(path, "seconds_per_step"));
    near(number(path, "gflops"), number(path, "flops_per_step") / number(path, "seconds_per_step") / 1e9);
    let ascending = ["_min", "_lower_quartile", "", "_upper_quartile"]
        .map(|suffix| number(path, &format!("seconds_per_step{suffix}")));
    assert!(ascending[0] > 0.0 && ascending.is_sorted(), "{ascending:?}");
    assert_eq!(number(path, "steps"), steps);
}

/// FLOPs of a step, counted from the layers that were printed: shapes by hand, 8×8, 4×4 and 2×2 positions.
fn counted(report: &Value, frozen_blocks: usize, density: impl Fn(&Value) -> f64) -> f64 {
    let layers = report["layers"].as_array().unwrap();
    let flops = layers.iter().map(|layer| {
        let name = layer["name"].as_str().unwrap();
        let block = name.strip_prefix("block").map(|rest| rest[..1].parse::<usize>().unwrap());
        let positions = match block {
            Some(0..3) => 64.0,
            Some(3..6) => 16.0,
            Some(_) => 4.0,
            None if name == "stem" => 64.0,
            None => 1.0,
        };
        let reads_prefix = match frozen_blocks {
            0 => name == "stem",
            first => block == Some(first) && !name.ends_with("convolution2"),
        };
        let frozen =
            frozen_blocks > 0 && (name == "stem" || block.is_some_and(|block| block < frozen_blocks));
        let passes = if frozen {
            1.0
        } else if reads_prefix {
            2.0
        } else {
            3.0
        };
        passes * 2.0 * density(layer) * positions * 20.0
    });
    flops.sum()
}

#[test]
fn the_json_is_one_object_whose_numbers_hold_together() {
    for (frozen, workers) in [(0, "1"), (4, "2")] {
        let report = json(&["--workers", workers, "--frozen", &frozen.to_string(), "mask.sparsity=0.8"]);
        check_path(&report, 2.0);
        check_path(&report["dense"], 2.0);
        near(
            number(&report, "times_faster_than_dense"),
            number(&report["dense"], "seconds_per_step") / number(&report, "seconds_per_step"),
        );
        assert_eq!(
            (report["mask"].as_str(), report["dense"]["mask"].as_str()),
            (Some("static"), Some("dense"))
        );
        assert_eq!(report["workers"].to_string(), workers);
        assert_eq!((number(&report, "blocks"), number(&report, "frozen_blocks")), (9.0, f64::from(frozen)));
        for (path, weights) in [(&report, "nonzero"), (&report["dense"], "weights")] {
            let flops = counted(&report, frozen as usize, |layer| number(layer, weights));
            assert_eq!(number(path, "flops_per_step"), flops, "{weights}");
        }
        let shares = ["dataflow_share", "imbalance_share"].map(|key| number(&report, key));
        assert!(shares.iter().all(|share| *share < 1.0), "{shares:?}");
        for stage in ["gradients", "reduce", "update"] {
            assert!(number(&report["stages"], stage) > 0.0, "{stage}");
        }
        assert_eq!(report["peak_rss_bytes"].is_u64(), cfg!(target_os = "linux"));
        assert_eq!(report["configuration"]["data.shape"], "1x8x8");
    }
}

#[test]
fn a_cache_of_the_frozen_prefix_is_filled_before_steps_are_timed() {
    let cache = ["--frozen", "4", "--workers", "2", "--no-dense", "freeze.cache=memory"];
    let report = json(&cache);
    check_path(&report, 2.0);
    assert_eq!(number(&report, "flops_per_step"), counted(&report, 4, |layer| number(layer, "nonzero")));
    assert_eq!(report["configuration"]["freeze.cache"], "memory");
}

#[test]
fn between_the_epochs_of_a_bench_with_a_cache_nothing_changes_or_a_note_says_so() {
    let bench = |words: &[&str]| {
        let words = [&SMALL[..3], &["freeze.cache=memory", "data.augment=crop-flip"], words].concat();
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let given = Source::from_words(&words).unwrap().entries().to_vec();
        let registry = spfde::registry::Registry::standard();
        Bench::new(Options { registry, given, frozen: 4, steps: Some(2), dense: false }).unwrap()
    };
    let every_epoch = ["mask.policy=mest-ems", "mask.interval=1", "sieve.policy=random", "sieve.interval=1"];
    let kept = bench(&every_epoch);
    let settings = kept.settings();
    assert_eq!((settings.epochs, settings.kept_of_prefix().variants), (2, 1));
    assert!(!settings.policies.sieve.decides(1) && settings.plan.nonzero(0) == settings.plan.nonzero(1));
    assert_eq!(kept.notes(), [""; 0]);
    let changing = bench(&["sieve.policy=random", "sieve.warmup=1", "freeze.cache_variants=3"]);
    let starts = ["`freeze.cache_variants` has no effect on a bench: ", "the active set changes between "];
    assert_eq!(changing.notes().len(), 2, "{:?}", changing.notes());
    assert!(changing.notes().iter().zip(starts).all(|(note, start)| note.starts_with(start)));
}

#[test]
fn the_layers_are_those_of_the_model_and_frozen_ones_have_no_backward_pass() {
    let report = json(&["--frozen", "4", "--workers", "1", "--no-dense"]);
    assert!(report["dense"].is_null() && report["times_faster_than_dense"].is_null());
    let words = ["model.name=resnet20", "data.shape=1x8x8"].map(str::to_owned);
    let given = Source::from_words(&words).unwrap().entries().to_vec();
    let bench = Bench::new(Options {
        registry: spfde::registry::Registry::standard(),
        given,
        frozen: 4,
        steps: Some(2),
        dense: false,
    })
    .unwrap();
    let architecture = &bench.settings().plan.architecture;
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), architecture.layers.len());
    for (printed, layer) in layers.iter().zip(&architecture.layers) {
        assert_eq!(printed["name"], layer.name.as_str());
        assert_eq!(number(printed, "weights"), layer.weights() as f64);
        near(number(printed, "density"), number(printed, "nonzero") / layer.weights() as f64);
        let dense = ["stem", "classifier"].contains(&layer.name.as_str());
        assert!((number(printed, "density") - if dense { 1.0 } else { 0.1 }).abs() < 0.01, "{printed}");
        assert_eq!(printed["frozen"].as_bool(), Some(layer.block < 4));
        assert!(number(printed, "forward_seconds") > 0.0, "{printed}");
        assert_eq!(number(printed, "backward_seconds") == 0.0, layer.block < 4, "{printed}");
    }
    let sum = |key: &str| layers.iter().map(|layer| number(layer, key)).sum::<f64>();
    assert_eq!([sum("weights"), sum("nonzero")], ["weights", "nonzero"].map(|key| number(&report, key)));
}

#[test]
fn a_model_that_is_dense_has_no_dense_path_beside_it() {
    let report = json(&["mask.policy=dense"]);
    check_path(&report, 2.0);
    assert!(report["dense"].is_null());
    assert_eq!(number(&report, "nonzero"), number(&report, "weights"));
}

#[test]
fn a_floor_has_next_to_no_weights_and_half_the_bytes_are_carried_in_half_the_storage() {
    let [single, half] = ["f32", "bf16"].map(|storage| json(&[&format!("train.storage={storage}")]));
    near(number(&single, "bytes_per_step"), 2.0 * number(&half, "bytes_per_step"));
    for report in [single, half] {
        check_path(&report["floor"], 2.0);
        assert!(number(&report["floor"], "flops_per_step") < number(&report, "flops_per_step") / 4.0);
        let rate = number(&report, "bytes_per_step") / number(&report, "seconds_per_step");
        near(number(&report, "bytes_per_second"), rate);
        assert!(number(&report, "machine_bytes_per_second") > 0.0);
    }
}

#[test]
fn as_many_steps_are_timed_as_were_asked_for() {
    for steps in ["1", "3"] {
        let words = [&["bench", "--json"], &SMALL[..3], &["--steps", steps]].concat();
        let report: Value = serde_json::from_str(&Place::new().run(&words).done().out).unwrap();
        for path in [&report, &report["dense"]] {
            check_path(path, steps.parse().unwrap());
        }
    }
}

#[test]
fn every_batch_is_full_and_masks_have_their_target_density_whatever_the_policies() {
    let words = ["mask.policy=mest-ems", "sieve.policy=circular", "sieve.fraction=0.37", "mask.sparsity=0.8"];
    let report = json(&words);
    check_path(&report, 2.0);
    let density = |layer: &Value| number(layer, "nonzero");
    assert_eq!(number(&report, "flops_per_step"), counted(&report, 0, density));
    let layers = report["layers"].as_array().unwrap();
    assert!(layers.iter().filter(|layer| (number(layer, "density") - 0.2).abs() < 0.01).count() >= 19);
}

#[test]
fn the_table_names_paths_layers_and_what_has_no_effect() {
    let place = Place::new();
    let words =
        ["train.epochs=3", "freeze.policy=progressive", "data.path=nowhere", "--workers=1", "--frozen=9"];
    let outcome = place.run(&[&["bench"], &SMALL[..], &words].concat()).done();
    for part in
        ["static ", "dense ", "block8.convolution2", "frozen", "times as fast as dense", "input", "update"]
    {
        assert!(outcome.out.contains(part), "{part} in {}", outcome.out);
    }
    let notes: Vec<&str> = outcome.err.lines().collect();
    for (note, key) in notes.iter().zip(["freeze.policy", "train.epochs", "data.path"]) {
        assert!(note.starts_with(&format!("note: `{key}` ")), "{note}");
    }
    assert_eq!((notes.len(), place.names().len()), (3, 0), "{}", outcome.err);
}

#[test]
fn what_does_not_fit_is_refused_before_any_work() {
    let place = Place::new();
    let cases = [
        (&["data.shape=3x32"][..], "`data.shape` = \"3x32\" is out of range: CHANNELSxROWSxCOLUMNS", ""),
        (&["data.shape=0x32x32"], "`data.shape` = \"0x32x32\" is out of range: ", "each from 1 to 4096"),
        (&["data.shape=784"], "`data.shape` = 784 is out of range: ", ""),
        (&["data.shap=1x8x8"], "unknown key `data.shap`; did you mean `data.shape`?", ""),
        (&["data.shape=4096x4096x4096"], "`model.name`: `resnet20` cannot be built for images of ", ""),
        (&["data.shape=16x1024x1024"], "`data.shape`: 128 random images of 16x1024x1024 would take ", ""),
        (&["model.name=lenet5", "data.shape=1x2x2"], "`model.name`: `lenet5` needs images of at least ", ""),
        (&["--frozen", "10"], "`--frozen`: 10 blocks cannot be frozen, the model has 9 ", ""),
        (&["mask.sparsity=0.99999"], "`mask.sparsity`: ", ""),
        (&["train.epochs=0"], "`train.epochs` = 0 is out of range: ", ""),
        (&["freeze.policy=progresive"], "`freeze.policy` = \"progresive\" is not one of", "`progressive`?"),
    ];
    for (words, start, end) in cases {
        place.run(&[&["bench"], words].concat()).refused(2, start, end);
    }
    for words in [["bench", "--steps=0"], ["bench", "--workers=0"], ["bench", "--frozen=-1"]] {
        assert_eq!(place.run(&words).code, Some(2), "{words:?}");
    }
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn other_commands_do_not_use_the_shape_and_say_so() {
    let place = Place::with_data();
    let words = ["train", "--dry-run", "data.path=data", "model.name=mlp"];
    let outcome = place.run(&[&words[..], &["data.shape=3x32x32"]].concat()).done();
    assert!(outcome.err.contains("note: `data.shape` has no effect: only `spfde bench` reads it\n"));
    assert!(!outcome.out.contains("shape ="), "{}", outcome.out);
    place.run(&[&words[..], &["data.shape=3x"]].concat()).refused(2, "`data.shape` = \"3x\" ", "");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_bench_with_exit_code_130() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let place = Place::new();
    let words = ["bench", "data.shape=1x8x8", "data.batch_size=20", "--steps=10000", "--workers=2"];
    let mut child = place.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    // The handler is in place before the first step; ten thousand steps take far longer than a second of the
    // processor, however long that takes.
    let processor_time = || {
        let output = Command::new("ps").args(["-o", "time=", "-p", &id]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    while !processor_time().split('.').next().unwrap().contains(|digit| ('1'..='9').contains(&digit)) {
        assert_eq!(child.try_wait().unwrap(), None, "it measures until it is interrupted");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    // Only a bench that hangs gets there.
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("the bench goes on after the interrupt");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0));
    assert!(
        String::from_utf8(output.stderr).unwrap().ends_with("spfde: interrupted; nothing was measured\n")
    );
}
