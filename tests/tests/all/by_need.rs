//! Data sets larger than the memory that they may take: the same bits, bounded memory, faults that name
//! files.
#![cfg(unix)]

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, FixedSizeBinaryArray, RecordBatch, UInt16Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use spfde::configuration::{Configuration, Source};
use spfde::registry::Registry;
use spfde::{Experiment, Options, Resumed};
use spfde_data::images::Images;
use spfde_flow::{Cause, Observer, StepReport};

use crate::resuming::{begin, until};
use crate::support::{Bench, Recorded, again, assert_same, stopped, transcript};

/// Writes a part of a data set in row groups of so many images.
fn write_part(path: &Path, images: &Images, rows: usize) {
    let pixels = (0..images.len()).map(|row| images.image(row));
    let pixels: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter(pixels).unwrap());
    let labels: ArrayRef = Arc::new(UInt16Array::from(images.labels.clone()));
    let batch = RecordBatch::try_from_iter([("image", pixels), ("label", labels)]).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(rows))
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    let shape = format!(
        "{{\"channels\": {}, \"height\": {}, \"width\": {}}}",
        images.channels, images.height, images.width
    );
    writer.append_key_value_metadata(KeyValue::new("spfde.data".to_owned(), shape));
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The data of a bench on disk, in row groups of three images.
fn grouped(bench: &Bench) -> PathBuf {
    let directory = bench.path("grouped");
    std::fs::create_dir(&directory).unwrap();
    write_part(&directory.join("train.parquet"), &bench.data().train, 3);
    write_part(&directory.join("test.parquet"), &bench.data().test, 3);
    directory
}

/// An experiment on the data in a directory, of which so many bytes are in memory.
fn experiment(directory: &Path, cache: usize, words: &[&str]) -> Experiment {
    let usual = ["model.name=lenet5", "mask.sparsity=0.6", "sieve.fraction=0.3", "train.epochs=4"];
    let more = ["data.batch_size=32", "train.learning_rate=0.1", "data.augment=crop-flip+rotate"];
    let own = [format!("data.path={}", directory.display()), format!("data.cache_bytes={cache}")];
    let words =
        usual.iter().chain(&more).copied().chain(own.iter().map(String::as_str)).chain(words.iter().copied());
    let words: Vec<String> = words.map(str::to_owned).collect();
    Experiment::new(Configuration::resolve(Source::from_words(&words).unwrap().entries()).unwrap()).unwrap()
}

fn resumed(path: &Path, workers: usize) -> Recorded {
    let options = Options { workers, ..Options::default() };
    match Resumed::open(&Registry::standard(), path, Experiment::new).unwrap() {
        Resumed::Unfinished(unfinished) => drop(unfinished.run(options, spfde::wire).unwrap()),
        Resumed::Finished(epochs) => panic!("it is finished after {epochs} epochs"),
    }
    Recorded::open(path)
}

/// Bytes of a row group: three images of 12 × 12 pixels.
const GROUP: usize = 432;

#[test]
fn what_is_read_by_need_trains_the_same_bits_as_what_is_in_memory() {
    // A hundred row groups, two windows.
    let bench = Bench::new(300);
    let directory = grouped(&bench);
    let mut transcripts = Vec::new();
    for (order, more) in [
        ("blocks", &["data.validation=0.2", "trace.observe=full"][..]),
        ("full", &["data.validation=0.2", "trace.observe=full"]),
        ("blocks", &[]),
    ] {
        let word = format!("data.order={order}");
        let words = [&[&*word], more].concat();
        let held = experiment(&directory, 1 << 20, &words);
        assert!(!held.settings().data.train.is_stored());
        let name = format!("{order}-{}", more.len());
        let held = bench.record(&format!("{name}-held"), &held, 2);
        held.assert_sound(4);
        // One group, and so many that a window fits.
        for (cache, workers) in [(GROUP, 1), (GROUP, 2), (70 * GROUP, 2), (70 * GROUP, 1)] {
            let stored = experiment(&directory, cache, &words);
            let data = &stored.settings().data;
            assert!(data.train.is_stored() && data.test.is_stored());
            let rereads = cache == GROUP || order == "full";
            let noted = stored.configuration().notes().iter().any(|note| note.contains("again and again"));
            assert_eq!(noted, rereads, "{:?}", stored.configuration().notes());
            let run = bench.record(&format!("{name}-{cache}-{workers}"), &stored, workers);
            run.assert_sound(4);
            assert_same(&transcript(&held), &transcript(&run), &format!("{name}, {cache}, {workers}"));
            assert!(held.final_weights() == run.final_weights(), "{name}, {cache}, {workers}");
        }
        // Interrupted in the middle, and resumed on another number of workers.
        let stored = experiment(&directory, 70 * GROUP, &words);
        let path = bench.path(&format!("{name}-resumed"));
        begin(&stored, &path, until(2, 1, 1));
        let run = resumed(&path, 2);
        assert_same(&transcript(&held), &transcript(&run), &format!("{name}, resumed"));
        transcripts.push(transcript(&held));
    }
    assert!(transcripts[0] != transcripts[1], "another order gives other bits");
}

