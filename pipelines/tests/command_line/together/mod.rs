//! `--hosts`: how processes come together, what keeps them apart, and that nobody waits for ever.

mod ended;
mod refused;
mod same;
mod strangers;

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

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
