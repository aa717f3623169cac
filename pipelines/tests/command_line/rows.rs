//! What a run prints as it goes: a row for each committed epoch, for people and for programs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::read_stream;
use spfde_data::rows::EpochRow;

use crate::place::{Place, RUN};

fn recorded(place: &Place) -> Vec<EpochRow> {
    let path = place.path("run");
    let manifest = Manifest::read(&path).unwrap();
    let batches = read_stream::<EpochRow>(&path, &manifest, 0..manifest.epochs_reached);
    batches.flat_map(|batch| batch.unwrap().into_rows::<EpochRow>()).collect()
}

#[test]
fn rows_are_printed_to_a_pipe_while_the_run_goes_on() {
    let place = Place::with_data();
    let words = [&RUN[..], &["train.epochs=10000", "--run-dir", "run"]].concat();
    let mut child = place.command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "recording to run");
    assert!(lines.next().unwrap().starts_with("epoch "));
    for epoch in 1..=3 {
        assert_eq!(lines.next().unwrap().split_whitespace().next(), Some(&*epoch.to_string()));
        let committed = Manifest::read(&place.path("run")).unwrap().epochs_reached;
        assert!(committed >= epoch, "epoch {epoch} is printed, {committed} are committed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn json_has_the_settings_each_epoch_as_recorded_and_the_end() {
    let place = Place::with_data();
    let run = place.run(&[&RUN[..], &["--json", "--run-dir", "run"]].concat()).done();
    let lines: Vec<&str> = run.out.lines().collect();
    let objects: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = objects.iter().map(|object| object["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["settings", "epoch", "epoch", "epoch", "epoch", "epoch", "end"]);
    assert_eq!(objects[0]["settings"]["mask.sparsity"], 0.5);
    let settings = serde_json::to_value(Manifest::read(&place.path("run")).unwrap().settings).unwrap();
    assert_eq!(objects[0]["settings"], settings, "the manifest has them, too");
    let rows = recorded(&place);
    for (line, row) in lines[1..6].iter().zip(&rows) {
        let mut expected = serde_json::to_value(row).unwrap();
        expected["event"] = "epoch".into();
        assert_eq!(line, &expected.to_string());
        assert!(row.seconds.is_some_and(|seconds| seconds > 0.0), "{row:?}");
    }
    let end = &objects[6];
    assert_eq!((&end["outcome"], &end["epochs"]), (&"finished".into(), &5.into()));
    assert_eq!(end["test_accuracy"].as_f64(), rows[4].test_accuracy);
    let seconds: f64 = rows.iter().filter_map(|row| row.seconds).sum();
    assert!((end["seconds"].as_f64().unwrap() - seconds).abs() < 1e-9 * seconds);
    assert!(end["time_of_dense"].is_null(), "dense steps would be a large part of so short a run");
    let resumed = place.run(&["resume", "--json", "run"]).done();
    let mut again: Value = serde_json::from_str(&resumed.out).unwrap();
    again["verified"] = end["verified"].clone();
    assert_eq!(&again, end, "of a finished run the end is told as it was");
}

#[test]
fn json_of_a_run_that_is_stopped_ends_with_the_reason() {
    let place = Place::with_data();
    let diverging = ["train.learning_rate=1000", "train.weight_decay=1", "freeze.policy=none"];
    let run = place.run(&[&RUN[..], &diverging, &["--json", "--run-dir", "run"]].concat());
    run.stopped(3, "stage gradients on worker ", "");
    let end: Value = serde_json::from_str(run.out.lines().last().unwrap()).unwrap();
    assert_eq!((&end["event"], &end["outcome"]), (&"end".into(), &"stopped".into()));
    assert_eq!((&end["exit_code"], &end["run_directory"]), (&3.into(), &"run".into()));
    assert_eq!(run.err.lines().last(), Some(&*format!("spfde: {}", end["reason"].as_str().unwrap())));
    assert_eq!(end["epochs"], recorded(&place).len());
}

#[test]
fn a_quiet_run_prints_nothing_but_errors() {
    let place = Place::with_data();
    let run = place.run(&[&RUN[..4], &["--quiet", "freeze.policy=none", "--run-dir", "run"]].concat()).done();
    assert_eq!((&*run.out, &*run.err), ("", ""));
    let json = place.run(&["resume", "--json", "run"]).done();
    let end: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&end["outcome"], &end["epochs"]), (&"finished".into(), &16.into()));
    let resumed = place.run(&["resume", "--quiet", "run"]).done();
    assert_eq!((&*resumed.out, &*resumed.err), ("", ""));
    place.run(&["resume", "--quiet", "nowhere"]).refused(1, "nowhere: there is nothing of that name", "");
}

#[test]
fn a_network_that_only_guesses_is_told_as_it_happens_and_at_the_end() {
    let place = Place::with_data();
    let still =
        ["train.learning_rate=0.000000001", "train.epochs=3", "sieve.policy=none", "mask.policy=dense"];
    let run = place.run(&[&RUN[..2], &["model.name=mlp"], &still, &["--run-dir", "run"]].concat()).done();
    let chance: Vec<bool> = recorded(&place)
        .iter()
        // A tenth, and three standard deviations of 120 and of 40 guesses.
        .map(|row| row.train_accuracy.unwrap() <= 0.182 && row.test_accuracy.unwrap() <= 0.242)
        .collect();
    let told: Vec<&str> = run.err.lines().filter(|line| line.contains("no better than guessing")).collect();
    let first = chance.iter().position(|guesses| *guesses).map(|epoch| epoch + 1);
    let starts: Vec<String> = [first, Some(3).filter(|_| chance[2] && first != Some(3))]
        .iter()
        .flatten()
        .map(|epoch| format!("note: after epoch {epoch} the network does no better than guessing: "))
        .collect();
    assert!(!starts.is_empty() && told.len() == starts.len(), "{run:?}");
    let advice = "train longer, or try train.learning_rate=0.05 (it is 0.000000001)";
    let fits = |(line, start): (&&str, &String)| line.starts_with(start) && line.ends_with(advice);
    assert!(told.iter().zip(&starts).all(fits), "{run:?}");
}