#[test]
fn a_run_of_a_time_before_there_was_a_choice_goes_on_with_what_held_then() {
    let bench = Bench::new(60);
    let directory = grouped(&bench);
    let experiment = experiment(&directory, GROUP, &["data.order=full", "train.optimizer=momentum"]);
    let whole = bench.record("whole", &experiment, 1);
    let path = bench.path("run");
    begin(&experiment, &path, until(2, 0, 1));
    let config = std::fs::read_to_string(path.join("config.toml")).unwrap();
    let is_later = |line: &&str| line.starts_with("order = ") || line.starts_with("optimizer = ");
    assert_eq!(config.lines().filter(is_later).count(), 2, "{config}");
    let lines = config.lines().filter(|line| !is_later(line));
    let config: String = lines.map(|line| format!("{line}\n")).collect();
    std::fs::write(path.join("config.toml"), &config).unwrap();
    let mut manifest = Recorded::open(&path).manifest;
    manifest.configuration = Some(blake3::hash(config.as_bytes()).to_hex().to_string());
    for key in ["data.order", "train.optimizer"] {
        manifest.settings.remove(key).unwrap();
    }
    manifest.write(&path).unwrap();
    assert_same(&transcript(&whole), &transcript(&resumed(&path, 1)), "resumed");
}

/// Does something to a file once, after a step.
struct Meddler<F> {
    done: AtomicBool,
    meddle: F,
}

impl<F: Fn() + Send + Sync> Observer for Meddler<F> {
    fn step(&self, report: &StepReport) {
        if report.tick.epoch == 1 && report.tick.step == 2 && !self.done.swap(true, Ordering::Relaxed) {
            (self.meddle)();
        }
    }
}

#[test]
fn a_file_that_changes_or_shrinks_while_it_is_read_stops_the_run_which_is_resumed() {
    let bench = Bench::new(300);
    let directory = grouped(&bench);
    let words = ["data.order=full"];
    let whole = bench.record("whole", &experiment(&directory, 1 << 20, &words), 2);
    for (name, part) in [("train.parquet", "a"), ("test.parquet", "b")] {
        let path = directory.join(name);
        let sound = std::fs::read(&path).unwrap();
        for (workers, cut) in [(1, false), (2, false), (2, true)] {
            let (path, changed) = (path.clone(), sound.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>());
            let written = path.clone();
            // Everything but the footer, which is not read again.
            let meddle = move || {
                let mut file = std::fs::OpenOptions::new().write(true).open(&written).unwrap();
                file.seek(SeekFrom::Start(4)).unwrap();
                file.write_all(&changed[4..changed.len() / 2]).unwrap();
                if cut {
                    file.set_len(4).unwrap();
                }
            };
            let observer = Arc::new(Meddler { done: AtomicBool::new(false), meddle });
            let run = bench.path(&format!("{part}-{workers}-{cut}"));
            let options = Options { directory: Some(run.clone()), workers, observer, ..Options::default() };
            let (fault, code) =
                stopped(spfde::run(&experiment(&directory, GROUP, &words), options, spfde::wire));
            assert_eq!(code, 3, "{fault}");
            let Cause::Data(what) = &fault.cause else { panic!("{fault}") };
            assert!(what.contains(name), "{what}");
            Recorded::open(&run).assert_sound(1);
            std::fs::write(&path, &sound).unwrap();
            let run = resumed(&run, 2);
            assert_same(&transcript(&whole), &transcript(&run), &format!("{name}, {workers}, {cut}"));
        }
    }
}

/// The data set and the bytes of pixels in memory of a process that trains on it.
const MEMORY: &str = "SPFDE_TEST_BY_NEED";

/// Bytes of pixels of the data set that is too large.
const PIXELS: usize = 96 << 20;

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn process() {
    let Ok(told) = std::env::var(MEMORY) else { return };
    let (cache, directory) = told.split_once(' ').unwrap();
    let layers = "model.layers=[{ convolution = 4, kernel = 3, stride = 2 }, { relu = true }, \
                  { average_pool = true }, { linear = 10 }]";
    let words = ["model.name=layers", layers, "train.epochs=1", "data.order=blocks", "freeze.policy=none"];
    let experiment = experiment(Path::new(directory), cache.parse().unwrap(), &words);
    let run = tempfile::tempdir().unwrap();
    let options = Options { directory: Some(run.path().join("run")), workers: 2, ..Options::default() };
    spfde::run(&experiment, options, spfde::wire).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    eprintln!("peak: {}", peak.trim().trim_end_matches(" kB"));
}

#[test]
#[cfg(target_os = "linux")]
fn memory_is_bounded_by_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let images = |count: usize| Images {
        channels: 1,
        height: 256,
        width: 256,
        pixels: (0..count << 16).map(|place| (place * 31 % 251) as u8).collect(),
        labels: (0..count).map(|sample| (sample % 10) as u16).collect(),
    };
    // Groups of 256 KiB.
    write_part(&directory.path().join("train.parquet"), &images(PIXELS >> 16), 4);
    write_part(&directory.path().join("test.parquet"), &images(64), 4);
    let peak = |cache: usize| -> usize {
        let told = format!("{cache} {}", directory.path().display());
        let output = again("by_need::process").env(MEMORY, told).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let line = text.lines().find_map(|line| line.strip_prefix("peak: "));
        line.unwrap_or_else(|| panic!("{text}")).parse::<usize>().unwrap() << 10
    };
    // A window has 16 MiB. Beside the cache there are what the allocator has not given back, and the batch.
    let (held, stored) = (peak(1 << 30), peak(18 << 20));
    eprintln!("{} KiB in memory, {} KiB by need", held >> 10, stored >> 10);
    assert!(stored + PIXELS / 2 <= held, "{stored} by need, {held} in memory");
}
