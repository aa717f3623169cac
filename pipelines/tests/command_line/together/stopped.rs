//! Processes that are stopped, as SIGSTOP leaves them: the others wait for them, and end without them when
//! they are asked to end twice; a process that wakes up finds itself alone, and nothing is damaged.

use std::process::{Child, Command};
use std::time::Duration;

use spfde_data::files::manifest::Manifest;

use super::{WORDS, connect, end, hear, hosts, joined, signal, start, until};
use crate::place::Place;

const EPOCHS: &str = "train.epochs=24";

/// What is on the way to a stopped process fits into its system's memory.
const SPARSE: &str = "mask.sparsity=0.9";

/// A process that is stopped until this is dropped, so that none is left behind.
struct Stopped(u32);

impl Stopped {
    fn new(child: &Child) -> Self {
        signal(child, "STOP");
        Self(child.id())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-CONT", &self.0.to_string()]).status();
    }
}

/// Starts so many processes at a new run and stops one of them in the middle: the addresses, the processes
/// that are not stopped, by their numbers, and the one that is.
fn train(
    place: &Place,
    run: &str,
    processes: usize,
    stopped: usize,
) -> (Vec<String>, Vec<(usize, Child)>, Child, Stopped) {
    let given = [&WORDS[..], &[EPOCHS, SPARSE]].concat();
    let reached = || Manifest::read(&place.path(run)).map_or(0, |manifest| manifest.epochs_reached);
    // On a busy machine a run may be over before one is stopped: then another.
    for _ in 0..20 {
        let addresses = hosts(place, processes);
        let start = |process: usize| {
            let directory: &[&str] = if process == 0 { &["--run-dir", run] } else { &[] };
            (process, start(place, &[&given[..], directory].concat(), &process.to_string()))
        };
        let mut children: Vec<(usize, Child)> = (0..processes).map(start).collect();
        until("it trains", || reached() >= 2);
        let (_, sleeper) = children.remove(stopped);
        let asleep = Stopped::new(&sleeper);
        // The others may still come to the end of an epoch.
        if reached() < 20 {
            return (addresses, children, sleeper, asleep);
        }
        drop(asleep);
        children.push((stopped, sleeper));
        children.into_iter().for_each(|(_, child)| drop(end(child)));
        std::fs::remove_dir_all(place.path(run)).unwrap();
    }
    panic!("no run is met at work")
}

/// The trained weights of a run.
fn weights(place: &Place, run: &str) -> Vec<u8> {
    std::fs::read(place.path(run).join("checkpoint/e00024.safetensors")).unwrap()
}

fn train_alone(place: &Place) -> Vec<u8> {
    place.run(&[&WORDS[..], &[EPOCHS, SPARSE, "--run-dir", "whole"]].concat()).done();
    weights(place, "whole")
}

#[test]
fn a_stopped_process_is_waited_for_and_the_run_goes_on_when_it_does() {
    let place = Place::with_data();
    let whole = train_alone(&place);
    let (_, mut others, sleeper, asleep) = train(&place, "run", 2, 1);
    let (_, mut first) = others.remove(0);
    // Twice as long as a machine may be silent.
    std::thread::sleep(Duration::from_secs(11));
    assert_eq!(first.try_wait().unwrap(), None, "it waits");
    drop(asleep);
    let outcome = end(first).done();
    let notes = outcome.err.lines().all(|line| line.contains("better than guessing"));
    assert!(notes, "{outcome:?}");
    end(sleeper).done();
    assert!(weights(&place, "run") == whole);
}

#[test]
fn a_second_request_ends_a_process_that_waits_for_a_stopped_one_and_the_run_goes_on() {
    let place = Place::with_data();
    let whole = train_alone(&place);
    for (processes, stopped, interrupted) in [(2, 1, 0), (3, 0, 2)] {
        let run = format!("run-{stopped}-of-{processes}");
        let (addresses, mut others, sleeper, asleep) = train(&place, &run, processes, stopped);
        let at = others.iter().position(|(process, _)| *process == interrupted).unwrap();
        let (_, mut asked) = others.remove(at);
        let name = if stopped == 0 { "TERM" } else { "INT" };
        signal(&asked, name);
        hear(&mut asked, "once more to stop at once\n");
        // Requests that follow each other within a fifth of a second count as one.
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(asked.try_wait().unwrap(), None, "it waits for the one that is stopped");
        signal(&asked, name);
        assert_eq!(end(asked).code, Some(130));
        // All others have lost the one that has ended.
        let lost = format!("spfde: process {interrupted} at {} was lost (", addresses[interrupted]);
        for (_, bystander) in others {
            let outcome = end(bystander);
            assert!(outcome.code == Some(3) && outcome.err.contains(&lost), "{outcome:?}");
        }
        // The stopped one still may write there, and no other process may.
        let refused = place.run(&["resume", &run]);
        refused.refused(1, &format!("{run}: is in use by process {}", sleeper.id()), "");
        drop(asleep);
        // When it wakes up, all have ended, and any of them may be the first that it has lost.
        let outcome = end(sleeper);
        assert!(outcome.code == Some(3) && outcome.err.contains("spfde: process "), "{outcome:?}");
        assert!(outcome.err.contains(" was lost (") && !outcome.err.contains("panicked"), "{outcome:?}");
        place.run(&["resume", &run, "--workers", "2"]).done();
        assert!(weights(&place, &run) == whole, "{run}");
    }
}

#[test]
fn a_process_that_is_interrupted_before_the_start_does_not_wait_for_a_stopped_one() {
    let place = Place::with_data();
    for (stopped, interrupted) in [(1, 0), (0, 1)] {
        // The third does not come.
        let addresses = hosts(&place, 3);
        let run = format!("never-{stopped}");
        let first = start(&place, &[&WORDS[..], &["--run-dir", &run, "--wait", "20"]].concat(), "0");
        connect(&addresses[0]);
        let other = start(&place, &WORDS, "1");
        joined(&place, &run, 1);
        let mut children = [Some(first), Some(other)];
        let sleeper = children[stopped].take().unwrap();
        let asleep = Stopped::new(&sleeper);
        let asked = children[interrupted].take().unwrap();
        signal(&asked, "INT");
        let outcome = end(asked);
        assert_eq!(outcome.code, Some(130), "{outcome:?}");
        let last = "spfde: interrupted before all processes had come together\n";
        assert!(outcome.err.ends_with(last), "{outcome:?}");
        drop(asleep);
        let outcome = end(sleeper);
        let name = format!("process {interrupted} at {}", addresses[interrupted]);
        assert!(outcome.code == Some(1) && outcome.err.contains(&name), "{outcome:?}");
        assert!(!place.path(&run).exists());
    }
}
