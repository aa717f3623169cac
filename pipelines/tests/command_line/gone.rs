//! A run directory, or its lock, that goes away while the run is written: noticed at the next commit.

use std::fs::{remove_dir_all, remove_file};
use std::process::Child;

use spfde_data::files::manifest::Manifest;

use crate::place::Place;
use crate::signals::{TRAIN, reach, send};
use crate::together::{end, hosts, spawn};

/// A run that goes on until the test ends it.
fn train(place: &Place, more: &[&str]) -> Child {
    spawn(place.command(&[&TRAIN.split(' ').collect::<Vec<_>>()[..], &["train.epochs=10000"], more].concat()))
}

#[test]
fn a_run_whose_directory_is_removed_ends_and_commits_nothing_anew() {
    let place = Place::with_data();
    let mut child = train(&place, &[]);
    reach(&mut child, &place.path("run"), 1);
    // What is written meanwhile keeps it from being empty.
    while remove_dir_all(place.path("run")).is_err() {}
    let outcome = end(child);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(!place.path("run/manifest.json").exists());
}

#[test]
fn a_run_whose_lock_is_removed_ends_and_can_be_resumed() {
    let place = Place::with_data();
    let mut child = train(&place, &[]);
    reach(&mut child, &place.path("run"), 1);
    remove_file(place.path("run/lock")).unwrap();
    let outcome = end(child);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let gone = outcome.err.contains("run/lock: ") && outcome.err.contains("was removed, moved or replaced");
    assert!(gone && outcome.err.contains("spfde resume run\n"), "{outcome:?}");
    let reached = Manifest::read(&place.path("run")).unwrap().epochs_reached;
    let mut resumed = spawn(place.command(&["resume", "run"]));
    reach(&mut resumed, &place.path("run"), reached + 1);
    send(&resumed, "-INT");
    let outcome = end(resumed);
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
}

#[test]
fn of_a_directory_that_is_removed_all_processes_end() {
    let place = Place::with_data();
    hosts(&place, 2);
    let start = |process| train(&place, &["--hosts", "hosts", "--process", process]);
    let (mut first, second) = (start("0"), start("1"));
    reach(&mut first, &place.path("run"), 1);
    while remove_dir_all(place.path("run")).is_err() {}
    for outcome in [end(first), end(second)] {
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
    }
    assert!(!place.path("run/manifest.json").exists());
}
