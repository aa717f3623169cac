//! The fuzz targets without a fuzzer: committed seeds, changed by draws, in a process that may hold so many
//! bytes and no more. Every input is a function of its number, so that a failure comes back.
//!
//! By default some thousand inputs for each target. As many as wanted, for one target or all:
//!
//! ```text
//! SPFDE_FUZZ_INPUTS=1000000 cargo test --release -p spfde-tests --test all -- \
//!     --ignored --nocapture mutated_seeds
//! ```

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use spfde_tests::fuzz::{TARGETS, Target, corpus, memory, mutate};

use crate::support::again;

/// In the child process: the target, how many inputs, the seconds that one may take, and the file of its
/// [`Progress`].
const TARGET: &str = "SPFDE_FUZZ_TARGET";
const INPUTS: &str = "SPFDE_FUZZ_INPUTS";
const SECONDS: &str = "SPFDE_FUZZ_SECONDS";
const PROGRESS: &str = "SPFDE_FUZZ_PROGRESS";

/// Seconds for one input. They take microseconds; this is for loops that do not end.
const LONGEST: u32 = 20;

/// Two numbers in a file, which are there also after the child was ended in the middle of an input: which one
/// it was at, and in the end the bytes that it held at most.
struct Progress(File);

impl Progress {
    fn write(&mut self, number: u64, most_memory: usize) {
        self.0.rewind().unwrap();
        self.0.write_all(&[number.to_le_bytes(), (most_memory as u64).to_le_bytes()].concat()).unwrap();
    }

    fn read(bytes: &[u8]) -> (u64, u64) {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        (number(0), number(8))
    }
}

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
    let Some(progress) = std::env::var_os(PROGRESS) else { return };
    let mut progress = Progress(File::options().write(true).open(progress).unwrap());
    let name = std::env::var(TARGET).unwrap();
    let inputs: u64 = std::env::var(INPUTS).unwrap().parse().unwrap();
    let target = TARGETS.iter().chain(&FAULTY).find(|target| target.name == name).unwrap();
    let seeds: Vec<Vec<u8>> = match corpus(target).is_dir() {
        true => seeds(target).into_iter().map(|(_, bytes)| bytes).collect(),
        false => (target.seeds)().into_iter().map(|(_, bytes)| bytes).collect(),
    };
    // The Parquet library panics on some inputs. The reader catches that, and its message need not be printed
    // a million times.
    std::panic::set_hook(Box::new(|_| ()));
    let longest: u32 = std::env::var(SECONDS).unwrap().parse().unwrap();
    std::thread::spawn(move || end_what_hangs(longest));
    memory::limit_memory();
    for number in 0..inputs {
        let input = mutate::input(&seeds, number);
        progress.write(number, 0);
        AT.store(number, Ordering::Relaxed);
        let result = std::panic::catch_unwind(|| (target.run)(&input));
        if let Err(panic) = result {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            eprintln!("{}", message.unwrap_or_default());
            std::process::exit(1);
        }
    }
    progress.write(inputs, memory::most_memory());
}

/// The input that the child is at.
static AT: AtomicU64 = AtomicU64::new(0);

/// Ends the process when it is at the same input for so many seconds.
fn end_what_hangs(longest: u32) {
    let (mut last, mut seconds) = (0, 0);
    while seconds < longest {
        std::thread::sleep(Duration::from_secs(1));
        let at = AT.load(Ordering::Relaxed);
        seconds = if at == last { seconds + 1 } else { 0 };
        last = at;
    }
    eprintln!("takes more than {longest} s");
    std::process::exit(1);
}

/// What this is to find: readers that fail at inputs longer than their seed.
const FAULTY: [Target; 3] = [
    Target {
        name: "panics",
        run: |bytes| assert!(bytes.len() <= 8, "as it has to be"),
        seeds: || vec![("eight", vec![0; 8])],
    },
    Target {
        name: "reserves",
        run: |bytes| {
            std::hint::black_box(Vec::<u8>::with_capacity(
                bytes.len().saturating_sub(8) * memory::MEMORY_LIMIT,
            ));
        },
        seeds: || vec![("eight", vec![0; 8])],
    },
    Target {
        name: "hangs",
        run: |bytes| {
            while bytes.len() > 8 {
                std::thread::yield_now();
            }
        },
        seeds: || vec![("eight", vec![0; 8])],
    },
];

/// Runs a target on so many inputs, each of which may take so many seconds, in a process of limited memory;
/// returns the bytes that it held at most.
fn run(target: &Target, inputs: u64, longest: u32) -> u64 {
    let progress = tempfile::NamedTempFile::new().unwrap();
    let output = again("fuzzing::child")
        .env(TARGET, target.name)
        .env(INPUTS, inputs.to_string())
        .env(SECONDS, longest.to_string())
        .env(PROGRESS, progress.path())
        .output()
        .unwrap();
    let left = std::fs::read(progress.path()).unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(left.len() == 16, "{}: {:?}: {text}", target.name, output.status);
    let (number, most_memory) = Progress::read(&left);
    assert!(output.status.success(), "{}: input {number}: {:?}: {text}", target.name, output.status);
    assert!(number == inputs && most_memory > 0, "{}: ended at input {number}: {text}", target.name);
    most_memory
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
            "{}: the format changed; write the seeds anew: cargo test -p spfde-tests -- --ignored \
             write_seeds",
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
fn targets_stand_some_thousand_changed_seeds() {
    for target in &TARGETS {
        run(target, 3_000, LONGEST);
    }
}

#[test]
fn faults_are_found_and_named_by_their_number() {
    let longer = |number: &u64| mutate::input(&[vec![0; 8]], *number).len() > 8;
    let first = (0..).find(longer).unwrap();
    for (target, reason) in
        FAULTY.iter().zip(["as it has to be", "memory allocation of ", "takes more than 3 s"])
    {
        let result = std::panic::catch_unwind(|| run(target, first + 1, 3));
        let message = result.unwrap_err().downcast_ref::<String>().unwrap().clone();
        let expected = format!("{}: input {first}: ", target.name);
        assert!(message.starts_with(&expected) && message.contains(reason), "{message}");
        assert!(first == 0 || run(target, first, LONGEST) > 0);
    }
}

#[test]
#[ignore = "minutes: see the module's documentation"]
fn mutated_seeds() {
    let inputs = std::env::var(INPUTS).map_or(100_000, |text| text.parse().unwrap());
    let wanted = std::env::var(TARGET).ok();
    for target in TARGETS.iter().filter(|target| wanted.as_deref().is_none_or(|name| name == target.name)) {
        let begun = Instant::now();
        let most_memory = run(target, inputs, LONGEST) as f64 / 1e6;
        let rate = inputs as f64 / begun.elapsed().as_secs_f64();
        eprintln!("{}: {inputs} inputs, {rate:.0} a second, {most_memory:.1} MB at most", target.name);
    }
}
