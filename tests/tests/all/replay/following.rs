//! Runs that are followed while they train: what is found, and written, is what a replay finds of the run
//! that has ended.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use spfde::grid::{Axes, GridOptions, JudgeObserver, JudgedRun, RunCase, judge_runs};
use spfde::{Error, Options, Record};
use spfde_data::files::recording::FollowedEnd;
use spfde_data::files::run_directory::RunDirectory;
use spfde_data::rows::*;
use spfde_flow::{Observer, StepReport};

use super::settings;
use crate::support::{Bench, Recorded};
use crate::verification::{change_file, change_manifest};

const EPOCHS: u32 = 8;

const WORDS: [&str; 8] = [
    "model.name=lenet5",
    "train.epochs=8",
    "mask.sparsity=0.6",
    "mask.interval=1",
    "sieve.fraction=0.3",
    "freeze.flops_reduction=0.12",
    "data.batch_size=16",
    "seed=3",
];

/// Other policies than those of the run, which decide at every epoch.
const ASKED: [&str; 5] = [
    "sieve.policy=random",
    "sieve.interval=1",
    "sieve.stratify=true",
    "freeze.policy=gradient-norm",
    "freeze.threshold=1",
];

/// How far training may be ahead of those who follow it: by then an epoch is committed for sure.
const AHEAD: u32 = 3;

/// How far each follower has come; training waits for all of them.
struct Gate {
    seen: Mutex<Vec<u32>>,
    moved: Condvar,
    /// Ask training to end when it begins this epoch.
    stop: Option<u32>,
    interrupted: Arc<AtomicBool>,
}

impl Gate {
    fn new(followers: usize, stop: Option<u32>) -> Arc<Self> {
        let (seen, moved) = (Mutex::new(vec![0; followers]), Condvar::new());
        Arc::new(Self { seen, moved, stop, interrupted: Arc::default() })
    }

    /// A follower has seen an epoch more.
    fn saw(&self, follower: usize, epochs: u32) {
        self.seen.lock().unwrap()[follower] = epochs;
        self.moved.notify_all();
    }
}

impl Observer for Gate {
    fn step(&self, report: &StepReport) {
        let epoch = report.tick.epoch;
        if self.stop == Some(epoch) {
            self.interrupted.store(true, Ordering::Relaxed);
            return;
        }
        let behind = |seen: &mut Vec<u32>| seen.iter().any(|epochs| epochs + AHEAD < epoch + 1);
        let seen = self.seen.lock().unwrap();
        let patience = Duration::from_secs(120);
        let (seen, waited) = self.moved.wait_timeout_while(seen, patience, behind).unwrap();
        assert!(!waited.timed_out(), "epoch {epoch} trains, and those who follow have seen {seen:?}");
    }
}

struct Follower(Arc<Gate>, usize);

impl Observer for Follower {
    fn epoch(&self, row: &EpochRow) {
        self.0.saw(self.1, row.epoch + 1);
    }
}

impl JudgeObserver for Follower {
    fn epoch(&self, run: &JudgedRun, _: bool) {
        self.0.saw(self.1, run.epochs);
    }
}

fn axes() -> Axes {
    let words = [
        "sieve.policy=circular,forgetting,random",
        "sieve.stratify=false,true",
        "freeze.policy=none,gradient-norm",
    ];
    Axes::from_words(&words.map(str::to_owned)).unwrap()
}

/// Starts training `run` in a thread of its own; comes back when there is something to follow.
fn train(bench: &Bench, run: &Path, gate: &Arc<Gate>) -> JoinHandle<Result<PathBuf, Error>> {
    let experiment = bench.experiment(&[&WORDS[..], &[&bench.data_word()]].concat());
    let observer = Arc::clone(gate) as Arc<dyn Observer>;
    let interrupted = Arc::clone(&gate.interrupted);
    let options =
        Options { directory: Some(run.to_owned()), workers: 2, observer, interrupted, ..Options::default() };
    let handle = std::thread::spawn(move || spfde::run(&experiment, options, spfde::wire));
    while !run.join("manifest.json").exists() {
        assert!(!handle.is_finished() || run.join("manifest.json").exists(), "it begins a run");
        std::thread::sleep(Duration::from_millis(5));
    }
    handle
}

