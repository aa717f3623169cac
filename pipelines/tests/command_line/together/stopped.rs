//! Processes that are alive and do nothing, as SIGSTOP leaves them: the others say whom they wait for, and end without them when
//! they are asked to; whoever wakes up finds itself alone, and nothing is damaged.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use spfde_data::files::manifest::Manifest;

use super::{WORDS, connect, end, hear, hosts, signal, start, words};
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

/// Waits until `is_so`.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until process number `process` has joined the new run `run`.
fn joined(place: &Place, run: &str, process: usize) {
    let lock = place.path(run).join(format!("lock-{process:02}"));
    until("it joins", || lock.exists());
}

/// Starts so many processes at a new run and stops one of them in the middle: the addresses, the processes that are not
/// stopped, by their numbers, and the one that is.
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

/// Reads from `from` until a line contains `wanted`; what was read.
fn read_until(from: &mut impl BufRead, wanted: &str) -> String {
    let mut read = String::new();
    loop {
        let line = read.len();
        assert!(from.read_line(&mut read).unwrap() > 0, "{wanted} is missing: {read}");
        if read[line..].contains(wanted) {
            return read;
        }
    }
}

#[test]
fn whoever_waits_for_a_stopped_process_names_it_and_goes_on_with_it() {
    let place = Place::with_data();
    let whole = train_alone(&place);
    let (addresses, mut others, sleeper, asleep) = train(&place, "run", 2, 1);
    let (_, mut first) = others.remove(0);
    let name = format!("process 1 at {}", addresses[1]);
    let said = hear(&mut first, "goes on with the run)\n");
    let note = format!(
        "note: no word from {name} for 10 s: it may be stopped; still waiting (Ctrl-C ends this process; `spfde resume` goes on \
         with the run)\n"
    );
    assert_eq!(said, note);
    drop(asleep);
    hear(&mut first, &format!("{name} is there again, after "));
    end(first).done();
    end(sleeper).done();
    assert!(weights(&place, "run") == whole);
}

#[test]
fn whoever_is_interrupted_does_not_wait_for_a_stopped_process_and_the_run_goes_on() {
    let place = Place::with_data();
    let whole = train_alone(&place);
    for (processes, stopped, interrupted) in [(2, 1, 0), (2, 0, 1), (3, 0, 2)] {
        let run = format!("run-{stopped}-of-{processes}");
        let (addresses, mut others, sleeper, asleep) = train(&place, &run, processes, stopped);
        let at = others.iter().position(|(process, _)| *process == interrupted).unwrap();
        let (_, asked) = others.remove(at);
        signal(&asked, if stopped == 0 { "TERM" } else { "INT" });
        let outcome = end(asked);
        assert_eq!(outcome.code, Some(130), "{outcome:?}");
        let name = format!("process {stopped} at {}", addresses[stopped]);
        let last = outcome.err.trim_end().lines().last().unwrap();
        let start = format!(
            "spfde: interrupted, without {name} (no word has come from it since: it may be stopped); "
        );
        assert!(last.starts_with(&start) && last.ends_with(&run), "{outcome:?}");
        assert!(last.contains("; when all processes have ended, resume with: spfde resume "), "{outcome:?}");
        assert!(last.contains(" are committed in "), "{outcome:?}");
        // All others have lost the one that has ended.
        let lost = format!("spfde: process {interrupted} at {} was lost (", addresses[interrupted]);
        for (_, bystander) in others {
            let outcome = end(bystander);
            assert!(outcome.code == Some(3) && outcome.err.contains(&lost), "{outcome:?}");
        }
        // It still may write there, and nobody else may.
        let refused = place.run(&["resume", &run]);
        refused.refused(1, &format!("{run}: is in use by process {}", sleeper.id()), "");
        drop(asleep);
        // When it wakes up, all have ended, and any of them may be the first that it has lost.
        let outcome = end(sleeper);
        assert!(outcome.code == Some(3) && outcome.err.starts_with("spfde: process "), "{outcome:?}");
        assert!(outcome.err.contains(" was lost ("), "{outcome:?}");
        assert!(!outcome.err.contains("panicked"), "{outcome:?}");
        place.run(&["resume", &run, "--workers", "2"]).done();
        assert!(weights(&place, &run) == whole, "{run}");
    }
}

