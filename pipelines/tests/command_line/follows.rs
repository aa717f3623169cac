//! Runs that are followed while they train, and Ctrl-C.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spfde_data::files::manifest::Manifest;

use crate::place::Place;
use crate::signals::send;

const TRAIN: [&str; 8] = [
    "train",
    "data.path=data",
    "model.name=lenet5",
    "mask.sparsity=0.5",
    "freeze.policy=none",
    "train.epochs=2000",
    "--run-dir",
    "run",
];

const GRID: [&str; 4] = ["--grid", "sieve.policy=circular,random", "--grid", "sieve.fraction=0.1,0.3"];

/// Starts a training that takes longer than any test; comes back when there is something to follow.
fn train(place: &Place) -> Child {
    let mut child = place.command(&TRAIN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while Manifest::read(&place.path("run")).is_err() {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "no run was begun");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// Starts following, and waits for `lines` lines that begin like this.
fn follow(
    place: &Place,
    words: &[&str],
    start: &str,
    lines: usize,
) -> (Child, std::thread::JoinHandle<String>) {
    let words = [&["replay", "--follow", "run"], words].concat();
    let mut child = place.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut read, mut seen) = (String::new(), 0);
    while seen < lines {
        let mut line = String::new();
        assert!(out.read_line(&mut line).unwrap() > 0, "{words:?} ended: {read}");
        seen += usize::from(line.starts_with(start));
        read.push_str(&line);
    }
    let rest = std::thread::spawn(move || {
        std::io::Read::read_to_string(&mut out, &mut read).unwrap();
        read
    });
    (child, rest)
}

fn ended(child: Child, rest: std::thread::JoinHandle<String>) -> (Option<i32>, String, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), rest.join().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The ends in what a command printed as JSON.
fn ends(out: &str) -> Vec<Value> {
    let objects = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    objects.filter(|object| object["event"] == "end").collect()
}

#[test]
fn what_is_printed_grows_with_the_run_until_it_is_interrupted() {
    let place = Place::with_data();
    let mut training = train(&place);
    let (one, one_out) = follow(&place, &["sieve.fraction=0.4", "--out", "one"], "epoch ", 3);
    let (many, many_out) = follow(&place, &[&GRID[..], &["--out", "many"]].concat(), "member ", 2);
    let (json, json_out) = follow(&place, &[&GRID[..], &["--json"]].concat(), "{\"claim\"", 2);
    let (plain, plain_out) = follow(&place, &["--json"], "{", 2);
    send(&training, "-INT");
    assert_eq!(training.wait().unwrap().code(), Some(130));
    let reached = Manifest::read(&place.path("run")).unwrap().epochs_reached;
    let followed = [(one, one_out, 0), (many, many_out, 0), (json, json_out, 0), (plain, plain_out, 1)];
    for (child, out, count) in followed {
        let (code, out, err) = ended(child, out);
        assert_eq!(code, Some(0), "{err}");
        assert!(err.contains("note: following run: "), "{err}");
        let told = format!(": {reached} of 2000 epochs are recorded\n");
        assert!(
            err.contains("note: run was interrupted (interrupted at epoch ") && err.ends_with(&told),
            "{err}"
        );
        let claim = "decisions and costs of a replay are exact; accuracy is not predicted\n";
        if !out.starts_with('{') {
            assert!(out.starts_with(claim), "{out}");
            continue;
        }
        let ends = ends(&out);
        assert_eq!(ends.len(), count, "{out}");
        for end in ends {
            let told = json!([end["outcome"], end["run"], end["epochs"], end["recorded_epochs"]]);
            assert_eq!(told, json!(["finished", "run", reached, reached]), "{end}");
        }
    }
    place.run(&["verify", "one"]).done();
    assert!(place.path("many/grid.parquet").is_file());
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing() {
    let place = Place::with_data();
    let mut training = train(&place);
    let grid = [&GRID[..], &["--decisions", "--out", "out"]].concat();
    let cases: [(&[&str], &str, &str); 3] = [
        (&["sieve.fraction=0.4", "--out", "out", "--json"], "{", "; nothing is kept of this replay\n"),
        (&["sieve.fraction=0.4", "--out", "out"], "epoch ", "; nothing is kept of this replay\n"),
        (&grid, "member ", "spfde: interrupted; nothing is kept of this replay\n"),
    ];
    for (words, start, end) in cases {
        let (child, rest) = follow(&place, words, start, 2);
        send(&child, "-INT");
        let (code, out, err) = ended(child, rest);
        assert_eq!(code, Some(130), "{err}");
        if out.starts_with('{') {
            let end = &ends(&out)[0];
            let told = json!([end["outcome"], end["exit_code"], end["run_directory"]]);
            assert_eq!(told, json!(["interrupted", 130, null]), "{end}");
            assert!(end["recorded_epochs"].as_u64() >= Some(2), "{end}");
        }
        assert!(err.ends_with(end), "{err}");
        assert!(!place.path("out").exists());
    }
    training.kill().unwrap();
    training.wait().unwrap();
}

#[test]
fn several_runs_and_bare_scores_cannot_be_followed() {
    let place = Place::new();
    place.run(&["replay", "--follow", "a", "b"]).refused(2, "--follow takes one run, not 2", "");
    place.run(&["replay", "--follow", "nowhere"]).refused(1, "nowhere: there is nothing of that name", "");
    assert_eq!(place.run(&["replay", "--follow", "--scores", "scores"]).code, Some(2));
}