/// Follows `run` into the directory `out`.
fn follow(
    run: &Path,
    out: PathBuf,
    gate: &Arc<Gate>,
    number: usize,
    workers: usize,
) -> JoinHandle<FollowedEnd> {
    let (run, observer) = (run.to_owned(), Arc::new(Follower(Arc::clone(gate), number)));
    std::thread::spawn(move || {
        let record = Record::open_unfinished(&run).unwrap();
        let experiment = record.experiment(settings(&ASKED).entries()).unwrap();
        let options = Options { directory: Some(out), workers, observer, ..Options::default() };
        let replayed = spfde::replay(&record, &experiment, options, spfde::wire).unwrap();
        let end = replayed.end.expect("the only process knows how it ended");
        assert_eq!(replayed.epochs.len(), end.manifest.epochs_reached as usize);
        end
    })
}

/// Judges a grid by `run` into the directory `out`, following it or when it has ended.
fn judge(
    run: &Path,
    out: PathBuf,
    follow: bool,
    observer: Arc<dyn JudgeObserver>,
    workers: usize,
) -> JudgedRun {
    let record = if follow { Record::open_unfinished(run).unwrap() } else { Record::open(run).unwrap() };
    let options =
        GridOptions { directory: Some(out), decisions: true, workers, observer, ..GridOptions::default() };
    judge_runs(&[record.into()], &[], &axes(), Ok, &options).unwrap().pop().unwrap()
}

/// Every file below a directory, with its bytes; a manifest or a lock says more than was decided.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(root: &Path, directory: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                walk(root, &path, files);
            } else if !["manifest.json", "environment.json", "lock"].iter().any(|other| name.ends_with(other))
                && !name.starts_with("trace/timings")
            {
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    walk(directory, directory, &mut files);
    files.sort();
    files
}

pub(crate) fn assert_same_files(left: &Path, right: &Path) {
    let (left, right) = (files(left), files(right));
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right));
    let different = left.iter().zip(&right).find(|(left, right)| left != right);
    assert_eq!(different.map(|(left, _)| &left.0), None);
}

/// Compares what was followed with replays of the run that has ended.
fn assert_as_replayed(bench: &Bench, run: &Path) {
    let record = Record::open(run).unwrap();
    let experiment = record.experiment(settings(&ASKED).entries()).unwrap();
    for workers in [1, 2] {
        let path = bench.path(&format!("afterwards {workers}"));
        let options = Options { directory: Some(path.clone()), workers, ..Options::default() };
        spfde::replay(&record, &experiment, options, spfde::wire).unwrap();
        let followed = bench.path(&format!("followed {workers}"));
        assert_same_files(&followed, &path);
        let (followed, replayed) = (Recorded::open(&followed), Recorded::open(&path));
        followed.assert_sound(record.epochs_reached());
        let without_times = |run: &Recorded| {
            let mut manifest = run.manifest.clone();
            manifest.segments.retain(|segment| segment.stream != "timings");
            manifest
        };
        assert_eq!(without_times(&followed), without_times(&replayed));
    }
    let judged = judge(run, bench.path("judged afterwards"), false, Arc::new(()), 2);
    assert_eq!(judged.end, None);
    assert_same_files(&bench.path("judged"), &bench.path("judged afterwards"));
}

/// Trains a run with three who follow it, and compares.
fn assert_followed(bench: &Bench, stop: Option<u32>) -> (PathBuf, Result<PathBuf, Error>, FollowedEnd) {
    let (run, gate) = (bench.path("run"), Gate::new(3, stop));
    let training = train(bench, &run, &gate);
    let first = follow(&run, bench.path("followed 1"), &gate, 0, 1);
    let second = follow(&run, bench.path("followed 2"), &gate, 1, 2);
    let observer = Arc::new(Follower(Arc::clone(&gate), 2));
    let (path, out) = (run.clone(), bench.path("judged"));
    let third = std::thread::spawn(move || judge(&path, out, true, observer, 2));
    let trained = training.join().unwrap();
    if stop.is_none() {
        assert!(trained.is_ok(), "{trained:?}");
    }
    let ends = [first.join().unwrap(), second.join().unwrap(), third.join().unwrap().end.unwrap()];
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_as_replayed(bench, &run);
    let [end, ..] = ends;
    (run, trained, end)
}

