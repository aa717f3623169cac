//! Replays as their users meet them.

use serde_json::{Value, json};
use spfde_data::files::manifest::Manifest;

use crate::place::{Outcome, Place, RUN};

fn first_line(outcome: &Outcome) -> &str {
    outcome.out.lines().next().unwrap_or_default()
}

#[test]
fn what_the_record_lacks_is_called_by_what_the_policy_judges_by() {
    let place = Place::with_data();
    place.run(&[&RUN[..], &["trace.observe=full", "--run-dir", "run"]].concat()).done();
    let advice =
        " of frozen layers (censored); a run with freeze.policy=none and trace.observe=full has them";
    // Neither freezes anything, so that all layers are judged to the end.
    let never =
        [("cka", "freeze.patience=9", "comparison"), ("autofreeze", "freeze.percentile=0", "gradient sum")];
    for (policy, setting, what) in never {
        let shown = place.run(&["replay", "run", &format!("freeze.policy={policy}"), setting]).done().out;
        let line = shown.lines().last().unwrap();
        assert!(line.starts_with("the record has 5 of 5 epochs and lacks "), "{line}");
        assert!(line.contains(what) && line.ends_with(advice) && !line.contains("norm"), "{line}");
    }
    let shown = place.run(&["replay", "run", "freeze.policy=none"]).done().out;
    assert!(shown.ends_with("lacks nothing that it was asked for\n"), "{shown}");
}

#[test]
fn a_replay_prints_what_it_claims_and_writes_a_run_of_its_own() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    let own = place.run(&["replay", "run"]).done();
    assert_eq!(first_line(&own), "decisions and costs of a replay are exact; accuracy is not predicted");
    assert!(own.out.contains("\nthe record has 5 of 5 epochs and lacks nothing"), "{}", own.out);
    assert_eq!((own.err.as_str(), place.names()), ("", ["data", "idx", "run"].map(str::to_owned).to_vec()));

    let words =
        ["replay", "run", "sieve.fraction=0.4", "freeze.policy=none", "--out", "other", "--workers", "2"];
    let other = place.run(&words).done();
    for part in [
        "censored samples",
        "(censored); train with trace.observe=full",
        "run directory: other (verified: 5 of 5",
    ] {
        assert!(other.out.contains(part), "{part} in {}", other.out);
    }
    place.run(&["verify", "other"]).done();
    let config = std::fs::read_to_string(place.path("other/config.toml")).unwrap();
    assert!(config.contains("fraction = 0.4") && config.contains("policy = \"none\""), "{config}");
    place.run(&words).refused(1, "other: is the directory of a run, which is finished (5 epochs); ", "");
    place.run(&["replay", "other"]).refused(
        1,
        "other/manifest.json: replay_of is \"run\"",
        "replay run instead",
    );
}

#[test]
fn no_word_leads_to_another_run_than_it_names() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    std::fs::create_dir(place.path("other")).unwrap();
    let from = |folder: &str, words: &[&str]| {
        let output = place.command(words).current_dir(place.path(folder)).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    for (folder, word) in [("run", "../other"), (".", "run/../other")] {
        let (code, said) = from(folder, &["verify", word]);
        assert!(code == Some(1) && said.contains("other: has no manifest.json"), "{word}: {said}");
    }
    for (folder, word, named) in [("run", "trace", ".: sound"), (".", "run/trace/../trace", "run: sound")] {
        let (code, said) = from(folder, &["verify", word]);
        assert!(code == Some(0) && said.contains(named), "{word}: {said}");
    }
}

#[test]
fn several_runs_have_a_mean_a_spread_and_a_directory_each() {
    let place = Place::with_runs(&[("a/first", "seed=1"), ("b/second", "seed=2")]);
    let words = ["replay", "a/first", "b/second", "sieve.policy=random", "--out", "out"];
    let both = place.run(&words).done();
    assert_eq!(first_line(&both), "decisions and costs of a replay are exact; accuracy is not predicted");
    for part in ["mean ± standard deviation", "a/first: ", "b/second: ", " ± "] {
        assert!(both.out.contains(part), "{part} in {}", both.out);
    }
    for run in ["out/first", "out/second"] {
        place.run(&["verify", run]).done();
    }
    let twice = place.run(&["replay", "a/first", "a/first", "--out", "twice"]);
    twice.refused(2, "two runs are called first, and would both be written to twice/first", "");
    assert!(!place.path("twice").exists());
}

