//! `spfde resume`: what it says of runs that are finished, interrupted, in use, or not there.

#[cfg(unix)]
use std::process::Stdio;

use spfde_data::files::manifest::Manifest;
use spfde_data::files::run_directory::RunDirectory;

use crate::place::Place;
#[cfg(unix)]
use crate::signals::{reach, send};

const WORDS: [&str; 6] =
    ["train", "data.path=data", "model.name=lenet5", "mask.sparsity=0.5", "freeze.policy=none", "--run-dir"];

#[test]
fn of_a_finished_run_it_says_so() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["run", "train.epochs=2"]].concat()).done();
    let resumed = place.run(&["resume", "run"]).done();
    assert_eq!(resumed.out, "run: is finished (2 epochs); nothing is left to do\n");
    assert_eq!(resumed.err, "");
    // Only the last word is missing: rows are read for programs alone, and before anything is said.
    let run = place.path("run");
    let whole = Manifest::read(&run).unwrap();
    let segment = "run/trace/epochs/e00001-w00.parquet";
    let rows = std::fs::read(place.path(segment)).unwrap();
    std::fs::write(place.path(segment), [&[rows[0] ^ 1], &rows[1..]].concat()).unwrap();
    let resume = |words: &[&str]| {
        Manifest { finished: false, ..whole.clone() }.write(&run).unwrap();
        place.run(words)
    };
    resume(&["resume", "--json", "run"]).refused(1, &format!("{segment}: BLAKE3 is "), "");
    assert_eq!(resume(&["resume", "run"]).done().out, resumed.out);
    std::fs::write(place.path(segment), rows).unwrap();
    // Unless its files are not what they were.
    let weights = place.path("run/checkpoint/e00002.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[1..]).unwrap();
    let cut = format!(
        "run: the run is finished, but is not what it was: 1 finding: \
         run/checkpoint/e00002.safetensors: length is {} bytes; expected {}",
        whole.len() - 1,
        whole.len()
    );
    place.run(&["resume", "run"]).refused(1, &cut, "");
}

#[test]
fn what_is_no_run_is_refused() {
    let place = Place::with_data();
    let nothing = "has no manifest.json; it is not the directory of a run, or the run ended before it began";
    place.run(&["resume", "data"]).refused(1, &format!("data: {nothing}"), "");
    let nowhere = "nowhere: there is nothing of that name; name the directory of a run";
    for command in ["resume", "verify", "replay"] {
        place.run(&[command, "nowhere"]).refused(1, nowhere, "");
    }
    // A run that has lost its manifest is one still.
    place.run(&[&WORDS[..], &["run", "train.epochs=2"]].concat()).done();
    std::fs::remove_file(place.path("run/manifest.json")).unwrap();
    for command in ["resume", "verify", "replay"] {
        place.run(&[command, "run"]).refused(1, "run: has no manifest.json, but ", "or start another run");
    }
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
    let (there, here) = (place.path("data"), place.path("elsewhere/data"));
    let expected = format!(
        "spfde: ../run/config.toml: data.path is \"data\", and there is nothing at {} nor at {}; put the \
         data back, ",
        there.display(),
        here.display()
    );
    assert!(String::from_utf8_lossy(&output.stderr).starts_with(&expected), "{output:?}");
    // Other data than the run's, and where it is.
    let images = place.path("idx/train-images-idx3-ubyte");
    let mut pixels = std::fs::read(&images).unwrap();
    *pixels.last_mut().unwrap() ^= 1;
    std::fs::write(&images, pixels).unwrap();
    place.run(&["import", "idx", "idx", "--out", "data"]).done();
    let output = resume();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!(" in {}; the run began with ", there.display())), "{said}");
}

/// Makes of a finished run one that ended before its first epoch.
fn unfinish(place: &Place) {
    let run = place.path("run");
    let (segments, checkpoints) = (Vec::new(), Vec::new());
    let manifest = Manifest::read(&run).unwrap();
    let begun = Manifest { finished: false, epochs_reached: 0, segments, checkpoints, ..manifest };
    begun.write(&run).unwrap();
}

#[test]
fn a_note_tells_of_another_version_of_the_program() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["run", "train.epochs=2"]].concat()).done();
    unfinish(&place);
    let run = RunDirectory::resume(&place.path("run")).unwrap();
    let environment = || RunDirectory::open(&place.path("run")).unwrap().environment().unwrap();
    let mut before = environment();
    assert_eq!(before["version"], env!("CARGO_PKG_VERSION"));
    before["version"] = "0.0.1".into();
    run.write_environment(&before).unwrap();
    drop(run);
    let resumed = place.run(&["resume", "run"]).done();
    assert!(
        resumed.err.contains("note: the run began with version of spfde \"0.0.1\", this is "),
        "{resumed:?}"
    );
    let now = environment();
    assert_eq!(now["version"], "0.0.1");
    assert_eq!(now["resumed"][0]["environment"]["version"], env!("CARGO_PKG_VERSION"), "{now}");
}

#[test]
fn of_a_beginning_that_is_lost_nothing_is_invented() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["run", "train.epochs=2"]].concat()).done();
    let again = || {
        unfinish(&place);
        place.run(&["resume", "run"]).done().err
    };
    std::fs::remove_file(place.path("run/environment.json")).unwrap();
    let unknown = "whether bits may differ from the run's beginning is unknown";
    for resumed in 1..3 {
        assert!(again().contains(unknown));
        let environment = RunDirectory::open(&place.path("run")).unwrap().environment().unwrap();
        assert_eq!(environment.as_object().unwrap().len(), 1, "{environment}");
        assert_eq!(environment["resumed"].as_array().unwrap().len(), resumed, "{environment}");
    }
}

#[test]
fn who_waits_in_vain_for_another_process_has_not_gone_on() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["run", "train.epochs=2"]].concat()).done();
    unfinish(&place);
    crate::together::hosts(&place, 2);
    let before = std::fs::read(place.path("run/environment.json")).unwrap();
    let waited = place.run(&["resume", "run", "--hosts", "hosts", "--process", "0", "--wait", "1"]);
    assert!(waited.code == Some(1) && waited.err.contains("did not join within 1 s"), "{waited:?}");
    assert!(std::fs::read(place.path("run/environment.json")).unwrap() == before);
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_goes_on_and_nobody_else_may_while_it_runs() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["whole", "train.epochs=40"]].concat()).done();
    let words = [&WORDS[..], &["run", "train.epochs=40", "--workers", "2"]].concat();
    let mut child = place.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    reach(&mut child, &place.path("run"), 3);
    // It stands still while the other looks: at its own pace it might be at its end by then.
    send(&child, "-STOP");
    let held = format!("run: is in use by process {}; ", child.id());
    place.run(&["resume", "run"]).refused(1, &held, "");
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = place.run(&["resume", "run", "--workers", "1"]).done();
    assert!(resumed.out.starts_with("run: goes on from its checkpoint after epoch "), "{}", resumed.out);
    let weights = |run: &str| std::fs::read(place.path(run).join("checkpoint/e00040.safetensors")).unwrap();
    assert!(weights("run") == weights("whole"));
    place.run(&["verify", "run"]).done();
}