#[test]
fn a_run_that_trains_to_its_end_is_followed_as_it_is_replayed() {
    let bench = Bench::new(90);
    let (_, trained, end) = assert_followed(&bench, None);
    trained.unwrap();
    assert_eq!(
        (end.manifest.epochs_reached, end.manifest.finished, end.manifest.stopped),
        (EPOCHS, true, None)
    );
}

#[test]
fn a_run_that_is_interrupted_is_followed_as_far_as_it_came() {
    let bench = Bench::new(90);
    let (run, trained, end) = assert_followed(&bench, Some(5));
    assert_eq!(trained.unwrap_err().exit_code(), 130);
    assert_eq!((end.manifest.epochs_reached, end.manifest.finished), (5, false));
    assert!(end.manifest.stopped.is_some_and(|why| why.starts_with("interrupted at epoch 6")));
    // A run that was killed has no time to say why. It ends for its followers because no process holds it.
    let mut manifest = Recorded::open(&run).manifest;
    manifest.stopped = None;
    manifest.write(&run).unwrap();
    let gate = Gate::new(1, None);
    let end = follow(&run, bench.path("killed"), &gate, 0, 2).join().unwrap();
    assert_eq!((end.manifest.epochs_reached, end.manifest.finished, end.manifest.stopped), (5, false, None));
    assert_eq!(
        Recorded::open(&bench.path("killed")).manifest.replay_of.unwrap().manifest,
        end.manifest_blake3
    );
}

#[test]
fn a_run_that_ended_before_its_first_epoch_is_named_and_leaves_nothing() {
    let bench = Bench::new(90);
    let run = bench.path("run");
    let gate = Gate::new(0, Some(0));
    train(&bench, &run, &gate).join().unwrap().unwrap_err();
    let expected = "run: was interrupted before its first epoch was recorded; nothing is kept of this replay";
    let error = Record::open_unfinished(&run).unwrap_err().to_string();
    assert!(error.ends_with(expected), "{error}");
    // A follower that opens the run while a process holds it finds out later.
    let held = RunDirectory::resume(&run).unwrap();
    let record = Record::open_unfinished(&run).unwrap();
    let case = RunCase::from(record.clone());
    drop(held);
    let experiment = record.experiment(&[]).unwrap();
    let options = Options { directory: Some(bench.path("out")), workers: 2, ..Options::default() };
    let error = spfde::replay(&record, &experiment, options, spfde::wire).unwrap_err().to_string();
    assert!(error.ends_with(expected), "{error}");
    assert!(!bench.path("out").exists());
    let options =
        GridOptions { directory: Some(bench.path("out")), decisions: true, ..GridOptions::default() };
    let again = judge_runs(&[case], &[], &axes(), Ok, &options).unwrap_err().to_string();
    assert_eq!(again, error);
    assert!(!bench.path("out").exists());
    let refused = Record::open(&run).unwrap_err().to_string();
    assert!(
        refused.contains("epochs_reached is \"0\"") && refused.ends_with("(--follow waits for it)"),
        "{refused}"
    );
}

#[test]
fn a_damaged_segment_of_the_last_epoch_ends_those_who_wait_for_the_next() {
    let bench = Bench::new(64);
    let words = [&bench.data_word(), "model.name=lenet5", "mask.sparsity=0.6", "train.epochs=4"];
    let run = bench.record("run", &bench.experiment(&words), 1);
    change_manifest(&run, |manifest| manifest.finished = false);
    // As if a process trained it.
    let held = RunDirectory::resume(&run.path).unwrap();
    change_file(&run, "trace/scores/e00003-w00.parquet", |bytes| bytes[20] ^= 4);
    for workers in [1, 2] {
        let record = Record::open_unfinished(&run.path).unwrap();
        let experiment = record.experiment(settings(&ASKED).entries()).unwrap();
        let out = bench.path("out");
        let options = Options { directory: Some(out.clone()), workers, ..Options::default() };
        let error = spfde::replay(&record, &experiment, options, spfde::wire).unwrap_err().to_string();
        assert!(error.contains("e00003-w00.parquet") && error.contains("BLAKE3 is "), "{error}");
        assert!(!out.exists(), "nothing is left");
    }
    drop(held);
}
