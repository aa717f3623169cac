//! `--hosts`: how processes come together, what keeps them apart, and that nobody waits for ever.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::read_stream;
use spfde_data::row;
use spfde_data::rows::*;
use spfde_data::table::Row;

use crate::place::{Outcome, Place};

const WORDS: [&str; 9] = [
    "train",
    "data.path=data",
    "model.name=lenet5",
    "data.batch_size=16",
    "train.epochs=4",
    "mask.sparsity=0.5",
    "mask.interval=1",
    "freeze.policy=none",
    "sieve.fraction=0.3",
];

/// Addresses at which nobody listens: below the ports that the system gives to connections, so that none takes one before it is
/// used.
fn free_addresses(count: usize) -> Vec<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let candidates = std::iter::repeat_with(|| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() * 97);
        format!("127.0.0.1:{}", 20_000 + next % 12_000)
    });
    candidates.filter(|address| TcpListener::bind(address).is_ok()).take(count).collect()
}

/// A hosts file of so many free addresses.
pub(crate) fn hosts(place: &Place, processes: usize) -> Vec<String> {
    let addresses = free_addresses(processes);
    std::fs::write(place.path("hosts"), addresses.join("\n")).unwrap();
    addresses
}

/// Process number `process` of the hosts file, on one worker.
fn words<'a>(words: &[&'a str], process: &'a str) -> Vec<&'a str> {
    [words, &["--hosts", "hosts", "--workers", "1", "--process", process]].concat()
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn start(place: &Place, given: &[&str], process: &str) -> Child {
    spawn(place.command(&words(given, process)))
}

fn end(child: Child) -> Outcome {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Waits until somebody listens.
fn connect(address: &str) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match TcpStream::connect(address) {
            // Nobody listens there yet, and the connection has met itself.
            Ok(stream) if stream.local_addr().unwrap() == stream.peer_addr().unwrap() => (),
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn transcript(place: &Place, run: &str) -> Vec<String> {
    fn lines<R: Row + std::fmt::Debug>(place: &Place, run: &str) -> Vec<String> {
        let path = place.path(run);
        let manifest = Manifest::read(&path).unwrap();
        let batches = read_stream::<R>(&path, &manifest, 0..manifest.epochs);
        let mut rows: Vec<R> = batches.flat_map(|batch| batch.unwrap().into_rows::<R>()).collect();
        rows.sort_by_key(Row::order);
        rows.iter().map(|row| format!("{row:?}")).collect()
    }
    [
        lines::<ScoreRow>(place, run),
        lines::<GradientRow>(place, run),
        lines::<LayerRow>(place, run),
        lines::<MaskRow>(place, run),
        lines::<FreezeRow>(place, run),
        lines::<SieveRow>(place, run),
        lines::<EpochRow>(place, run),
        lines::<ClassRow>(place, run),
    ]
    .concat()
}

row! {
    /// What the example `own_sieve` records on top.
    struct ClassRow in "classes" by (epoch, label) {
        epoch: u32,
        label: u16,
        presented: u32,
        correct: u32,
    }
}

fn weights(place: &Place, run: &str) -> Vec<u8> {
    std::fs::read(place.path(run).join("checkpoint/e00004.safetensors")).unwrap()
}

#[test]
fn the_program_and_the_examples_record_the_same_on_two_processes() {
    let place = Place::with_data();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_spfde"));
    for example in [None, Some("sparse_training"), Some("own_sieve")] {
        let name = example.unwrap_or("spfde");
        let settings = if example.is_none() { &WORDS[..] } else { &WORDS[1..] };
        let command = |words: &[&str]| match example {
            None => place.command(words),
            Some(example) => {
                let path = program.with_file_name("examples").join(example);
                assert!(path.is_file(), "{}: build the examples first", path.display());
                let mut command = Command::new(path);
                command.args(words).current_dir(place.path("")).stdin(Stdio::null());
                command
            }
        };
        let (one, two) = (format!("{name}-1"), format!("{name}-2"));
        let alone = [settings, &["--run-dir", &one, "--workers", "2"]].concat();
        end(spawn(command(&alone))).done();
        hosts(&place, 2);
        let other = spawn(command(&words(settings, "1")));
        let first = end(spawn(command(&words(&[settings, &["--run-dir", &two]].concat(), "0")))).done();
        assert!(first.out.contains("(verified: 4 of 4 epochs"), "{first:?}");
        let other = end(other).done();
        assert!(other.out.ends_with("(process 0 verifies it)\n"), "{other:?}");
        assert!(transcript(&place, &one) == transcript(&place, &two), "{name}");
        assert!(weights(&place, &one) == weights(&place, &two), "{name}");
        let mut left: Vec<_> =
            place.path(&two).read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["checkpoint", "config.toml", "environment.json", "lock", "manifest.json", "trace"]);
    }
}

#[test]
fn what_is_no_hosts_file_or_no_process_of_it_is_refused_before_any_work() {
    let place = Place::with_data();
    let run = |process: &str, more: &[&str]| {
        place.run(&words(&[&WORDS[..], &["--run-dir", "run"], more].concat(), process))
    };
    run("0", &[]).refused(2, "hosts: cannot read the hosts file: ", "");
    for (text, line) in
        [("127.0.0.1\n", 1), ("# a\n127.0.0.1:1\n127.0.0.1:0\n", 3), ("127.0.0.1:1\n127.0.0.1:1", 2)]
    {
        std::fs::write(place.path("hosts"), text).unwrap();
        run("0", &[]).refused(2, &format!("hosts, line {line}: "), "");
    }
    hosts(&place, 2);
    run("2", &[]).refused(2, "--process 2: the hosts file names 2 processes, from 0", "");
    std::fs::write(place.path("secret"), "too short").unwrap();
    run("0", &["--secret", "secret"]).refused(2, "secret: the secret has 9 bytes; take 16 or more", "");
    run("0", &["--secret", "nothing"]).refused(2, "nothing: cannot read the secret: ", "");
    std::fs::write(place.path("hosts"), "127.0.0.1:2101\n192.0.2.1:2101\n").unwrap();
    run("0", &[]).refused(2, "192.0.2.1:2101 is not a loopback address; ", "");
    run("0", &["--trust-network"]).refused(
        2,
        "192.0.2.1:2101 is not a loopback address: there has to be a secret",
        "",
    );
    std::fs::write(place.path("key"), "sixteen bytes and more").unwrap();
    run("0", &["--trust-network", "--secret", "key"]).refused(
        2,
        "127.0.0.1:2101 is 127.0.0.1:2101 on this machine, a loopback address, at which 192.0.2.1:2101 does not find it; ",
        "",
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::write(place.path("hosts"), format!("{}\n127.0.0.1:1", taken.local_addr().unwrap())).unwrap();
    let address = taken.local_addr().unwrap();
    run("0", &[]).refused(1, &format!("cannot listen at {address}: "), "");
    for words in
        [&["--hosts", "hosts"][..], &["--process", "1"], &["--secret", "secret"], &["--trust-network"]]
    {
        assert_eq!(place.run(&[&WORDS[..], words].concat()).code, Some(2), "{words:?}");
    }
    assert!(!place.path("run").exists());
}

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
fn strangers_are_dropped_and_the_wait_goes_on() {
    let place = Place::with_data();
    let addresses = hosts(&place, 2);
    let first = start(&place, &[&WORDS[..], &["--run-dir", "run"]].concat(), "0");
    let mut silent: Vec<TcpStream> = (0..20).map(|_| connect(&addresses[0])).collect();
    let mut requests = connect(&addresses[0]);
    requests.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(requests.read(&mut [0; 100]).unwrap_or(0), 0, "no answer but the end");
    let mut noisy = connect(&addresses[0]);
    let _ = noisy.write_all(&[0xff; 1 << 16]);
    // Who knows the first words, and speaks another version; who ends in the middle.
    let mut newer = connect(&addresses[0]);
    newer.write_all(&[&b"spfde processes\n"[..], &[9, 0, 0, 0], &[0; 32]].concat()).unwrap();
    let mut answer = [0; 52];
    newer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer[..20], b"spfde processes\n\x01\0\0\0");
    drop(newer);
    let mut half = connect(&addresses[0]);
    half.write_all(b"spfde proc").unwrap();
    drop(half);
    // Who keeps silent keeps nobody waiting.
    let other = end(start(&place, &WORDS, "1")).done();
    assert!(other.err.is_empty(), "{other:?}");
    let first = end(first).done();
    assert!(first.err.contains("was dropped: it is no process of spfde; still waiting"), "{first:?}");
    assert!(first.err.contains("was dropped: it speaks version 9 of the protocol"), "{first:?}");
    assert!(!first.err.contains("panicked"), "{first:?}");
    silent.clear();
}

#[test]
fn a_crowd_that_keeps_silent_keeps_nobody_out() {
    let place = Place::with_data();
    let addresses = hosts(&place, 2);
    let wait = ["--wait", "9"];
    let first = start(&place, &[&WORDS[..], &wait, &["--run-dir", "run"]].concat(), "0");
    let silent: Vec<TcpStream> = (0..80).map(|_| connect(&addresses[0])).collect();
    end(start(&place, &[&WORDS[..], &wait].concat(), "1")).done();
    end(first).done();
    drop(silent);
}

#[test]
fn a_stranger_in_the_place_of_process_0_is_not_obeyed() {
    let place = Place::with_data();
    let addresses = hosts(&place, 2);
    let stranger = TcpListener::bind(&addresses[0]).unwrap();
    let other = start(&place, &WORDS, "1");
    let (mut stream, _) = stranger.accept().unwrap();
    drop(stranger);
    let mut hello = [0; 52];
    stream.read_exact(&mut hello).unwrap();
    // It knows the words, and cannot know the proof.
    stream.write_all(&hello).unwrap();
    stream.read_exact(&mut [0; 32]).unwrap();
    let mut verdict = [0; 1024];
    verdict[..7].copy_from_slice(b"\x01\x04\0away");
    stream.write_all(&verdict).unwrap();
    drop(stream);
    end(start(&place, &[&WORDS[..], &["--run-dir", "run"]].concat(), "0")).done();
    let other = end(other).done();
    let note = "does not fit together with this process: away; still trying";
    assert!(other.err.contains(note), "{other:?}");
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

#[test]
fn whoever_works_on_something_else_is_told_what() {
    let place = Place::with_data();
    for run in ["a", "b"] {
        place.run(&[&WORDS[..], &["--run-dir", run]].concat()).done();
    }
    let addresses = hosts(&place, 2);
    let bench = ["bench", "model.name=lenet5", "data.batch_size=8", "--steps", "2", "--json"];
    let cases = [
        (vec!["replay", "a"], vec!["replay", "b"], "they replay different records; "),
        (bench.to_vec(), [&bench[..], &["--frozen", "1"]].concat(), "they measure different things; "),
    ];
    for (right, wrong, reason) in cases {
        let first = start(&place, &right, "0");
        let outcome = end(start(&place, &wrong, "1"));
        let reason = format!("process 0 at {} and this one do not fit together: {reason}", addresses[0]);
        assert!(outcome.code == Some(2) && outcome.err.contains(&reason), "{outcome:?}");
        let other = start(&place, &right, "1");
        end(first).done();
        end(other).done();
    }
}

#[test]
fn whoever_does_not_fit_is_told_why_and_the_wait_goes_on() {
    let place = Place::with_data();
    let addresses = hosts(&place, 2);
    std::fs::write(place.path("secret"), "sixteen bytes and more").unwrap();
    std::fs::write(place.path("other-secret"), "sixteen other bytes").unwrap();
    let secret = ["--secret", "secret"];
    let first = start(&place, &[&WORDS[..], &secret, &["--run-dir", "run"]].concat(), "0");
    drop(connect(&addresses[0]));
    let refused = |words: Vec<&str>, process: &str, reason: &str| {
        let outcome = end(start(&place, &words, process));
        let start = format!("process 0 at {} and this one do not fit together: ", addresses[0]);
        outcome.refused(2, &start, "");
        assert!(outcome.err.contains(reason), "{outcome:?}");
    };
    // Who does not know the secret cannot know either who says so: it mentions it, and goes on trying.
    for other in [&[][..], &["--secret", "other-secret"]] {
        let outcome = end(start(&place, &[&WORDS[..], other, &["--wait", "3"]].concat(), "1"));
        let reason =
            "they have different secrets; give all processes the same (--secret FILE, or SPFDE_SECRET)";
        let note =
            format!("note: whoever is at {} does not fit together with this process: {reason}", addresses[0]);
        let last = format!("spfde: process 0 at {} and this one do not fit together: {reason}", addresses[0]);
        let lines: Vec<&str> = outcome.err.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].starts_with(&note) && lines[1].starts_with(&last),
            "{outcome:?}"
        );
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
    }
    refused([&WORDS[..], &secret, &["seed=9"]].concat(), "1", "their configurations differ");
    refused(
        [&WORDS[..], &secret, &["--run-dir", "elsewhere"]].concat(),
        "1",
        "process 1 does not see the run directory: elsewhere",
    );
    // Another number of workers, or of processes.
    let other = place
        .command(&[&WORDS[..], &secret, &["--hosts", "hosts", "--process", "1", "--workers", "2"]].concat());
    let outcome = end(spawn(other));
    assert!(
        outcome.code == Some(2) && outcome.err.contains("has this many workers: 2, process 0 1"),
        "{outcome:?}"
    );
    std::fs::write(place.path("more"), format!("{}\n127.0.0.1:9\n127.0.0.1:10", addresses.join("\n")))
        .unwrap();
    let other = [&WORDS[..], &secret, &["--hosts", "more", "--process", "1", "--workers", "1"]].concat();
    let outcome = end(spawn(place.command(&other)));
    assert!(
        outcome.code == Some(2) && outcome.err.contains("this many processes: 4, process 0 2"),
        "{outcome:?}"
    );
    // The right one, at last.
    let other = start(&place, &[&WORDS[..], &secret].concat(), "1");
    let first = end(first).done();
    assert!(first.err.contains("was dropped: it does not know the secret; still waiting"), "{first:?}");
    end(other).done();
}

#[test]
fn two_processes_with_one_number_are_one_too_many() {
    let place = Place::with_data();
    let addresses = hosts(&place, 3);
    let first = start(&place, &[&WORDS[..], &["--run-dir", "run"]].concat(), "0");
    let second = start(&place, &WORDS, "1");
    // Its address is taken, so it cannot even ask.
    connect(&addresses[1]);
    let twin = end(start(&place, &WORDS, "1"));
    twin.refused(1, &format!("cannot listen at {}", addresses[1]), "");
    // From another address it asks; whoever came first stays.
    let others = [addresses[0].clone(), free_addresses(1).remove(0), addresses[2].clone()];
    std::fs::write(place.path("other-hosts"), others.join("\n")).unwrap();
    let asks = ["--hosts", "other-hosts", "--workers", "1", "--process", "1"];
    let twin = end(spawn(place.command(&[&WORDS[..], &asks].concat())));
    assert!(twin.code == Some(2) && twin.err.contains("there is a process 1 already; "), "{twin:?}");
    let third = start(&place, &WORDS, "2");
    for process in [first, second, third] {
        end(process).done();
    }
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

#[test]
fn a_bench_of_two_processes_says_so() {
    let place = Place::new();
    hosts(&place, 2);
    let bench = ["bench", "model.name=lenet5", "data.batch_size=8", "--steps", "2", "--json"];
    let other = start(&place, &bench, "1");
    let first = end(start(&place, &bench, "0")).done();
    assert!(first.out.contains("\"workers\":1,\"processes\":2,"), "{first:?}");
    assert_eq!(end(other).done().out, "done: process 0 prints what was measured\n");
}
