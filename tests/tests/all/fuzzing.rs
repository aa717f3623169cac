//! The fuzz targets without a fuzzer: committed seeds, changed by draws, in a process of limited memory. Every input is a
//! function of its number, so that a failure comes back.
//!
//! By default some thousand inputs for each target. As many as wanted, for one target or all:
//!
//! ```text
//! SPFDE_FUZZ_INPUTS=1000000 cargo test --release -p spfde-tests --test all -- --ignored --nocapture mutated_seeds
//! ```

use std::process::Command;
use std::time::{Duration, Instant};

use spfde_tests::fuzz::{TARGETS, Target, corpus, mutate};

/// In the child process: the target, and how many inputs.
const TARGET: &str = "SPFDE_FUZZ_TARGET";
const INPUTS: &str = "SPFDE_FUZZ_INPUTS";

/// Address space of the child, in KiB: the program itself, and 512 MiB for what it reads.
const ADDRESS_SPACE: u32 = 768 << 10;

/// For one input. They take microseconds; this is for loops that do not end.
const LONGEST: Duration = Duration::from_secs(20);

/// The committed seeds of a target.
fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let directory = corpus(target);
    let mut seeds: Vec<(String, Vec<u8>)> = directory
        .read_dir()
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn child() {
    let Ok(name) = std::env::var(TARGET) else { return };
    let inputs: u64 = std::env::var(INPUTS).unwrap().parse().unwrap();
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, bytes)| bytes).collect();
    // The Parquet library panics on some inputs; that is caught, and nobody need read it a million times.
    std::panic::set_hook(Box::new(|_| ()));
    for number in 0..inputs {
        let input = mutate::input(&seeds, number);
        let begun = Instant::now();
        let result = std::panic::catch_unwind(|| (target.run)(&input));
        if let Err(panic) = result {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            eprintln!("{name}: input {number}: {}", message.unwrap_or_default());
            std::process::exit(1);
        }
        if begun.elapsed() > LONGEST {
            eprintln!("{name}: input {number} took {:?}", begun.elapsed());
            std::process::exit(1);
        }
    }
}

/// Runs a target on so many inputs, in a process of limited memory.
fn run(target: &Target, inputs: u64) {
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {ADDRESS_SPACE} && exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "fuzzing::child", "--ignored", "--nocapture", "--test-threads", "1"])
        .env(TARGET, target.name)
        .env(INPUTS, inputs.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {:?}: {text}", target.name, output.status);
}

#[test]
fn the_seeds_are_what_the_code_makes_of_them_and_are_accepted() {
    let mut total = 0;
    for target in &TARGETS {
        let mut made = (target.seeds)();
        made.sort();
        let committed = seeds(target);
        assert!(
            made.iter()
                .map(|(name, bytes)| (*name, bytes))
                .eq(committed.iter().map(|(n, b)| (n.as_str(), b))),
            "{}: the format changed; write the seeds anew: cargo test -p spfde-tests -- --ignored write_seeds",
            target.name
        );
        for (_, bytes) in &committed {
            (target.run)(bytes);
            total += bytes.len();
        }
    }
    assert!(total < 1 << 20, "{total}");
}

#[test]
#[ignore = "writes into the source tree"]
fn write_seeds() {
    for target in &TARGETS {
        let directory = corpus(target);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        for (name, bytes) in (target.seeds)() {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
    }
}

#[test]
fn every_target_has_its_binary() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/fuzz_targets");
    let mut found: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, TARGETS.map(|target| target.name));
}

#[test]
#[cfg(unix)]
fn targets_stand_some_thousand_changed_seeds() {
    TARGETS.iter().for_each(|target| run(target, 3_000));
}

#[test]
#[cfg(unix)]
#[ignore = "minutes: see the module's documentation"]
fn mutated_seeds() {
    let inputs = std::env::var(INPUTS).map_or(100_000, |text| text.parse().unwrap());
    let wanted = std::env::var(TARGET).ok();
    for target in TARGETS.iter().filter(|target| wanted.as_deref().is_none_or(|name| name == target.name)) {
        let begun = Instant::now();
        run(target, inputs);
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("{}: {inputs} inputs, {:.0} a second", target.name, inputs as f64 / seconds);
    }
}
