//! Memory does not grow with the length of a run, nor with the time that its trace takes to be written.
//!
//! Peaks are those that the operating system counts (`VmHWM`), of processes of their own: this program again,
//! which runs the test [`process`] only.
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spfde::configuration::{Configuration, Source};
use spfde::report::memory;
use spfde::{Experiment, Options};
use spfde_data::files::data_set;
use spfde_data::images::Images;
use spfde_data::nowhere::Nowhere;
use spfde_data::segment::{Segment, SegmentStore, SegmentWriter, StorageError};
use spfde_data::table::{Column, ColumnType, Columns};
use spfde_flow::{Observer, Services, StepReport, Stop};
use spfde_tests::fuzz::memory::held_memory;

use crate::support::{Bench, Recorded, again, execute};

const SAMPLES: usize = 48;
const WORDS: [&str; 5] = [
    "model.name=lenet5",
    "mask.sparsity=0.8",
    "sieve.fraction=0.3",
    "data.batch_size=16",
    "train.checkpoint_every=10",
];

/// How many epochs the process trains.
const EPOCHS: &str = "SPFDE_TEST_MEMORY_EPOCHS";

/// By how much the peak may grow over a run a hundred times as long. What grows is the manifest: eight
/// segments an epoch, some 300 bytes each, held a few times while it is replaced.
const GROWTH: u64 = 16 << 20;

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn process() {
    let Ok(epochs) = std::env::var(EPOCHS) else { return };
    let bench = Bench::new(SAMPLES);
    let epochs = format!("train.epochs={epochs}");
    let experiment = bench.experiment(&[&WORDS[..], &[epochs.as_str()]].concat());
    let path = bench.path("run");
    let options = Options { directory: Some(path.clone()), workers: 2, ..Options::default() };
    spfde::run(&experiment, options, spfde::wire).unwrap();
    let recorded = Recorded::open(&path);
    assert!(recorded.manifest.finished);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    eprintln!("peak: {}", peak.trim().trim_end_matches(" kB"));
}

/// The peak of a process that trains so many epochs, in bytes.
fn peak(epochs: u32) -> u64 {
    let output = again("memory::process").env(EPOCHS, epochs.to_string()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix("peak: "));
    line.unwrap_or_else(|| panic!("{text}")).parse::<u64>().unwrap() << 10
}

/// The settings, image side, number of samples and workers of a process that compares its peak with what is
/// foreseen.
const FORESEEN: &str = "SPFDE_TEST_MEMORY_FORESEEN";

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn foreseen() {
    let Ok(told) = std::env::var(FORESEEN) else { return };
    let words: Vec<&str> = told.split(' ').collect();
    let [side, samples, workers] = [0, 1, 2].map(|at| words[at].parse::<usize>().unwrap());
    let bench = Bench::new(8);
    let images = |count: usize| Images {
        channels: 1,
        height: side,
        width: side,
        pixels: (0..count * side * side).map(|place| (place * 31 % 251) as u8).collect(),
        labels: (0..count).map(|sample| (sample % 10) as u16).collect(),
    };
    let data = Arc::new(data_set::assemble("noise", 10, images(samples), images(64)));
    let words: Vec<String> = words[3..].iter().map(|word| (*word).to_owned()).collect();
    let configuration = Configuration::resolve(Source::from_words(&words).unwrap().entries()).unwrap();
    let experiment = Experiment::with_data(configuration, data).unwrap();
    let path = bench.path("run");
    let options = Options { directory: Some(path), workers, ..Options::default() };
    spfde::run(&experiment, options, spfde::wire).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    eprintln!("foreseen: {} peak: {peak}", memory::training(&experiment, workers) >> 10);
}

