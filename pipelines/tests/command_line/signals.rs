//! Signals that are not requests to end, or come where they are none.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use spfde_data::files::manifest::Manifest;

use crate::place::Place;

pub(crate) const TRAIN: &str =
    "train data.path=data model.name=lenet5 mask.sparsity=0.5 freeze.policy=none --workers 1 --run-dir run";

pub(crate) fn send(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The program with these words, as a shell starts it that has done `first`.
fn after(place: &Place, first: &str, words: &str) -> Command {
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_spfde");
    shell.arg("-c").arg(format!("{first}; exec '{program}' {words}")).current_dir(place.path(""));
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

/// Waits until a run has come so far, which this process trains.
pub(crate) fn reach(training: &mut Child, run: &Path, epochs: u32) {
    // Far more than it takes; only a run that hangs gets there.
    let deadline = Instant::now() + Duration::from_secs(120);
    while Manifest::read(run).map_or(0, |manifest| manifest.epochs_reached) < epochs {
        let trains = training.try_wait().unwrap().is_none();
        assert!(trains && Instant::now() < deadline, "epoch {epochs} was not committed");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_hangup_that_is_ignored_stays_ignored() {
    let place = Place::with_data();
    let mut child = after(&place, "trap '' HUP", &format!("{TRAIN} train.epochs=10000")).spawn().unwrap();
    reach(&mut child, &place.path("run"), 1);
    send(&child, "-HUP");
    let seen = Manifest::read(&place.path("run")).unwrap().epochs_reached;
    // A process that takes the signal for a request to end stops after the step in flight.
    reach(&mut child, &place.path("run"), seen + 5);
    send(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
}

#[test]
fn a_file_that_may_not_be_so_large_is_an_error_like_a_full_disk() {
    let place = Place::with_data();
    let whole = TRAIN.replace("--run-dir run", "--run-dir whole train.epochs=2");
    place.run(&whole.split(' ').collect::<Vec<_>>()).done();
    // Blocks of 512 bytes: fewer than the weights take.
    let limited = after(&place, "ulimit -f 20", &format!("{TRAIN} train.epochs=2")).output().unwrap();
    let said = String::from_utf8(limited.stderr).unwrap();
    assert_eq!(limited.status.code(), Some(3), "{said}");
    assert!(said.contains("File too large") && said.contains("resume with: spfde resume run"), "{said}");
    place.run(&["resume", "run"]).done();
    let weights = |run: &str| std::fs::read(place.path(run).join("checkpoint/e00002.safetensors")).unwrap();
    assert!(weights("run") == weights("whole"));
}

#[test]
#[cfg(target_os = "linux")]
fn who_is_asked_to_end_while_nobody_reads_its_table_ends_at_once() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    // As much as a pipe holds: whatever is written to it waits for a reader.
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'.'; 1 << 16]).unwrap();
    let mut replay = place.command(&["replay", "run", "--out", "replayed"]);
    let child = replay.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !Manifest::read(&place.path("replayed")).is_ok_and(|manifest| manifest.finished) {
        assert!(Instant::now() < deadline, "it was not replayed");
        std::thread::sleep(Duration::from_millis(5));
    }
    // From here to the table it is not far.
    std::thread::sleep(Duration::from_millis(500));
    send(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "spfde: interrupted\n");
    drop(reader);
}