#[test]
fn json_of_several_runs_has_an_end_for_each_up_to_the_one_that_fails() {
    let place = Place::with_runs(&[("a/first", "seed=1"), ("b/second", "seed=2"), ("c/third", "seed=3")]);
    let replay = |out: &str| {
        let words = ["replay", "a/first", "b/second", "c/third", "--json", "--out", out];
        let printed = place.run(&words);
        let objects = printed.out.lines().map(|line| serde_json::from_str(line).unwrap());
        let (epochs, ends) = objects.partition::<Vec<Value>, _>(|object| object["event"] == "epoch");
        (printed, epochs, ends)
    };
    let fields = ["event", "run", "outcome", "exit_code", "run_directory", "recorded_epochs"];
    let told = |end: &Value| fields.map(|field| end[field].clone());
    let finished = |run: &str, directory: &str| json!(["end", run, "finished", 0, directory, 5]);
    let (printed, epochs, ends) = replay("out");
    assert_eq!((printed.done().err.as_str(), epochs.len()), ("", 15));
    let all = [
        finished("a/first", "out/first"),
        finished("b/second", "out/second"),
        finished("c/third", "out/third"),
    ];
    assert_eq!(json!(ends.iter().map(told).collect::<Vec<_>>()), json!(all));
    for end in &ends {
        assert!(end["verified"].is_string() && end["recorded_flops_of_dense"].is_f64(), "{end}");
    }

    let segment = "b/second/trace/gradients/e00003-w00.parquet";
    let mut bytes = std::fs::read(place.path(segment)).unwrap();
    bytes[40] ^= 1;
    std::fs::write(place.path(segment), bytes).unwrap();
    let (printed, _, ends) = replay("damaged");
    printed.stopped(1, &format!("{segment}: BLAKE3 is "), "nothing is kept of this replay");
    let all = [finished("a/first", "damaged/first"), json!(["end", "b/second", "failed", 1, null, 5])];
    assert_eq!(json!(ends.iter().map(told).collect::<Vec<_>>()), json!(all));
    assert_eq!(printed.err, format!("spfde: {}\n", ends[1]["reason"].as_str().unwrap()));
    place.run(&["verify", "damaged/first"]).done();
    assert!(!place.path("damaged/second").exists() && !place.path("damaged/third").exists());
}

#[test]
fn a_record_that_is_not_whole_is_told_and_json_has_each_epoch_and_the_end() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    let run = place.path("run");
    let mut manifest = Manifest::read(&run).unwrap();
    manifest.segments.retain(|segment| segment.epoch < 3);
    let cut = Manifest { epochs_reached: 3, finished: false, checkpoints: Vec::new(), ..manifest };
    cut.write(&run).unwrap();
    let text = place.run(&["replay", "run"]).done().out;
    assert!(text.contains("\nthe record has 3 of 5 epochs and lacks nothing"), "{text}");
    let json = place.run(&["replay", "run", "--json", "--out", "out"]).done().out;
    let objects: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fields = |of: &Value, keys: &[&str]| keys.iter().map(|key| of[*key].clone()).collect::<Value>();
    let (end, epochs) = objects.split_last().unwrap();
    for (epoch, object) in epochs.iter().enumerate() {
        assert_eq!(fields(object, &["event", "run", "epoch"]), json!(["epoch", "run", epoch]));
        assert!(object["forward_flops"].is_u64() && object["censored"]["samples"] == 0, "{object}");
    }
    let told =
        fields(end, &["event", "outcome", "run", "run_directory", "recorded_epochs", "planned_epochs"]);
    assert_eq!((told, epochs.len()), (json!(["end", "finished", "run", "out", 3, 5]), 3));
    assert!(end["verified"].as_str().unwrap().starts_with("3 of 5 epochs"), "{end}");
    let grid = ["replay", "run", "--grid", "sieve.fraction=0.1,0.2"];
    let text = place.run(&grid).done().out;
    assert!(text.contains("\nrun: 3 of 5 epochs, 120 samples"), "{text}");
    let json = place.run(&[&grid[..], &["--json"]].concat()).done().out;
    let json: Value = serde_json::from_str(&json).unwrap();
    let of_run = &json["members"][0]["runs"][0];
    assert_eq!(fields(of_run, &["recorded_epochs", "planned_epochs"]), json!([3, 5]));
}

