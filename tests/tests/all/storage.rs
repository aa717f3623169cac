//! What cannot be stored ends the run with an error that names the file, and what is committed is whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use spfde::{Experiment, Options};
use spfde_data::rows::STREAMS;
use spfde_data::segment::{Commit, CompleteEpoch, Segment, SegmentStore, SegmentWriter, StorageError};
use spfde_data::table::{Column, Columns};
use spfde_flow::{Cause, Fault, Observer, Services, StepReport, Stop, Tick};

use crate::stopping::within_reason;
use crate::support::{Bench, Recorded, execute, stopped};

const WORDS: [&str; 5] = [
    "model.name=lenet5",
    "mask.sparsity=0.7",
    "sieve.fraction=0.3",
    "freeze.flops_reduction=0.1",
    "train.epochs=6",
];
const EPOCHS: u32 = 6;

/// Puts a directory where a file will have to go, as soon as the run has begun.
struct Obstacle(PathBuf);

impl Observer for Obstacle {
    fn step(&self, report: &StepReport) {
        if report.tick == Tick::new(0, 0) {
            std::fs::create_dir_all(&self.0).unwrap();
        }
    }
}

#[test]
fn a_segment_that_cannot_be_written_ends_the_run_and_names_its_file() {
    let bench = Bench::new(120);
    let experiment = bench.experiment(&WORDS);
    let cases = [
        (1, "trace/scores/e00002-w00.parquet"),
        (2, "trace/scores/e00002-w01.parquet"),
        (2, "trace/masks/e00002-w01.parquet"),
        (4, "trace/layers/e00002-w03.parquet.part"),
        (3, "trace/epochs/e00002-w00.parquet.part"),
    ];
    for (case, (workers, file)) in cases.into_iter().enumerate() {
        let path = bench.path(&case.to_string());
        let observer = Arc::new(Obstacle(path.join(file)));
        let options = Options { directory: Some(path.clone()), workers, observer, ..Options::default() };
        let experiment = experiment.clone();
        let (fault, code) = stopped(within_reason(move || spfde::run(&experiment, options, spfde::wire)));
        assert_eq!(code, 3);
        assert!(matches!(&fault.cause, Cause::Storage(what) if what.contains(file)), "{file}: {fault}");
        assert_eq!(fault.tick.epoch, 2, "{file}: {fault}");
        Recorded::open(&path).assert_sound(2);
    }
}

#[test]
fn a_manifest_that_cannot_be_replaced_ends_the_run_and_stays_as_it_was() {
    let bench = Bench::new(120);
    let experiment = bench.experiment(&WORDS);
    for workers in [1, 2] {
        let path = bench.path(&workers.to_string());
        let observer = Arc::new(Obstacle(path.join("manifest.json.part")));
        let options = Options { directory: Some(path.clone()), workers, observer, ..Options::default() };
        let experiment = experiment.clone();
        let error = within_reason(move || spfde::run(&experiment, options, spfde::wire)).unwrap_err();
        assert!(error.to_string().contains("manifest.json"), "{error}");
        assert_eq!(error.exit_code(), 3);
        let run = Recorded::open(&path);
        assert_eq!(run.manifest.epochs_reached, 0);
        assert_eq!(run.findings(), [""; 0]);
    }
}

/// Keeps segments in memory; fails at one append of one stream, or at one commit.
#[derive(Default)]
struct Memory {
    stream: &'static str,
    appends: AtomicUsize,
    fail_at: usize,
    fail_commit: Option<u32>,
    committed: Mutex<BTreeMap<u32, Vec<Segment>>>,
}

struct MemoryWriter {
    memory: Arc<Memory>,
    segment: Segment,
}

/// A store is handed out as a whole, its writers outlive the call.
struct Store(Arc<Memory>);

impl SegmentStore for Store {
    fn create(
        &self,
        stream: &str,
        _: &[Column],
        epoch: u32,
        worker: u32,
    ) -> Result<Box<dyn SegmentWriter>, StorageError> {
        let (path, stream) = (format!("{stream}/{epoch}/{worker}"), stream.to_owned());
        let segment = Segment { stream, epoch, worker, path, rows: 0, bytes: 0, blake3: String::new() };
        Ok(Box::new(MemoryWriter { memory: Arc::clone(&self.0), segment }))
    }
}

