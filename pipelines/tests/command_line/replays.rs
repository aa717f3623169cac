//! Replays as their users meet them.

use crate::place::{Outcome, Place, RUN};

fn first_line(outcome: &Outcome) -> &str {
    outcome.out.lines().next().unwrap_or_default()
}

#[test]
fn a_replay_prints_what_it_claims_and_writes_a_run_of_its_own() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    let own = place.run(&["replay", "run"]).done();
    assert_eq!(first_line(&own), "decisions and costs of a replay are exact; accuracy is not predicted");
    assert!(own.out.contains("the record lacks nothing that it was asked for"), "{}", own.out);
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
    assert!(other.out.contains("the record lacks nothing that it was asked for"), "{}", other.out);
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