#[test]
fn nothing_is_written_into_a_run_that_is_read() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    for more in [&[][..], &["--follow"], &["--grid", "sieve.fraction=0.1,0.2"]] {
        for out in ["run/trace/x", "run/new/below", "data/../run/x"] {
            let words = [&["replay", "run", "--out", out][..], more].concat();
            let refused = format!("--out {out}: lies within the run run, which is read; choose a directory");
            place.run(&words).refused(2, &refused, "");
        }
    }
    assert!(!place.path("run/trace/x").exists() && !place.path("run/new").exists());
    place.run(&["verify", "run"]).done();
}

#[test]
fn what_cannot_be_replayed_is_refused_before_any_work() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    let cases: [(&[&str], i32, &str); 7] = [
        (&["run", "sieve.fractoin=0.2"], 2, "unknown key `sieve.fractoin`; did you mean `sieve.fraction`?"),
        (
            &["run", "train.epochs=9"],
            2,
            "`train.epochs`: the run was recorded with 5, which no replay can change",
        ),
        (&["run", "sieve.fraction=1"], 2, "`sieve.fraction` = 1 is out of range"),
        (&["sieve.fraction=0.2"], 2, "a recorded run is missing, such as runs/resnet20-0-1"),
        (&["nowhere"], 1, "nowhere: there is nothing of that name"),
        (&["data"], 1, "data: has no manifest.json; it is not the directory of a run"),
        (&["run", "nowhere"], 1, "nowhere: there is nothing of that name"),
    ];
    for (words, code, start) in cases {
        place.run(&[&["replay"], words, &["--out", "out"]].concat()).refused(code, start, "");
        assert!(!place.path("out").exists(), "{words:?}");
    }
}

#[test]
fn a_damaged_trace_is_refused_and_leaves_nothing() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    let segment = "run/trace/gradients/e00003-w00.parquet";
    let mut bytes = std::fs::read(place.path(segment)).unwrap();
    bytes[40] ^= 1;
    std::fs::write(place.path(segment), bytes).unwrap();
    let damaged = place.run(&["replay", "run", "--out", "out"]);
    damaged.refused(1, &format!("{segment}: BLAKE3 is "), "nothing is kept of this replay");
    assert!(!place.path("out").exists());
}

#[test]
fn what_is_observed_is_announced_billed_and_lacking_in_no_replay() {
    let place = Place::with_data();
    let words = [&RUN[..], &["trace.observe=full", "--run-dir", "run"]].concat();
    let dry = place.run(&[&words[..], &["--dry-run"]].concat()).done();
    assert!(dry.out.contains("trace.observe = \"full\" costs "), "{}", dry.out);
    let trained = place.run(&words).done();
    assert!(trained.out.contains("\nobserved on top: "), "{}", trained.out);
    let other = place.run(&["replay", "run", "sieve.fraction=0.4", "freeze.policy=none"]).done();
    assert!(other.out.contains("\nthe record has 5 of 5 epochs and lacks nothing"), "{}", other.out);
}

#[test]
#[cfg(unix)]
fn a_run_is_found_by_whatever_path_leads_into_it() {
    let place = Place::with_runs(&[("runs/a=1", "seed=1")]);
    std::os::unix::fs::symlink(place.path("runs/a=1"), place.path("link")).unwrap();
    std::os::unix::fs::symlink(place.path("runs/a=1/trace/scores"), place.path("deep")).unwrap();
    let table = |path: &str| {
        let printed = place.run(&["replay", path]).done().out;
        printed.split_once(": ").unwrap().0.rsplit_once('\n').unwrap().0.to_owned()
    };
    let expected = table("runs/a=1");
    assert!(expected.lines().count() > 5, "{expected}");
    let absolute = place.path("runs/a=1/trace").display().to_string();
    for path in [
        "runs/a=1/",
        "./runs/../runs/a=1",
        "runs/a=1/manifest.json",
        "runs/a=1/trace",
        "runs/a=1/trace/scores/e00000-w00.parquet",
        "link",
        "link/trace/",
        "deep",
        &absolute,
    ] {
        assert_eq!(table(path), expected, "{path}");
        place.run(&["replay", path, "--grid", "sieve.fraction=0.1,0.2"]).done();
        place.run(&["verify", path]).done();
    }
    let inside = place.run(&["replay", "link/trace", "--out", "runs/a=1/trace/out"]);
    inside.refused(2, "--out runs/a=1/trace/out: lies within the run link, which is read; ", "");
    let all = place.run(&["verify", "runs/a=1", "nothing", "link"]);
    assert!(all.err.starts_with("spfde: nothing: there is nothing of that name; "), "{all:?}");
    assert_eq!((all.code, all.out.lines().count()), (Some(1), 2), "{all:?}");
}
