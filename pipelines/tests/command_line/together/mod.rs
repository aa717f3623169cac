//! `--hosts`: how processes come together, what keeps them apart, and that no process waits for ever.

mod ended;
mod refused;
mod same;
#[cfg(unix)]
mod stopped;
mod strangers;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crate::addresses::free_addresses;
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

pub(crate) fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn start(place: &Place, given: &[&str], process: &str) -> Child {
    spawn(place.command(&words(given, process)))
}

/// Waits until a process has ended; one that hangs is killed, after far longer than any takes, and so has no
/// exit code.
pub(crate) fn end(child: Child) -> Outcome {
    let (id, (ended, waiting)) = (child.id(), std::sync::mpsc::channel::<()>());
    let limit = std::thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(300)) == Err(RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    limit.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Sends a process the signal of this name.
#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits until a process listens at `address`.
fn connect(address: &str) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match TcpStream::connect(address) {
            // No process listens there yet, and the connection has met itself.
            Ok(stream) if stream.local_addr().unwrap() == stream.peer_addr().unwrap() => (),
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
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

/// Waits until process 0, at `address`, shakes hands: until it answers a stranger, who speaks another
/// version. The answer.
fn greet(address: &str) -> [u8; 20] {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut stream = connect(address);
        let mut answer = [0; 20];
        let hello = [&b"spfde processes\n"[..], &[9, 0, 0, 0]].concat();
        match stream.write_all(&hello).and_then(|()| stream.read_exact(&mut answer)) {
            Ok(()) => return answer,
            // A process that does not come to it in time drops who asks.
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
    }
}

/// Waits until a process says something on standard error that contains `text`; what it has said so far, of
/// which [`end`] tells no more.
fn hear(child: &mut Child, text: &str) -> String {
    let err = child.stderr.as_mut().unwrap();
    let mut said = Vec::new();
    // Byte by byte, so that nothing after it is lost.
    while !String::from_utf8_lossy(&said).contains(text) {
        let mut byte = [0];
        assert!(
            err.read(&mut byte).unwrap() > 0,
            "it ended without `{text}`: {}",
            String::from_utf8_lossy(&said)
        );
        said.push(byte[0]);
    }
    String::from_utf8(said).unwrap()
}