#[test]
fn the_peak_that_is_foreseen_is_within_a_quarter_of_the_one_that_is_measured() {
    for (case, more) in [
        ("12 64 1 model.name=lenet5", ""),
        ("28 640 1 model.name=resnet20", ""),
        ("28 320 2 model.name=resnet20", "mask.policy=dense"),
        ("64 64 2 model.name=resnet20", ""),
        ("64 64 2 model.name=resnet20", "train.storage=bf16"),
        ("96 64 1 model.name=mlp", "mask.sparsity=0.98"),
        ("96 64 1 model.name=mlp", ""),
        ("96 64 4 model.name=mlp", ""),
        ("96 64 2 model.name=mlp", "mask.policy=static mask.sparsity=0.8"),
        ("64 64 2 model.name=mlp", "mask.sparsity=0.5"),
        ("64 64 1 model.name=mlp", "mask.policy=dense"),
        ("64 64 1 model.name=mlp", "mask.policy=rigl"),
        ("64 64 1 model.name=mlp", "mask.policy=snfs"),
        ("64 64 1 model.name=mlp", "mask.policy=top-kast"),
        ("64 64 1 model.name=mlp", "mask.policy=lottery mask.rounds=1"),
        ("64 64 1 model.name=mlp", "mask.policy=snip"),
        ("48 64 1 model.name=resnet20", "train.shards=32 freeze.policy=cka mask.policy=static"),
        ("48 64 2 model.name=resnet20", "train.shards=8 trace.observe=full freeze.policy=none"),
    ] {
        let usual = "train.epochs=3 mask.interval=1 train.learning_rate=0.001 data.batch_size=32";
        let words = [case, usual, more].join(" ");
        let output = again("memory::foreseen").env(FORESEEN, words.trim()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        let line = text.lines().find(|line| line.contains("foreseen: ")).unwrap_or_else(|| panic!("{text}"));
        let number = |name: &str| -> f64 {
            line.split(' ').skip_while(|word| *word != name).nth(1).unwrap().parse().unwrap()
        };
        let ratio = number("foreseen:") / number("peak:");
        eprintln!("{case} {more}: {:.0} KiB foreseen, {ratio:.2} of the peak", number("foreseen:"));
        assert!((0.75..=1.25).contains(&ratio), "{case} {more}: {line}");
    }
}

#[test]
fn a_run_a_hundred_times_as_long_takes_no_more_memory() {
    let (short, long) = (peak(2), peak(200));
    eprintln!("2 epochs: {} KiB; 200 epochs: {} KiB", short >> 10, long >> 10);
    assert!(long <= short + GROWTH, "{long} bytes where a short run takes {short}");
}

/// Epochs of a training whose sieve decides once, at the start.
const SILENT: u32 = 10_000;

/// Notes the bytes that are held after a tenth of the epochs, and in the end.
#[derive(Default)]
struct Held([AtomicU64; 2]);

impl Observer for Held {
    fn step(&self, report: &StepReport) {
        let at = [SILENT / 10, SILENT - 1].iter().position(|epoch| *epoch == report.tick.epoch);
        if let Some(at) = at {
            self.0[at].store(held_memory() as u64, Ordering::Relaxed);
        }
    }
}

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn silent() {
    let bench = Bench::new(10);
    let words = ["model.name=lenet5", "mask.policy=static", "freeze.policy=none", "sieve.policy=one-shot"];
    let epochs = format!("train.epochs={SILENT}");
    let more = ["sieve.at=0", "sieve.fraction=0.3", "data.batch_size=10", "train.shards=1", &epochs];
    let experiment = bench.experiment(&[&words[..], &more].concat());
    let held = Arc::new(Held::default());
    let services = Services {
        store: Arc::new(Nowhere),
        commit: Arc::new(Nowhere),
        checkpoints: None,
        resumed: None,
        recorded: None,
        prefix_cache: None,
        stop: Stop::default(),
        observer: Arc::clone(&held) as Arc<dyn Observer>,
    };
    assert!(execute(&experiment, services, 1).iter().all(Option::is_none));
    let [early, late] = held.0.each_ref().map(|held| held.load(Ordering::Relaxed));
    eprintln!("held: {early} {late}");
    assert!(
        early > 0 && late <= early + (64 << 10),
        "{early} bytes after a tenth of the epochs, {late} later"
    );
}

#[test]
fn a_training_whose_sieve_is_silent_for_ten_thousand_epochs_takes_no_more_memory() {
    let output = again("memory::silent").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Bytes that a slow sink takes in a second.
const RATE: usize = 1 << 20;

/// Steps by which training may be ahead of the slowest of its sinks: those that the loader is ahead of the
/// faults that it waits for, and a step in each hand that passes rows on.
const AHEAD: u64 = 8;

/// Sinks that are slow, and how far training is ahead of them.
struct Slow {
    /// Steps of an epoch.
    steps: u64,
    /// The step of the latest rows of `scores` that each worker has written, counted over the run, from 1.
    written: Mutex<Vec<u64>>,
    ahead: AtomicU64,
    bytes: AtomicU64,
}

/// A store is handed out as a whole, its writers outlive the call.
struct SlowStore(Arc<Slow>);

struct SlowWriter {
    slow: Arc<Slow>,
    width: usize,
    is_scores: bool,
    segment: Segment,
}

impl SegmentStore for SlowStore {
    fn create(
        &self,
        stream: &str,
        columns: &[Column],
        epoch: u32,
        worker: u32,
    ) -> Result<Box<dyn SegmentWriter>, StorageError> {
        let width = |column: &Column| match column.kind {
            ColumnType::Bool | ColumnType::I8 => 1,
            ColumnType::U16 => 2,
            ColumnType::U32 | ColumnType::F32 | ColumnType::MaybeF32 => 4,
            ColumnType::U64 | ColumnType::MaybeU64 | ColumnType::F64 => 8,
            ColumnType::Text => 16,
        };
        let (path, blake3) = (String::new(), String::new());
        let segment = Segment { stream: stream.to_owned(), epoch, worker, path, rows: 0, bytes: 0, blake3 };
        let slow = Arc::clone(&self.0);
        let width = columns.iter().map(width).sum();
        Ok(Box::new(SlowWriter { slow, width, is_scores: stream == "scores", segment }))
    }
}

impl SegmentWriter for SlowWriter {
    fn append(&mut self, rows: &Columns) -> Result<(), StorageError> {
        let bytes = rows.rows * self.width;
        std::thread::sleep(Duration::from_secs_f64(bytes as f64 / RATE as f64));
        self.slow.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.is_scores {
            // A tick is written at once.
            self.slow.written.lock().unwrap()[self.segment.worker as usize] += 1;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Segment, StorageError> {
        Ok(self.segment)
    }
}

impl Observer for Slow {
    fn step(&self, report: &StepReport) {
        let trained = u64::from(report.tick.epoch) * self.steps + u64::from(report.tick.step) + 1;
        let written = self.written.lock().unwrap().iter().copied().min().unwrap();
        self.ahead.fetch_max(trained.saturating_sub(written), Ordering::Relaxed);
    }
}

#[test]
fn training_waits_for_a_trace_that_is_written_at_one_mebibyte_a_second() {
    let bench = Bench::new(400);
    let words = ["model.name=lenet5", "mask.sparsity=0.8", "sieve.policy=none", "data.batch_size=80"];
    let experiment = bench.experiment(&[&words[..], &["train.epochs=12"]].concat());
    for workers in [1, 2, 4] {
        let slow = Arc::new(Slow {
            steps: 5,
            written: Mutex::new(vec![0; workers]),
            ahead: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        let services = Services {
            store: Arc::new(SlowStore(Arc::clone(&slow))),
            commit: Arc::new(Nowhere),
            checkpoints: None,
            resumed: None,
            recorded: None,
            stop: Stop::default(),
            prefix_cache: None,
            observer: Arc::clone(&slow) as Arc<dyn Observer>,
        };
        assert!(execute(&experiment, services, workers).iter().all(Option::is_none));
        let (ahead, bytes) = (slow.ahead.load(Ordering::Relaxed), slow.bytes.load(Ordering::Relaxed));
        eprintln!("{workers} workers: {bytes} bytes written, at most {ahead} of 60 steps ahead");
        assert_eq!(*slow.written.lock().unwrap(), vec![60; workers]);
        assert!((1..=AHEAD).contains(&ahead), "{workers} workers: {ahead} steps ahead");
    }
}
