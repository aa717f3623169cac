//! Processes that die at any moment, and disks that fill up: what is committed is whole, and the run goes on
//! to the same bits.
//!
//! The runs are processes of their own: this test program again, which runs the test [`process`] only. By
//! default a sample of the moments is tried. All of them:
//!
//! ```text
//! cargo test --release -p spfde-tests --test all -- --ignored --test-threads 1 \
//!     every_file_operation random_moments
//! ```

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use spfde_data::files::manifest::Manifest;
use spfde_data::random::{Purpose, draw};

use crate::faults;
use crate::resuming::{assert_equal, finish, open, until};
use crate::support::{Bench, Recorded, again};
use crate::together::{Ended, Team, WAIT, wait};

use spfde::Options;

pub(crate) const WORDS: [&str; 7] = [
    "model.name=lenet5",
    "train.epochs=3",
    "mask.sparsity=0.6",
    "mask.interval=1",
    "sieve.fraction=0.3",
    "freeze.flops_reduction=0.05",
    "freeze.interval=1",
];
const SAMPLES: usize = 60;

/// Where the process trains, on how many workers, for how many epochs.
const RUN: &str = "SPFDE_TEST_RUN";
const WORKERS: &str = "SPFDE_TEST_WORKERS";
const EPOCHS: &str = "SPFDE_TEST_EPOCHS";

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn process() {
    let Some(path) = std::env::var_os(RUN) else { return };
    faults::install();
    let path = Path::new(&path);
    let number = |name: &str| std::env::var(name).unwrap().parse().unwrap();
    let bench = Bench::new(SAMPLES);
    let options = || Options { workers: number(WORKERS), ..Options::default() };
    let result = if path.join("config.toml").exists() {
        spfde::resume(path, |configuration| bench.prepare(configuration), options(), spfde::wire)
    } else {
        let epochs = format!("train.epochs={}", number(EPOCHS));
        let experiment = bench.experiment(&[&WORDS[..], &[epochs.as_str()]].concat());
        let options = Options { directory: Some(path.to_owned()), ..options() };
        spfde::run(&experiment, options, spfde::wire)
    };
    match result {
        Ok(_) => eprintln!("operations: {}", faults::count()),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(error.exit_code().into());
        }
    }
}