impl SegmentWriter for MemoryWriter {
    fn append(&mut self, rows: &Columns) -> Result<(), StorageError> {
        self.segment.rows += rows.rows as u64;
        let Self { memory, segment } = self;
        if segment.stream == memory.stream
            && memory.appends.fetch_add(1, Ordering::Relaxed) + 1 == memory.fail_at
        {
            return Err(full(&segment.path));
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Segment, StorageError> {
        Ok(self.segment)
    }
}

impl Commit for Memory {
    fn commit_epoch(&self, complete: CompleteEpoch) -> Result<(), StorageError> {
        let CompleteEpoch { epoch, segments, .. } = complete;
        if self.fail_commit == Some(epoch) {
            return Err(full("manifest"));
        }
        let before = self.committed.lock().unwrap().insert(epoch, segments);
        assert!(before.is_none(), "epoch {epoch} is committed twice");
        Ok(())
    }
}

fn full(path: &str) -> StorageError {
    StorageError(format!("{path}: cannot write rows: the disk is full"))
}

/// Runs the ready pipeline over a store of its own; the fault that each worker saw.
fn run_over(memory: &Arc<Memory>, experiment: &Experiment, workers: usize) -> Vec<Option<Fault>> {
    let services = Services {
        store: Arc::new(Store(Arc::clone(memory))),
        commit: Arc::clone(memory) as Arc<dyn Commit>,
        checkpoints: None,
        resumed: None,
        recorded: None,
        prefix_cache: None,
        stop: Stop::default(),
        observer: Arc::new(()),
    };
    let experiment = experiment.clone();
    within_reason(move || execute(&experiment, services, workers))
}

/// Asserts that exactly the epochs before `end` are committed, each with the segments of every stream.
fn assert_committed(memory: &Memory, end: u32, workers: usize) {
    let committed = memory.committed.lock().unwrap();
    assert!(committed.keys().copied().eq(0..end), "{:?}, expected all before {end}", committed.keys());
    for (epoch, segments) in committed.iter() {
        for stream in STREAMS {
            let of = |segment: &&Segment| segment.stream == stream && segment.epoch == *epoch;
            assert!(segments.iter().any(|segment| of(&segment)), "{stream} of epoch {epoch}");
        }
        let scores = segments.iter().filter(|segment| segment.stream == "scores");
        assert_eq!(scores.clone().map(|segment| segment.rows).sum::<u64>(), 84, "epoch {epoch}");
        assert_eq!(scores.count(), workers, "epoch {epoch}");
    }
}

#[test]
fn a_run_over_a_store_in_memory_commits_every_epoch() {
    let bench = Bench::new(120);
    let memory = Arc::new(Memory::default());
    let faults = run_over(&memory, &bench.experiment(&WORDS), 2);
    assert_eq!(faults, [None, None]);
    assert_committed(&memory, EPOCHS, 2);
}

#[test]
fn a_write_that_fails_stops_all_workers_and_nothing_of_its_epoch_is_committed() {
    let bench = Bench::new(120);
    let experiment = bench.experiment(&WORDS);
    for workers in [1, 2, 4] {
        for (stream, fail_at) in
            [("scores", 1), ("scores", 3 * workers * 2 + 1), ("gradients", 5), ("epochs", 2)]
        {
            let memory = Arc::new(Memory { stream, fail_at, ..Memory::default() });
            let faults = run_over(&memory, &experiment, workers);
            let fault = faults[0].clone().unwrap();
            assert!(faults.iter().all(|seen| seen.as_ref() == Some(&fault)), "{faults:?}");
            let Cause::Storage(what) = &fault.cause else { panic!("{fault}") };
            assert!(what.starts_with(&format!("{stream}/{}/", fault.tick.epoch)), "{fault}");
            assert!(what.ends_with("cannot write rows: the disk is full"), "{fault}");
            assert_committed(&memory, fault.tick.epoch, workers);
        }
    }
}

#[test]
fn a_commit_that_fails_stops_all_workers_and_none_follows() {
    let bench = Bench::new(120);
    let experiment = bench.experiment(&WORDS);
    for workers in [1, 2] {
        for epoch in [0, 2, EPOCHS - 1] {
            let memory = Arc::new(Memory { fail_commit: Some(epoch), ..Memory::default() });
            let faults = run_over(&memory, &experiment, workers);
            let fault = faults[0].clone().unwrap();
            assert!(faults.iter().all(|seen| seen.as_ref() == Some(&fault)), "{faults:?}");
            let expected = format!(
                "stage trace on worker 0, epoch {}: manifest: cannot write rows: the disk is full",
                epoch + 1
            );
            assert_eq!(fault.to_string(), expected);
            assert_committed(&memory, epoch, workers);
        }
    }
}
