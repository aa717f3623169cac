//! A machine that vanishes without a word: its cable is pulled, so that no end of a connection is ever told.
//!
//! Each process has a network namespace of its own, connected by a pair of virtual interfaces of which one is
//! taken down. That takes Linux, the program `ip`, and root, or namespaces of one's own:
//!
//! ```text
//! unshare --map-root-user --net --mount sh -c 'mount -t tmpfs none /run &&
//!     cargo test -p spfde-tests --test all -- --ignored --nocapture machine_that_vanishes'
//! ```

use std::process::Command;
use std::time::{Duration, Instant};

use super::lost::assert_last_word;
use super::same::WORDS;
use super::team::{Ended, Team, reach, wait};
use crate::resuming::{assert_equal, finish};
use crate::support::Bench;

/// A network of two machines, which goes away when dropped.
struct Machines([String; 2]);

impl Machines {
    const INTERFACE: &str = "cable";
    /// Of the networks for documentation, so that they belong to no real machine.
    const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

    fn new() -> Self {
        let name = |machine| format!("spfde-{}-{machine}", std::process::id());
        let machines = Self([name(0), name(1)]);
        let [first, second] = &machines.0;
        for namespace in &machines.0 {
            ip(&["netns", "add", namespace]);
        }
        let pair = ["netns", "exec", first, "ip", "link", "add", Self::INTERFACE, "type", "veth"];
        ip(&[&pair[..], &["peer", "name", Self::INTERFACE, "netns", second]].concat());
        for (namespace, address) in machines.0.iter().zip(Self::ADDRESSES) {
            let network = format!("{address}/24");
            ip(&["-netns", namespace, "address", "add", &network, "dev", Self::INTERFACE]);
            ip(&["-netns", namespace, "link", "set", Self::INTERFACE, "up"]);
        }
        machines
    }

    /// Where the processes are: the namespace and the address of each.
    fn places(&self) -> Vec<(String, String)> {
        let addresses = Self::ADDRESSES.iter().map(|address| format!("{address}:2101"));
        self.0.iter().cloned().zip(addresses).collect()
    }

    /// Cuts the machine of process 1 off.
    fn cut(&self) {
        ip(&["-netns", &self.0[1], "link", "set", Self::INTERFACE, "down"]);
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for namespace in &self.0 {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().unwrap_or_else(|error| panic!("ip: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {said}; see how this test is run", words.join(" "));
}

#[test]
#[ignore = "needs root: see the module's documentation"]
fn a_machine_that_vanishes_is_named_and_the_run_goes_on() {
    let bench = Bench::new(80);
    let words = [&WORDS[..], &["train.epochs=120"]].concat();
    let whole = bench.record("whole", &bench.experiment(&words), 1);
    let machines = Machines::new();
    let path = bench.path("run");
    let children = Team { apart: machines.places(), ..Team::new(&bench, &words, 2, 1) }.start(&path);
    reach(&path, 2);
    let cut = Instant::now();
    machines.cut();
    // Each by itself, for the time that it took.
    let watch = |child| std::thread::spawn(move || (wait(vec![child]).remove(0), cut.elapsed()));
    let watched: Vec<_> = children.into_iter().map(watch).collect();
    let ended: Vec<(Ended, Duration)> = watched.into_iter().map(|thread| thread.join().unwrap()).collect();
    for (process, (ended, after)) in ended.iter().enumerate() {
        eprintln!(
            "process {process} ended {:.1} s after the cut: {}",
            after.as_secs_f64(),
            ended.said.trim_end()
        );
        assert_eq!(ended.code, Some(3), "{}", ended.said);
        assert!(!ended.said.contains("panicked"), "{}", ended.said);
        let (other, address) = (1 - process, Machines::ADDRESSES[1 - process]);
        assert_last_word(ended, &path, &format!("process {other} at {address}:2101 "));
    }
    assert_equal(&finish(&bench, &path, 1), &whole, "cut off, then ended by one process");
}