/// A stream that nobody reads and that takes nothing more.
fn unread() -> (UnixStream, UnixStream) {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(&[b'.'; 4096]).is_ok() {}
    // To the last byte, so that not even a short line fits.
    while writer.write(b".").is_ok() {}
    writer.set_nonblocking(false).unwrap();
    (reader, writer)
}

#[test]
fn whoever_is_interrupted_ends_though_nobody_reads_what_it_says() {
    let place = Place::with_data();
    let given = [&WORDS[..], &["train.epochs=10000", SPARSE]].concat();
    for (run, processes) in [("alone", 1), ("both", 2)] {
        hosts(&place, processes);
        let (reader, writer) = unread();
        let first = words(&[&given[..], &["--run-dir", run]].concat(), "0");
        let first =
            place.command(&first).stdout(Stdio::piped()).stderr(OwnedFd::from(writer)).spawn().unwrap();
        let other = (processes == 2).then(|| start(&place, &given, "1"));
        let reached = || Manifest::read(&place.path(run)).map_or(0, |manifest| manifest.epochs_reached);
        until("it trains", || reached() >= 1);
        // It would name the other, which is stopped, and say that it waits: it need not get that off first.
        let asleep = other.as_ref().map(Stopped::new);
        signal(&first, "INT");
        assert_eq!(end(first).code, Some(130), "{run}");
        drop((asleep, reader));
        if let Some(other) = other {
            assert_eq!(end(other).code, Some(3));
        }
        place.run(&["verify", run]).done();
    }
}

#[test]
fn whoever_is_interrupted_before_the_start_waits_for_nobody() {
    let place = Place::with_data();
    for (stopped, interrupted) in [(1, 0), (0, 1)] {
        // The third does not come.
        let addresses = hosts(&place, 3);
        let run = format!("never-{stopped}");
        let first = start(&place, &[&WORDS[..], &["--run-dir", &run]].concat(), "0");
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

#[test]
fn whoever_follows_a_run_does_not_wait_for_a_stopped_process() {
    let place = Place::with_data();
    hosts(&place, 2);
    let run = [&WORDS[..], &["train.epochs=2000", "--run-dir", "run"]].concat();
    let mut training = place.command(&run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it trains", || {
        Manifest::read(&place.path("run")).is_ok_and(|manifest| manifest.epochs_reached >= 2)
    });
    // So that it does not end.
    let unfinished = Stopped::new(&training);
    for interrupted in [0, 1] {
        let addresses = hosts(&place, 2);
        let follow = ["replay", "--follow", "run", "sieve.fraction=0.4"];
        let mut first = start(&place, &follow, "0");
        let other = start(&place, &follow, "1");
        let mut out = BufReader::new(first.stdout.take().unwrap());
        read_until(&mut out, "epoch ");
        let mut children = [Some(first), Some(other)];
        let sleeper = children[1 - interrupted].take().unwrap();
        let asleep = Stopped::new(&sleeper);
        let asked = children[interrupted].take().unwrap();
        signal(&asked, "INT");
        let outcome = end(asked);
        assert_eq!(outcome.code, Some(130), "{outcome:?}");
        let name = format!("process {} at {}", 1 - interrupted, addresses[1 - interrupted]);
        let last = outcome.err.trim_end().lines().last().unwrap();
        assert!(last.starts_with(&format!("spfde: interrupted, without {name} (")), "{outcome:?}");
        drop(asleep);
        let outcome = end(sleeper);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let lost = format!("spfde: process {interrupted} at {} was lost (", addresses[interrupted]);
        assert!(outcome.err.contains(&lost), "{outcome:?}");
    }
    training.kill().unwrap();
    drop(unfinished);
    training.wait().unwrap();
}
