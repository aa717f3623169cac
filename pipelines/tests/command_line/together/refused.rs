//! Processes that do not fit together are told why, before any work.

use std::net::TcpListener;

use super::{WORDS, connect, end, greet, hosts, joined, spawn, start, words};
use crate::addresses::free_addresses;
use crate::place::Place;

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
        "127.0.0.1:2101 is 127.0.0.1:2101 on this machine, a loopback address, at which \
         192.0.2.1:2101 does not find it; ",
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
fn whoever_does_not_fit_is_told_why_and_the_wait_goes_on() {
    let place = Place::with_data();
    let addresses = hosts(&place, 2);
    std::fs::write(place.path("secret"), "sixteen bytes and more").unwrap();
    std::fs::write(place.path("other-secret"), "sixteen other bytes").unwrap();
    let secret = ["--secret", "secret"];
    let first = start(&place, &[&WORDS[..], &secret, &["--wait", "600", "--run-dir", "run"]].concat(), "0");
    drop(connect(&addresses[0]));
    // From now on it answers, and those who have little time need not wait for it.
    greet(&addresses[0]);
    let refused = |words: Vec<&str>, process: &str, reason: &str| {
        let outcome = end(start(&place, &words, process));
        let start = format!("process 0 at {} and this one do not fit together: ", addresses[0]);
        outcome.refused(2, &start, "");
        assert!(outcome.err.contains(reason), "{outcome:?}");
    };
    // Who does not know the secret cannot know either who says so: it mentions it, and goes on trying.
    for other in [&[][..], &["--secret", "other-secret"]] {
        let outcome = end(start(&place, &[&WORDS[..], other, &["--wait", "5"]].concat(), "1"));
        let reason = "they have different secrets, or one of them has none; \
                      give all processes the same (--secret FILE, or SPFDE_SECRET)";
        let note = format!(
            "note: the program at {} does not fit together with this process: {reason}",
            addresses[0]
        );
        let last = format!("spfde: process 0 at {} and this one do not fit together: {reason}", addresses[0]);
        let lines: Vec<&str> = outcome.err.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].starts_with(&note) && lines[1].starts_with(&last),
            "{outcome:?}"
        );
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
    }
    refused(
        [&WORDS[..], &secret, &["seed=9"]].concat(),
        "1",
        "differ: seed is 9 in process 1, 0 in process 0; give",
    );
    // Keys of the policy, and what they resolve to, follow from the one that was set.
    refused(
        [&WORDS[..], &secret, &["freeze.policy=gradient-norm"]].concat(),
        "1",
        "differ: freeze.policy is \"gradient-norm\" in process 1, \"none\" in process 0; give",
    );
    refused(
        [&WORDS[..], &secret, &["--run-dir", "elsewhere"]].concat(),
        "1",
        "that all processes share (train --run-dir, resume RUN): elsewhere/processes.key: ",
    );
    // Another number of workers, or of processes.
    let other = place
        .command(&[&WORDS[..], &secret, &["--hosts", "hosts", "--process", "1", "--workers", "2"]].concat());
    let outcome = end(spawn(other));
    assert!(
        outcome.code == Some(2) && outcome.err.contains("--workers is 2 in process 1, 1 in process 0; give"),
        "{outcome:?}"
    );
    std::fs::write(place.path("more"), format!("{}\n127.0.0.1:9\n127.0.0.1:10", addresses.join("\n")))
        .unwrap();
    let other = [&WORDS[..], &secret, &["--hosts", "more", "--process", "1", "--workers", "1"]].concat();
    let outcome = end(spawn(place.command(&other)));
    assert!(
        outcome.code == Some(2)
            && outcome.err.contains("process 1 of 4 looks for process 0 where process 0 of 2 is; "),
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
    // Its address is taken, so the next cannot even ask.
    joined(&place, "run", 1);
    let twin = end(start(&place, &WORDS, "1"));
    twin.refused(1, &format!("cannot listen at {}", addresses[1]), "");
    // From another address the twin asks; the process that came first stays.
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
