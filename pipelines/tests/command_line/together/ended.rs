//! When one process ends or gives up, or a signal ends it: all processes end, and say why.

use std::time::{Duration, Instant};

use spfde_data::files::manifest::Manifest;

#[cfg(unix)]
use super::signal;
use super::{WORDS, connect, end, greet, hear, hosts, joined, spawn, start};
use crate::addresses::free_addresses;
use crate::place::Place;

#[test]
fn nobody_waits_for_ever_and_nothing_is_left() {
    let place = Place::with_data();
    let addresses = hosts(&place, 3);
    // Process 2 is there first, and joins process 0 as soon as that listens, long before its time is over.
    let joined = start(&place, &[&WORDS[..], &["--wait", "600"]].concat(), "2");
    connect(&addresses[2]);
    let first = start(&place, &[&WORDS[..], &["--run-dir", "run", "--wait", "5"]].concat(), "0");
    let message = format!("process 1 at {} did not join within 5 s; start every process", addresses[1]);
    end(first).refused(1, &message, "");
    // A process that has joined is told.
    let told = format!("process 0 at {} gave up before the start: {message}", addresses[0]);
    end(joined).refused(1, &told, "");
    assert!(!place.path("run").exists());
    // Process 1 starts, and no other process does.
    let alone = end(start(&place, &[&WORDS[..], &["--wait", "1"]].concat(), "1"));
    alone.refused(1, &format!("process 0 at {} did not let this one join within 1 s (", addresses[0]), "");
}

#[test]
fn a_process_that_gives_up_is_named_by_all() {
    let place = Place::with_data();
    let addresses = hosts(&place, 3);
    // Process 2 looks for process 1 elsewhere; process 1 waits for process 2.
    let elsewhere = free_addresses(1).remove(0);
    let mistaken = [addresses[0].clone(), elsewhere.clone(), addresses[2].clone()];
    std::fs::write(place.path("mistaken"), mistaken.join("\n")).unwrap();
    let first = start(&place, &[&WORDS[..], &["--run-dir", "run"]].concat(), "0");
    let second = start(&place, &WORDS, "1");
    joined(&place, "run", 1);
    let third = ["--hosts", "mistaken", "--workers", "1", "--process", "2"];
    let third = end(spawn(place.command(&[&WORDS[..], &third].concat())));
    let reason = format!("process 1 at {elsewhere} did not let this one join within 10 s (");
    third.refused(1, &reason, "");
    let reason = format!("process 2 at {} gave up before the start: {reason}", addresses[2]);
    let first = end(first);
    assert!(first.code == Some(1) && first.err.contains(&format!("spfde: {reason}")), "{first:?}");
    let second = end(second);
    let reason = format!("spfde: process 0 at {} gave up before the start: {reason}", addresses[0]);
    assert!(second.code == Some(1) && second.err.contains(&reason), "{second:?}");
    assert!(!place.path("run").exists());
}

#[cfg(unix)]
#[test]
fn a_signal_to_one_process_stops_all_and_a_second_while_they_wait_ends_it() {
    let place = Place::with_data();
    place.run(&[&WORDS[..], &["train.epochs=24", "--run-dir", "whole"]].concat()).done();
    // With a single shard process 1 only looks on.
    for (name, to, shards) in [("INT", 1, "4"), ("TERM", 0, "4"), ("TERM", 1, "1")] {
        let run = format!("run-{name}-{to}-{shards}");
        let shards = format!("train.shards={shards}");
        let given = [&WORDS[..], &["train.epochs=24", &shards]].concat();
        // On a busy machine a run may be over before the signal is sent: then another.
        let deadline = Instant::now() + Duration::from_secs(240);
        let (told, outcomes) = loop {
            assert!(Instant::now() < deadline, "no run is met at work");
            hosts(&place, 2);
            let first = start(&place, &[&given[..], &["--run-dir", &run]].concat(), "0");
            let other = start(&place, &given, "1");
            while Manifest::read(&place.path(&run)).map_or(0, |manifest| manifest.epochs_reached) < 2 {
                assert!(Instant::now() < deadline);
                std::thread::sleep(Duration::from_millis(5));
            }
            let to = if to == 0 { &first } else { &other };
            signal(to, name);
            let told = Instant::now();
            let outcomes = [end(first), end(other)];
            if Manifest::read(&place.path(&run)).unwrap().epochs_reached < 24 {
                break (told, outcomes);
            }
            std::fs::remove_dir_all(place.path(&run)).unwrap();
        };
        for outcome in outcomes {
            assert_eq!(outcome.code, Some(130), "{outcome:?}");
            assert!(outcome.err.contains("interrupted at epoch"), "{outcome:?}");
            assert!(outcome.err.contains(&format!(" (in process {to}); ")), "{outcome:?}");
            assert!(outcome.err.trim_end().ends_with(&run), "{outcome:?}");
        }
        eprintln!("SIG{name} to process {to}: all had ended after {:.2} s", told.elapsed().as_secs_f64());
        place.run(&["resume", &run, "--workers", "2"]).done();
        if shards.ends_with('1') {
            continue;
        }
        let last = |run: &str| std::fs::read(place.path(run).join("checkpoint/e00024.safetensors")).unwrap();
        assert!(last(&run) == last("whole"));
    }
    // While it waits for the others.
    let addresses = hosts(&place, 2);
    let mut first = start(&place, &[&WORDS[..], &["--run-dir", "never"]].concat(), "0");
    // It waits for them when it answers; what it says of that is said before it is interrupted.
    greet(&addresses[0]);
    hear(&mut first, "was dropped: it speaks version 9 of the protocol");
    signal(&first, "INT");
    let outcome = end(first);
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    assert!(
        outcome.err.ends_with(
            "note: stopping, after the step in flight if there is one; once more to stop at once\n\
             spfde: interrupted before all processes had come together\n"
        ),
        "{outcome:?}"
    );
    assert!(!place.path("never").exists());
}
