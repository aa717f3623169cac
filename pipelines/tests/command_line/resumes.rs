//! `spfde resume`: what it says of runs that are finished, interrupted, in use, or not there.

#[cfg(unix)]
use std::process::{Command, Stdio};
#[cfg(unix)]
use std::time::{Duration, Instant};

use spfde_data::files::manifest::Manifest;

use crate::place::Place;

const WORDS: [&str; 6] =
    ["train", "data.path=data", "model.name=lenet5", "mask.sparsity=0.5", "freeze.policy=none", "--run-dir"];

#[test]
fn of_a_finished_run_it_says_so() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["run", "train.epochs=2"]].concat()).done();
    let resumed = place.run(&["resume", "run"]).done();
    assert_eq!(resumed.out, "run: is finished: all 2 epochs are there; nothing is left to do\n");
    assert_eq!(resumed.err, "");
}

#[test]
fn what_is_no_run_is_refused() {
    let place = Place::with_data();
    let nothing = "has no manifest.json; it is not the directory of a run, or the run ended before it began";
    place.run(&["resume", "data"]).refused(1, &format!("data: {nothing}"), "");
    place.run(&["resume", "nowhere"]).refused(1, &format!("nowhere: {nothing}"), "");
    for words in [&["resume"][..], &["resume", "run", "seed=2"], &["resume", "run", "--workers", "0"]] {
        assert_eq!(place.run(words).code, Some(2), "{words:?}");
    }
}

#[test]
fn without_a_checkpoint_it_starts_from_the_beginning() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["whole", "train.epochs=2"]].concat()).done();
    place.run(&[&WORDS[..], &["run", "train.epochs=2"]].concat()).done();
    // As a process leaves it that is killed before the first epoch is committed.
    let whole = Manifest::read(&place.path("whole")).unwrap();
    let begun = Manifest {
        epochs_reached: 0,
        finished: false,
        segments: Vec::new(),
        checkpoints: Vec::new(),
        ..Manifest::read(&place.path("run")).unwrap()
    };
    begun.write(&place.path("run")).unwrap();
    let resumed = place.run(&["resume", "run", "--workers", "1"]).done();
    let said = "run: there is no checkpoint; starts from the beginning\n";
    assert!(resumed.out.starts_with(said), "{}", resumed.out);
    assert!(resumed.out.contains("run directory: run (verified: 2 of 2 epochs"), "{}", resumed.out);
    let weights = |run: &str| std::fs::read(place.path(run).join("checkpoint/e00002.safetensors")).unwrap();
    assert!(weights("run") == weights("whole"));
    assert!(Manifest::read(&place.path("run")).unwrap().finished && whole.finished);
}

#[test]
fn a_relative_path_of_the_data_is_meant_from_where_the_run_began() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["run", "train.epochs=2"]].concat()).done();
    let finished = Manifest::read(&place.path("run")).unwrap();
    let begun = Manifest {
        epochs_reached: 0,
        finished: false,
        segments: Vec::new(),
        checkpoints: Vec::new(),
        ..finished.clone()
    };
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let resume = || {
        begun.write(&place.path("run")).unwrap();
        place.command(&["resume", "../run"]).current_dir(place.path("elsewhere")).output().unwrap()
    };
    assert!(resume().status.success());
    assert!(Manifest::read(&place.path("run")).unwrap().finished);
    // Data that has moved along is found from here.
    std::fs::rename(place.path("data"), place.path("elsewhere/data")).unwrap();
    assert!(resume().status.success());
    std::fs::remove_dir_all(place.path("elsewhere/data")).unwrap();
    let output = resume();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("spfde: data/train.parquet: "), "{output:?}");
}

#[test]
fn a_note_tells_of_another_version_of_the_program() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["run", "train.epochs=2"]].concat()).done();
    let manifest = Manifest { finished: false, ..Manifest::read(&place.path("run")).unwrap() };
    let checkpoints = Vec::new();
    Manifest { epochs_reached: 0, segments: Vec::new(), checkpoints, ..manifest }
        .write(&place.path("run"))
        .unwrap();
    let environment = place.path("run/environment.json");
    let text = std::fs::read_to_string(&environment).unwrap();
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
    std::fs::write(&environment, text.replace(&version, "\"version\": \"0.0.1\"")).unwrap();
    let resumed = place.run(&["resume", "run"]).done();
    assert!(
        resumed.err.starts_with("note: the run began with version of spfde \"0.0.1\", this is "),
        "{resumed:?}"
    );
    let text = std::fs::read_to_string(&environment).unwrap();
    assert!(text.contains("\"resumed\": [") && text.contains("0.0.1"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_goes_on_and_nobody_else_may_while_it_runs() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["whole", "train.epochs=40"]].concat()).done();
    let words = [&WORDS[..], &["run", "train.epochs=40", "--workers", "2"]].concat();
    let mut child = place.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Far more than it takes; only a run that hangs gets there.
    let deadline = Instant::now() + Duration::from_secs(120);
    let run = place.path("run");
    while Manifest::read(&run).map_or(0, |manifest| manifest.epochs_reached) < 3 {
        assert!(Instant::now() < deadline, "no epoch was committed");
        std::thread::sleep(Duration::from_millis(5));
    }
    let held = place.run(&["resume", "run"]);
    if child.try_wait().unwrap().is_none() {
        held.refused(1, &format!("run: is in use by process {}; ", child.id()), "");
    }
    let _ = Command::new("kill").args(["-KILL", &child.id().to_string()]).status().unwrap();
    child.wait().unwrap();
    let resumed = place.run(&["resume", "run", "--workers", "1"]).done();
    let reached = "run: goes on from its checkpoint at epoch ";
    assert!(resumed.out.starts_with(reached) || resumed.out.contains("finished"), "{}", resumed.out);
    let weights = |run: &str| std::fs::read(place.path(run).join("checkpoint/e00040.safetensors")).unwrap();
    assert!(weights("run") == weights("whole"));
    place.run(&["verify", "run"]).done();
}