/// A process that trains, or goes on training, in `path`.
pub(crate) fn command(path: &Path, workers: usize, epochs: u32) -> Command {
    let mut command = again("crashing::process");
    command.env(RUN, path).env(WORKERS, workers.to_string()).env(EPOCHS, epochs.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

pub(crate) fn output(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}

/// How many file operations an uninterrupted run takes.
fn operations(bench: &Bench, workers: usize) -> u64 {
    let (output, text) = output(&mut command(&bench.path(&format!("counted-{workers}")), workers, 3));
    assert!(output.status.success(), "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix("operations: "));
    line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

/// Takes the run in `path` to its end, from whatever a process has left there, and compares.
pub(crate) fn go_on(bench: &Bench, path: &Path, whole: &Recorded, what: &str) {
    let run = if path.join("config.toml").exists() {
        match open(bench, path) {
            Ok(spfde::Resumed::Finished(_)) => Recorded::open(path),
            Ok(unfinished) => {
                drop(unfinished);
                finish(bench, path, 1)
            }
            Err(error) => panic!("{what}: {error}"),
        }
    } else {
        // Nothing was begun: the same command again.
        let (output, text) = output(&mut command(path, 1, 3));
        assert!(output.status.success(), "{what}: {text}");
        Recorded::open(path)
    };
    assert_equal(&run, whole, what);
}

/// Ends a process before, or in the middle of, each of the file operations `wanted` of about `count`.
fn abort_at(bench: &Bench, whole: &Recorded, workers: usize, count: u64, wanted: impl Iterator<Item = u64>) {
    for number in wanted {
        let path = bench.path(&format!("abort-{workers}-{number}"));
        let mut process = command(&path, workers, 3);
        let (output, text) = output(process.env("SPFDE_ABORT_AT", number.to_string()));
        // Of two workers that want the same directory one may find it there: the count varies by a few.
        assert!(!output.status.success() || number + 8 > count, "{number}: it comes to its end: {text}");
        go_on(bench, &path, whole, &format!("aborted at operation {number} on {workers} workers"));
        std::fs::remove_dir_all(&path).unwrap();
    }
}

/// As [`abort_at`] for two processes: process `process` ends before, or in the middle of, its file operations
/// `wanted`.
fn abort_one_of_two_at(bench: &Bench, whole: &Recorded, process: usize, wanted: impl Iterator<Item = u64>) {
    for number in wanted {
        let path = bench.path(&format!("abort-{process}-of-2-{number}"));
        let mut team = pair(bench, &WORDS);
        team.variables.push((process, "SPFDE_ABORT_AT", number.to_string()));
        let ended = team.run(&path);
        assert_ended(&ended, process);
        go_on(bench, &path, whole, &format!("process {process} of 2 aborted at operation {number}"));
        let _ = std::fs::remove_dir_all(&path);
    }
}

/// Two processes that do not wait long for each other.
pub(crate) fn pair<'a>(bench: &'a Bench, words: &'a [&'a str]) -> Team<'a> {
    let variables = (0..2).map(|process| (process, WAIT, "5".to_owned())).collect();
    Team { variables, ..Team::new(bench, words, 2, 1) }
}

/// That the others of a process that was ended say so and have a documented exit code: 3 if the run had
/// begun, 1 if not, 0 if it was at its end.
fn assert_ended(ended: &[Ended], victim: usize) {
    for (process, ended) in ended.iter().enumerate().filter(|(process, _)| *process != victim) {
        let Ended { code, said } = ended;
        assert!(matches!(code, Some(0 | 1 | 3)), "process {process}: {code:?}: {said}");
        assert!(!said.contains("panicked"), "process {process}: {said}");
        assert_eq!(*code == Some(3), said.contains("resume with: "), "process {process}: {said}");
    }
}

/// How many file operations each of two processes takes.
fn operations_of_two(bench: &Bench) -> [u64; 2] {
    let ended = Team::new(bench, &WORDS, 2, 1).run(&bench.path("counted-2-processes"));
    [0, 1].map(|process| {
        let Ended { code, said } = &ended[process];
        assert_eq!(*code, Some(0), "{said}");
        let line = said.lines().find_map(|line| line.strip_prefix("operations: "));
        line.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
    })
}

/// Lets all file operations from each of the `wanted` on fail.
fn fill_up_at(bench: &Bench, whole: &Recorded, wanted: impl Iterator<Item = u64>) {
    for number in wanted {
        let path = bench.path(&format!("full-{number}"));
        let mut process = command(&path, 2, 3);
        let (output, text) = output(process.env("SPFDE_FAIL_AT", number.to_string()));
        let code = output.status.code();
        // Removing files that the manifest does not name may fail without harm.
        if code == Some(0) {
            assert_equal(&Recorded::open(&path), whole, &format!("full at {number}"));
            continue;
        }
        assert!(matches!(code, Some(1 | 3)), "{number}: {code:?}: {text}");
        let place = path.parent().unwrap().to_str().unwrap();
        assert!(text.contains(place), "{number}: the path is named: {text}");
        assert!(text.contains("; make room there, then do it again"), "{number}: {text}");
        assert_eq!(code == Some(3), text.contains("resume with: "), "{number}: {text}");
        go_on(bench, &path, whole, &format!("full at operation {number}"));
        std::fs::remove_dir_all(&path).unwrap();
    }
}

/// The data, and the run that was not interrupted.
pub(crate) fn prepared() -> (Bench, Recorded) {
    let bench = Bench::new(SAMPLES);
    let whole = bench.record("whole", &bench.experiment(&WORDS), 2);
    (bench, whole)
}

#[test]
fn a_process_that_dies_at_a_file_operation_loses_nothing() {
    let (bench, whole) = prepared();
    let count = operations(&bench, 2);
    assert!(count > 100, "{count}");
    // The first few by themselves: before there is a manifest.
    abort_at(&bench, &whole, 2, count, (1..=count).step_by(count as usize / 9 + 1).chain([2, 6, 9, count]));
}

#[test]
fn one_of_two_processes_that_dies_at_a_file_operation_loses_nothing() {
    let (bench, whole) = prepared();
    let counts = operations_of_two(&bench);
    for (process, count) in counts.into_iter().enumerate() {
        assert!(count > 50, "{counts:?}");
        let wanted = (1..=count).step_by(count as usize / 4 + 1).chain([5, count]);
        abort_one_of_two_at(&bench, &whole, process, wanted);
    }
}

#[test]
fn a_disk_that_fills_up_loses_nothing() {
    let (bench, whole) = prepared();
    let count = operations(&bench, 2);
    fill_up_at(&bench, &whole, (2..count).step_by(count as usize / 6 + 1));
}

/// Fills the disk at each of the first operations, until a run is begun.
fn fill_up_before_it_begins(bench: &Bench, existed: bool) {
    for number in 1.. {
        let path = bench.path(&format!("never-{existed}-{number}"));
        if existed {
            std::fs::create_dir(&path).unwrap();
        }
        let (output, text) = output(command(&path, 1, 3).env("SPFDE_FULL_AT", number.to_string()));
        if output.status.code() == Some(3) {
            // The configuration, the description of the machine and the manifest take more than three
            // operations each.
            assert!(number > 9, "{number}: {text}");
            return;
        }
        assert_eq!(output.status.code(), Some(1), "{number}: {text}");
        assert!(text.contains("; make room there, then do it again"), "{number}: {text}");
        assert_eq!(path.exists(), existed, "{number}: {text}");
        let left = path.read_dir().into_iter().flatten().count();
        assert_eq!(left, 0, "{number}: {text}");
    }
}

#[test]
fn a_run_that_cannot_be_created_on_a_full_disk_leaves_nothing() {
    let bench = Bench::new(SAMPLES);
    fill_up_before_it_begins(&bench, false);
    fill_up_before_it_begins(&bench, true);
}

#[test]
#[ignore = "minutes: see the module's documentation"]
fn every_file_operation_of_a_run() {
    let (bench, whole) = prepared();
    for workers in [1, 2] {
        let count = operations(&bench, workers);
        eprintln!("{workers} workers: {count} operations");
        abort_at(&bench, &whole, workers, count, 1..=count);
    }
    fill_up_at(&bench, &whole, 1..=operations(&bench, 2));
}

#[test]
#[ignore = "minutes: see the module's documentation"]
fn every_file_operation_of_two_processes() {
    let (bench, whole) = prepared();
    for (process, count) in operations_of_two(&bench).into_iter().enumerate() {
        eprintln!("process {process} of 2: {count} operations");
        abort_one_of_two_at(&bench, &whole, process, 1..=count);
    }
}

/// Kills a process without warning.
fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Who trains.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Crew {
    Workers(usize),
    TwoProcesses,
}

/// Kills runs at random moments, often again as they go on, until `wanted` processes of each crew have died
/// at work.
fn kill_at_random(wanted: u32) {
    let (bench, whole) = prepared();
    for crew in [Crew::Workers(1), Crew::Workers(2), Crew::TwoProcesses] {
        let begun = Instant::now();
        match crew {
            Crew::Workers(workers) => drop(operations(&bench, workers)),
            Crew::TwoProcesses => drop(operations_of_two(&bench)),
        }
        let longest = begun.elapsed().as_micros() as u64;
        let mut died = 0;
        for round in 0.. {
            assert!(round < 50 * u64::from(wanted), "{crew:?}: only {died} died at work");
            let path = bench.path(&format!("killed-{crew:?}-{round}"));
            for again in 0..1 + round % 3 {
                let after = draw(5, Purpose::Synthetic, round, again) % longest;
                died += u32::from(kill_one(&bench, &path, crew, Duration::from_micros(after), round + again));
            }
            go_on(&bench, &path, &whole, &format!("{crew:?}, killed in round {round}"));
            let _ = std::fs::remove_dir_all(&path);
            if died >= wanted {
                eprintln!("{crew:?}: {died} processes died at work in {} runs", round + 1);
                break;
            }
        }
    }
}

/// Starts a run in `path`, or lets it go on there, and kills a process of it `after` a while; whether it was
/// at work.
fn kill_one(bench: &Bench, path: &Path, crew: Crew, after: Duration, choice: u64) -> bool {
    let Crew::Workers(workers) = crew else {
        return kill_one_of_two(bench, path, after, choice as usize % 2);
    };
    let mut child = command(path, workers, 3).spawn().unwrap();
    std::thread::sleep(after);
    let at_work = child.try_wait().unwrap().is_none();
    kill(&mut child);
    at_work
}

/// Starts two processes in `path`, or lets them go on there, and kills one of them `after` a while; whether
/// it was at work.
fn kill_one_of_two(bench: &Bench, path: &Path, after: Duration, victim: usize) -> bool {
    let words: &[&str] = if path.join("config.toml").exists() { &[] } else { &WORDS };
    let mut children = pair(bench, words).start(path);
    std::thread::sleep(after);
    let at_work = children[victim].try_wait().unwrap().is_none();
    children[victim].kill().unwrap();
    // One that had not found the other yet waits for as long as it was told to.
    assert_ended(&wait(children), victim);
    at_work
}

#[test]
fn runs_that_are_killed_at_a_few_random_moments_go_on() {
    kill_at_random(2);
}

#[test]
#[ignore = "minutes: see the module's documentation"]
fn a_hundred_kills_at_random_moments() {
    kill_at_random(34);
}

#[test]
fn a_run_is_free_the_moment_the_process_that_held_it_is_killed() {
    let bench = Bench::new(SAMPLES);
    let path = bench.path("held");
    let mut child = command(&path, 2, 10_000).spawn().unwrap();
    // Far more than it takes; only a run that hangs gets there.
    let deadline = Instant::now() + Duration::from_secs(120);
    while Manifest::read(&path).map_or(0, |manifest| manifest.epochs_reached) < 2 {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it trains");
        std::thread::sleep(Duration::from_millis(10));
    }
    let error = open(&bench, &path).err().expect("it is held");
    assert!(error.to_string().contains(&format!("is in use by process {}", child.id())), "{error}");
    kill(&mut child);
    let run = crate::resuming::unfinished(&bench, &path);
    let reached = run.epoch();
    assert!(reached >= 2);
    // It goes on, and is stopped in good order.
    let error = run.run(until(reached + 1, 0, 2), spfde::wire).unwrap_err();
    assert_eq!(error.exit_code(), 130, "{error}");
    let run = Recorded::open(&path);
    assert!(run.manifest.epochs_reached > reached);
    run.assert_sound(run.manifest.epochs_reached);
}
