//! When one process ends or gives up, or somebody ends it: all end, and say why.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use spfde_data::files::manifest::Manifest;

use super::{WORDS, connect, end, free_addresses, hosts, spawn, start};
use crate::place::Place;

#[test]
fn nobody_waits_for_ever_and_nothing_is_left() {
    let place = Place::with_data();
    let addresses = hosts(&place, 3);
    let first = start(&place, &[&WORDS[..], &["--run-dir", "run", "--wait", "2"]].concat(), "0");
    // A process that has joined is told.
    let joined = start(&place, &[&WORDS[..], &["--wait", "60"]].concat(), "2");
    let message = format!("process 1 at {} did not join within 2 s; start every process", addresses[1]);
    end(first).refused(1, &message, "");
    let joined = end(joined);
    assert_eq!(joined.code, Some(1), "{joined:?}");
    assert!(!place.path("run").exists());
    // Nobody there at all.
    let alone = end(start(&place, &[&WORDS[..], &["--wait", "1"]].concat(), "1"));
    alone.refused(1, &format!("process 0 at {} did not let this one join within 1 s: ", addresses[0]), "");
}

#[test]
fn whoever_gives_up_is_named_by_all_at_once() {
    let place = Place::with_data();
    let addresses = hosts(&place, 3);
    // Process 2 looks for process 1 elsewhere; process 1 waits for process 2.
    let elsewhere = free_addresses(1).remove(0);
    let mistaken = [addresses[0].clone(), elsewhere.clone(), addresses[2].clone()];
    std::fs::write(place.path("mistaken"), mistaken.join("\n")).unwrap();
    let first = start(&place, &[&WORDS[..], &["--run-dir", "run"]].concat(), "0");
    connect(&addresses[0]);
    let second = start(&place, &WORDS, "1");
    connect(&addresses[1]);
    let third = ["--hosts", "mistaken", "--workers", "1", "--process", "2", "--wait", "3"];
    let third = end(spawn(place.command(&[&WORDS[..], &third].concat())));
    let reason = format!("process 1 at {elsewhere} did not let this one join within 3 s: ");
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
    let signal = |child: &Child, name: &str| {
        let status =
            Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
        assert!(status.success());
    };
    // With a single shard process 1 only looks on.
    for (name, to, shards) in [("INT", 1, "4"), ("TERM", 0, "4"), ("TERM", 1, "1")] {
        hosts(&place, 2);
        let run = format!("run-{name}-{to}-{shards}");
        let shards = format!("train.shards={shards}");
        let given = [&WORDS[..], &["train.epochs=24", &shards]].concat();
        let first = start(&place, &[&given[..], &["--run-dir", &run]].concat(), "0");
        let other = start(&place, &given, "1");
        let deadline = Instant::now() + Duration::from_secs(120);
        while Manifest::read(&place.path(&run)).map_or(0, |manifest| manifest.epochs_reached) < 2 {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(5));
        }
        signal(if to == 0 { &first } else { &other }, name);
        let told = Instant::now();
        for outcome in [end(first), end(other)] {
            assert_eq!(outcome.code, Some(130), "{outcome:?}");
            assert!(outcome.err.contains("interrupted at epoch"), "{outcome:?}");
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
    let first = start(&place, &[&WORDS[..], &["--run-dir", "never"]].concat(), "0");
    connect(&addresses[0]);
    signal(&first, "INT");
    let outcome = end(first);
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    assert!(
        outcome.err.ends_with("spfde: interrupted before all processes had come together\n"),
        "{outcome:?}"
    );
    assert!(!place.path("never").exists());
}
